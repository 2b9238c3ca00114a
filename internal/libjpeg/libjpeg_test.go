package libjpeg

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func file(t *testing.T, w, h int, grey bool) []byte {
	t.Helper()
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			im.Set(x, y, color.RGBA{uint8(x * 5), uint8(y * 3), uint8(x + y), 255})
		}
	}
	var from image.Image = im
	if grey {
		g := image.NewGray(im.Rect)
		copy(g.Pix, im.Pix)
		from = g
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, from, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func loaded(t *testing.T) {
	t.Helper()
	lib, err := Loaded()
	if err != nil {
		t.Fatal(err)
	}
	if lib.Path == "" {
		t.Skip("skipped: no libjpeg-turbo; `make fetch` brings it to Linux")
	}
	t.Log(lib.Path)
}

// TestDecode: the pixels are Go's but for rounding and for the smoothing of colours,
// whole and by eighths, from several goroutines at once.
func TestDecode(t *testing.T) {
	loaded(t)
	for _, grey := range []bool{false, true} {
		data := file(t, 61, 43, grey)
		whole, _ := jpeg.Decode(bytes.NewReader(data))
		var all sync.WaitGroup
		for m := 1; m <= 8; m++ {
			all.Go(func() {
				pix, got := Decode(data, Size{61, 43}, m)
				want := Size{(61*m + 7) / 8, (43*m + 7) / 8}
				if pix == nil || got != want || len(pix) != 3*want.Width*want.Height {
					t.Errorf("%d eighths: %d bytes, %v", m, len(pix), got)
					return
				}
				if m < 8 {
					return
				}
				sum := 0
				for i := range 61 * 43 {
					r, g, b, _ := whole.At(i%61, i/61).RGBA()
					for c, v := range []uint32{r, g, b} {
						sum += max(int(v>>8)-int(pix[3*i+c]), int(pix[3*i+c])-int(v>>8))
					}
				}
				if mean := float64(sum) / float64(len(pix)); mean > 2 {
					t.Errorf("grey %v: %.2f of 255 from Go's", grey, mean)
				}
			})
		}
		all.Wait()
	}
}

// TestNoDecode: every error and warning of the library is nil, and leaves it usable.
func TestNoDecode(t *testing.T) {
	loaded(t)
	data := file(t, 61, 43, false)
	for name, c := range map[string]struct {
		data []byte
		size Size
	}{
		"another size":   {data, Size{60, 43}},
		"cut short":      {data[:len(data)/2], Size{61, 43}},
		"cut in headers": {data[:30], Size{61, 43}},
		"no JPEG":        {[]byte("GIF89a and more of it"), Size{61, 43}},
		"empty":          {nil, Size{61, 43}},
	} {
		if pix, _ := Decode(c.data, c.size, 8); pix != nil {
			t.Errorf("%s: %d bytes", name, len(pix))
		}
		if pix, _ := Decode(data, Size{61, 43}, 8); pix == nil {
			t.Errorf("after %s a sound file is refused", name)
		}
	}
}

// TestOpen: what is not libjpeg-turbo is refused, and by name.
func TestOpen(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "libjpeg.so.62")
	if err := os.WriteFile(text, []byte("no library"), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := open(text); !errors.Is(err, ErrNone) {
		t.Errorf("a text file: %v", err)
	}
	if err := open(filepath.Join(dir, "absent")); err == nil {
		t.Error("an absent file was opened")
	}
	if err := open("libm.so.6"); err == nil {
		t.Error("libm is no JPEG decoder")
	}
}

func FuzzDecode(f *testing.F) {
	if lib, _ := Loaded(); lib.Path == "" {
		f.Skip("no libjpeg-turbo")
	}
	f.Add([]byte("\xff\xd8\xff\xe0"), 61, 43, 3)
	f.Fuzz(func(t *testing.T, data []byte, w, h, m int) {
		if w < 1 || h < 1 || w > 1000 || h > 1000 || m < 1 || m > 8 {
			t.Skip()
		}
		Decode(data, Size{w, h}, m)
	})
}
