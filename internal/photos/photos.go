// Package photos draws small synthetic pictures for tests: noise with a coloured
// disc, whose colour tells the class, so that a classifier can learn them.
package photos

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"math"
	"os"
	"path/filepath"

	"finetune/internal/rng"
)

// Draw returns picture number n of a class, w × h pixels.
func Draw(class, n, w, h int) image.Image {
	s := rng.New(rng.Text("photos"), uint64(class), uint64(n))
	im := image.NewNRGBA(image.Rect(0, 0, w, h))
	cx, cy, r := s.Uniform(.3, .7)*float64(w), s.Uniform(.3, .7)*float64(h), s.Uniform(.2, .4)*float64(min(w, h))
	hue := 2 * math.Pi * float64(class) / 5
	for y := range h {
		for x := range w {
			v := func(phase float64) uint8 {
				base := 90 + 60*s.Float64()
				if math.Hypot(float64(x)-cx, float64(y)-cy) < r {
					base += 70 * math.Cos(hue+phase)
				}
				return uint8(min(max(base, 0), 255))
			}
			im.SetNRGBA(x, y, color.NRGBA{v(0), v(2 * math.Pi / 3), v(4 * math.Pi / 3), 255})
		}
	}
	return im
}

// Write puts n pictures of each class into dir/CLASS/NNN.png.
func Write(dir string, classes []string, n int) error {
	for c, class := range classes {
		if err := os.MkdirAll(filepath.Join(dir, class), 0o777); err != nil {
			return err
		}
		for i := range n {
			var b bytes.Buffer
			if err := png.Encode(&b, Draw(c, i+1000*len(dir), 48+i%17, 40+i%11)); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, class, fmt.Sprintf("%03d.png", i)), b.Bytes(), 0o666); err != nil {
				return err
			}
		}
	}
	return nil
}
