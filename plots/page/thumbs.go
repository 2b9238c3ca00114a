package page

import (
	"bytes"
	"encoding/base64"
	"html/template"
	"image"
	"image/draw"
	"image/jpeg"
	"path"
	"runtime"
	"sync"

	"github.com/nfnt/resize"

	"finetune/plots"
)

const (
	thumbSide  = 200 // longer side of a thumbnail on the page, pixels
	cardSide   = 320 // the same in a gallery's PNG
	mostThumbs = 200 // keeps a report to a few megabytes
	auditShots = 400 // the same of an audit, whose pages have nothing else
)

// thumb is a photograph made small: for the page, and for a PNG.
type thumb struct {
	URI  template.URL
	card image.Image
	err  error
}

// thumbnails opens the photographs of paths, each once, on all processors, and
// of more than most the first. A photograph that cannot be opened has an
// error and no picture.
func thumbnails(paths []string, most int, load func(string) (image.Image, error)) map[string]thumb {
	out := make(map[string]thumb)
	if load == nil {
		return out
	}
	var wanted []string
	for _, p := range paths {
		if _, seen := out[p]; !seen && len(wanted) < most {
			out[p] = thumb{}
			wanted = append(wanted, p)
		}
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	next := make(chan string)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for p := range next {
				t := shrunk(p, load)
				mu.Lock()
				out[p] = t
				mu.Unlock()
			}
		})
	}
	for _, p := range wanted {
		next <- p
	}
	close(next)
	wg.Wait()
	return out
}

func shrunk(path string, load func(string) (image.Image, error)) thumb {
	im, err := load(path)
	if err != nil {
		return thumb{err: err}
	}
	card := onPaper(resize.Thumbnail(cardSide, cardSide, im, resize.Bilinear))
	small := resize.Thumbnail(thumbSide, thumbSide, card, resize.Bilinear)
	var b bytes.Buffer
	if err := jpeg.Encode(&b, small, &jpeg.Options{Quality: 80}); err != nil {
		return thumb{err: err}
	}
	return thumb{URI: dataURI("image/jpeg", b.Bytes()), card: card}
}

// onPaper lays a picture that may be transparent on white.
func onPaper(im image.Image) image.Image {
	b := im.Bounds()
	out := image.NewRGBA(image.Rect(0, 0, b.Dx(), b.Dy()))
	draw.Draw(out, out.Bounds(), image.NewUniform(plots.Paper), image.Point{}, draw.Src)
	draw.Draw(out, out.Bounds(), im, b.Min, draw.Over)
	return out
}

// dataURI is safe to write into a page as it is: base64 alone follows the type.
func dataURI(kind string, data []byte) template.URL {
	return template.URL("data:" + kind + ";base64," + base64.StdEncoding.EncodeToString(data))
}

func baseName(p string) string { return path.Base(p) }
