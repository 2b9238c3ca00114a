package augment

import (
	"encoding/json"
	"os"
	"testing"

	"finetune/augment/picture"
)

// TestPillowIsPillow: to the last bit, for enlarging and for shrinking each axis. The numbers are those of
// testdata/reference/hub_preprocess.py.
func TestPillowIsPillow(t *testing.T) {
	data, err := os.ReadFile("../testdata/reference/hub_preprocess.json")
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Pillow []struct {
			Filter string
			Size   [2]int
			Every  []uint8
			Sum    int
			Mixed  int
		}
	}
	if err := json.Unmarshal(data, &r); err != nil || len(r.Pillow) != 9 {
		t.Fatalf("%d pictures, %v", len(r.Pillow), err)
	}
	const w, h, seed = 640, 427, 1
	im := &picture.Image{Width: w, Height: h, Pix: make([]uint8, 3*w*h)}
	for i := range im.Pix {
		x, y, c := i/3%w, i/3/w, i%3
		im.Pix[i] = uint8(x*(seed+2)/3 + y*(2*seed+3)/5 + 85*c + 40*((x/7+y/(5+seed))%3))
	}
	for _, v := range r.Pillow {
		w, h := v.Size[0], v.Size[1]
		got := pillow[v.Filter].resize(im, window{w: w, h: h, nx: w, ny: h})
		sum, mixed := 0, 0
		for i, p := range got.Pix {
			sum += int(p)
			mixed += int(p) * (i % 8191)
			if i%499 == 0 && p != v.Every[i/499] {
				t.Errorf("%s to %v: value %d is %d, want %d", v.Filter, v.Size, i, p, v.Every[i/499])
				break
			}
		}
		if sum != v.Sum || mixed != v.Mixed {
			t.Errorf("%s to %v: sums %d and %d, want %d and %d", v.Filter, v.Size, sum, mixed, v.Sum, v.Mixed)
		}
		// a window is a part of the whole
		part := pillow[v.Filter].resize(im, window{w, h, w / 4, h / 3, w / 2, h / 2})
		for y := range part.Height {
			for x := range 3 * part.Width {
				if a, b := part.Pix[3*part.Width*y+x], got.Pix[3*w*(h/3+y)+3*(w/4)+x]; a != b {
					t.Fatalf("%s to %v: the window has %d where the whole has %d", v.Filter, v.Size, a, b)
				}
			}
		}
	}
}
