package picture

import (
	"image"
	"image/color"
	"slices"
	"testing"

	"finetune/internal/heif"
	"finetune/internal/picturetest"
)

func ramp16(from, step uint16) []*image.Gray16 {
	m := image.NewGray16(image.Rect(0, 0, 256, 2))
	for i := range 512 {
		m.SetGray16(i%256, i/256, color.Gray16{from + step*uint16(i%256)})
	}
	return []*image.Gray16{m}
}

func TestDepthRange(t *testing.T) {
	full := mustDecode(t, picturetest.EncodePNG(t, ramp16(0, 257)[0]))
	for _, c := range []struct {
		name       string
		from, step uint16
		depth      string
	}{{"12 bits", 0, 16, "0,4080"}, {"CT", 32640, 1, "32640,32895"}, {"labels", 0, 1, "auto"}, {"auto", 1000, 3, "auto"}} {
		data := picturetest.EncodePNG(t, ramp16(c.from, c.step)[0])
		told := 0
		im, err := Decode(data, Limits{Narrow: func(lo, hi float64) {
			told++
			if lo != float64(c.from) || hi != float64(c.from)+255*float64(c.step) {
				t.Errorf("%s: %g to %g", c.name, lo, hi)
			}
		}})
		if err != nil || told != 1 {
			t.Fatalf("%s: %v, told %d times", c.name, err, told)
		}
		if worst, _ := bytesDiffer(im.Pix, full.Pix); worst < 100 {
			t.Errorf("%s: the range changes nothing", c.name)
		}
		d, err := ParseDepth(c.depth)
		if err != nil || d.String() != c.depth {
			t.Fatalf("%q: %v, %v", c.depth, d, err)
		}
		im, err = Decode(data,
			Limits{Depth: d, Narrow: func(lo, hi float64) { t.Errorf("%s: told of %g to %g", c.name, lo, hi) }})
		if err != nil {
			t.Fatal(err)
		}
		if worst, _ := bytesDiffer(im.Pix, full.Pix); worst > 1 {
			t.Errorf("%s: worst %d", c.name, worst)
		}
	}
	if _, err := Decode(picturetest.EncodePNG(t, ramp16(0, 257)[0]),
		Limits{Narrow: func(lo, hi float64) { t.Errorf("told of %g to %g", lo, hi) }}); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"1", "a,b", "2,1", "1,1", "0,inf", "nan,1"} {
		if d, err := ParseDepth(text); err == nil {
			t.Errorf("%q is %v", text, d)
		}
	}
}

// Every format of more than 8 bits a sample is told of and mapped: half the range becomes all of it.
func TestEveryDeepFormatIsMapped(t *testing.T) {
	for _, name := range []string{"grey16.png", "grey16.tif"} {
		data, told := picturetest.Image(t, name), 0
		plain := mustDecode(t, data)
		half := Limits{Depth: Depth{Max: 65535. / 2}}
		im, err := Decode(data, half)
		if err != nil {
			t.Fatal(err)
		}
		for i, v := range plain.Pix {
			if want := min(2*int(v), 255); int(im.Pix[i])-want < -1 || int(im.Pix[i])-want > 1 {
				t.Fatalf("%s: sample %d of %d is %d, want %d", name, i, v, im.Pix[i], want)
			}
		}
		narrow := Limits{Narrow: func(lo, hi float64) { told++ }}
		if _, err := Decode(data, narrow); err != nil || (told > 0) != (slices.Max(plain.Pix)-slices.Min(plain.Pix) < 16) {
			t.Errorf("%s: told %d times, %v", name, told, err)
		}
	}
	p := &heif.Picture{Width: 2, Height: 1, RowBytes: 16, Wide: []uint8{0, 16, 0, 32, 0, 64, 255, 255,
		255, 127, 0, 128, 0, 255, 255, 255}} // low byte first
	im, err := fromHEIF(t.Context(), &heif.Container{}, p, Limits{Depth: Depth{Max: 65535. / 2}})
	if err != nil || !slices.Equal(im.RGB().Pix, []uint8{32, 64, 128, 255, 255, 255}) {
		t.Errorf("HEIF: %v, %v", im, err)
	}
}
