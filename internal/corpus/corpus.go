// Package corpus compares decoded photographs with what a reference made of them.
//
// A folder of the corpus has a list, list.csv, of columns file, kind, bound,
// status and reference: a file, the kind it stands for, the largest mean
// difference in levels of 255, the status that a decoder should give, and the
// PNG of the pixels expected. bench/corpus/make.py writes such folders.
package corpus

import (
	"encoding/csv"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"strconv"

	"finetune/augment/picture"
)

// Entry is one line of the list.
type Entry struct {
	File, Kind string
	Bound      float64
	Status     string // "ok", or a picture.Status
	Reference  string
}

// Result is what became of an entry.
type Result struct {
	Entry
	Got    string // status
	Reason string
	Mean   float64 // difference in levels of 255
	Worst  int
	Pixels *picture.Image
}

// Right reports whether the file came out as expected.
func (r Result) Right() bool { return r.Got == r.Status && r.Mean <= r.Bound }

// Read reads the list of a folder.
func Read(dir string) ([]Entry, error) {
	f, err := os.Open(filepath.Join(dir, "list.csv"))
	if err != nil {
		return nil, fmt.Errorf("corpus: %w; make corpus makes it", err)
	}
	defer f.Close()
	rows, err := csv.NewReader(f).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("corpus: %s: %w", f.Name(), err)
	}
	var list []Entry
	for _, r := range rows[min(1, len(rows)):] {
		bound, err := strconv.ParseFloat(r[2], 64)
		if err != nil {
			return nil, fmt.Errorf("corpus: %s: bound of %s: %w", f.Name(), r[0], err)
		}
		list = append(list, Entry{r[0], r[1], bound, r[3], r[4]})
	}
	return list, nil
}

// Try decodes one file and compares it.
func Try(dir string, e Entry) (Result, error) {
	r := Result{Entry: e, Got: "ok"}
	data, err := os.ReadFile(filepath.Join(dir, e.File))
	if err != nil {
		return r, err
	}
	im, err := picture.Decode(data, picture.Limits{})
	var bad *picture.DecodeError
	if errors.As(err, &bad) {
		r.Got, r.Reason = string(bad.Status), bad.Reason
		return r, nil
	}
	if err != nil || e.Reference == "" {
		return r, err
	}
	r.Pixels = im
	want, err := reference(filepath.Join(dir, e.Reference))
	if err != nil {
		return r, err
	}
	if w, h := want.Rect.Dx(), want.Rect.Dy(); w != im.Width || h != im.Height {
		r.Got, r.Reason = "size", fmt.Sprintf("%d × %d, not %d × %d", im.Width, im.Height, w, h)
		return r, nil
	}
	r.Worst, r.Mean = compare(im, want)
	return r, nil
}

func compare(im *picture.Image, want *image.NRGBA) (worst int, mean float64) {
	sum := 0
	for i, v := range im.Pix {
		d := int(v) - int(want.Pix[i/3*4+i%3])
		d = max(d, -d)
		worst, sum = max(worst, d), sum+d
	}
	return worst, float64(sum) / float64(len(im.Pix))
}

func reference(path string) (*image.NRGBA, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	m, err := png.Decode(f)
	if err != nil {
		return nil, fmt.Errorf("corpus: %s: %w", path, err)
	}
	out := image.NewNRGBA(m.Bounds())
	draw.Draw(out, out.Rect, m, m.Bounds().Min, draw.Src)
	return out, nil
}
