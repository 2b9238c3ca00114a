package augment

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/rng"
)

// goPhotos is the folder of photographs that every Go installation has.
func goPhotos(t testing.TB) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("no photographs: go env GOROOT: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(root)), "src", "image", "testdata")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no photographs: %v; a Go installation with sources has them", err)
	}
	return dir
}

func readFile(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustDecode(t testing.TB, data []byte) *Image {
	t.Helper()
	im, err := Decode(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// noise is a synthetic picture: smooth colours with sharp random squares.
func noise(w, h int, seed uint64) *Image {
	s := rng.New(seed)
	im := &Image{Width: w, Height: h, Pix: make([]uint8, 3*w*h)}
	for y := range h {
		for x := range w {
			p := im.Pix[3*(y*w+x):]
			p[0], p[1], p[2] = uint8(x*255/w), uint8(y*255/h), uint8(128+(x-y)/4)
			if s.Intn(7) == 0 {
				p[0], p[1], p[2] = uint8(s.Intn(256)), uint8(s.Intn(256)), uint8(s.Intn(256))
			}
		}
	}
	return im
}

func (im *Image) rgba() *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, im.Width, im.Height))
	for i := range im.Width * im.Height {
		out.SetRGBA(i%im.Width, i/im.Width, color.RGBA{im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2], 255})
	}
	return out
}

func encodePNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
