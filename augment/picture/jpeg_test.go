package picture

import (
	"bytes"
	"image"
	stdjpeg "image/jpeg"
	"testing"

	"finetune/internal/jpeg"
	"finetune/internal/picturetest"
)

// frame is a header of components with these sampling factors.
func frame(sof byte, factors ...[2]int) *jpeg.Header {
	h := &jpeg.Header{SOF: sof, Bits: 8, Width: 16, Height: 16, JFIF: true, Adobe: -1, Scans: 1, Interleaved: true}
	for i, f := range factors {
		h.Components = append(h.Components, jpeg.Component{ID: uint8(i + 1), H: f[0], V: f[1]})
	}
	return h
}

// Which files image/jpeg reads as libjpeg does; the others are for internal/jpeg.
func TestWhatSuitsGo(t *testing.T) {
	const base, progressive = 0xc0, 0xc2
	one, across, both, down := [2]int{1, 1}, [2]int{2, 1}, [2]int{2, 2}, [2]int{1, 2}
	set := func(h *jpeg.Header, change func(*jpeg.Header)) *jpeg.Header { change(h); return h }
	restarts := func(h *jpeg.Header) { h.Restarts = true }
	scans := func(h *jpeg.Header) { h.Scans, h.Interleaved = 3, false }
	noJFIF := func(adobe int) func(*jpeg.Header) {
		return func(h *jpeg.Header) { h.JFIF, h.Adobe = false, adobe }
	}
	for _, c := range []struct {
		name string
		h    *jpeg.Header
		want bool
	}{
		{"grey", frame(base, one), true}, {"grey of large units", frame(progressive, both), true},
		{"grey with restarts", set(frame(progressive, one), restarts), true},
		{"4:4:4", frame(base, one, one, one), true}, {"4:2:2", frame(base, across, one, one), true},
		{"4:2:0", frame(base, both, one, one), true},
		{"4:4:0", frame(base, down, one, one), true}, {"4:1:1", frame(base, [2]int{4, 1}, one, one), true},
		{"4:1:0", frame(base, [2]int{4, 2}, one, one), true},
		{"progressive 4:2:0", frame(progressive, both, one, one), true},
		{"three across", frame(base, [2]int{3, 1}, one, one), false},
		{"four down", frame(base, [2]int{1, 4}, one, one), false}, {"three down", frame(base, [2]int{1, 3}, one, one), false},
		{"unequal colours", frame(base, both, one, across), false},
		{"unequal colours down", frame(base, both, one, down), false},
		{"colours across in one scan", frame(base, both, across, across), true},
		{"colours down in one scan", frame(base, both, down, down), true},
		{"colours across, progressive", frame(progressive, both, across, across), false},
		{"colours across, in scans", set(frame(base, both, across, across), scans), false},
		{"colours down, progressive", frame(progressive, both, down, down), false},
		{"4:2:0 in scans", set(frame(base, both, one, one), scans), true},
		{"colours wider", frame(base, one, across, across), false}, {"colours higher", frame(base, one, down, down), false},
		{"not a whole ratio", frame(base, [2]int{4, 1}, [2]int{3, 1}, [2]int{3, 1}), false},
		{"restarts", set(frame(base, both, one, one), restarts), true},
		{"restarts, progressive", set(frame(progressive, both, one, one), restarts), false},
		{"restarts in scans", set(set(frame(base, both, one, one), restarts), scans), false},
		{"restarts in scans, 4:4:4", set(set(frame(base, one, one, one), restarts), scans), true},
		{"restarts, a part of the colours first",
			set(frame(base, across, one, one), func(h *jpeg.Header) { h.Restarts, h.Interleaved = true, false }), false},
		{"restarts, progressive 4:4:4", set(frame(progressive, one, one, one), restarts), true},
		{"RGB", set(frame(base, one, one, one), noJFIF(0)), true},
		{"RGB, halved", set(frame(base, both, one, one), noJFIF(0)), false},
		{"CMYK", set(frame(base, one, one, one, one), noJFIF(0)), true},
		{"YCCK", set(frame(base, one, one, one, one), noJFIF(2)), true},
		{"CMYK without Adobe", set(frame(base, one, one, one, one), noJFIF(-1)), false},
		{"YCCK, halved", set(frame(base, both, one, one, both), noJFIF(2)), false},
	} {
		if got := suitsGo(c.h); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}

// Planes and RGB take 6 bytes a pixel; the coefficients of several scans 4 a sample.
func TestMemoryOfJPEG(t *testing.T) {
	one := [2]int{1, 1}
	several := frame(0xc0, one, one, one)
	several.Scans = 2
	for name, c := range map[string]struct {
		h    *jpeg.Header
		want int64
	}{
		"baseline": {frame(0xc0, one, one, one), 6}, "grey": {frame(0xc0, one), 6},
		"progressive":      {frame(0xc2, one, one, one), 18},
		"progressive grey": {frame(0xc2, one), 10}, "several scans": {several, 18},
		"CMYK": {frame(0xc2, one, one, one, one), 22},
	} {
		if got := jpegMemory(c.h); got != 256*c.want {
			t.Errorf("%s: %d bytes for 256 pixels, want %d a pixel", name, got, c.want)
		}
	}
	large := frame(0xc2, one, one, one)
	large.Width, large.Height = 65535, 65535
	if got := jpegMemory(large); got != 18*65535*65535 {
		t.Errorf("%d bytes", got)
	}
}

// Twenty passes over as many pixels as the limit allows are read, one more is not.
func TestScansUpToTheLimit(t *testing.T) {
	for scans, ok := range map[int]bool{19: true, 20: false} { // and one of DC
		_, err := Decode(manyScans(256, scans), Limits{MaxPixels: 256 * 256, pure: true})
		if ok && err != nil {
			t.Errorf("%d scans: %v", scans+1, err)
		} else if !ok {
			wantStatus(t, "scans", err, TooLarge, "21 scans of 256 × 256")
		}
	}
	if _, err := Decode(manyScans(256, 39), Limits{MaxPixels: 2 * 256 * 256, pure: true}); err != nil {
		t.Errorf("40 scans at twice the limit: %v", err)
	}
	for _, c := range []struct {
		scans, limit int64
		pixels       string
	}{{1, 256*256 - 1, "256 × 256"}} {
		_, err := Decode(manyScans(256, int(c.scans)), Limits{MaxPixels: c.limit})
		wantStatus(t, "pixels", err, TooLarge, c.pixels)
	}
}

// Both decoders give one picture of a file that suits both.
func TestOwnDecoderAgrees(t *testing.T) {
	for _, name := range []string{"420.jpg", "422.jpg", "444.jpg", "420_progressive.jpg", "grey.jpg", "narrow_420.jpg",
		"cmyk.jpg"} {
		data := picturetest.Image(t, name)
		h, err := jpeg.ReadHeader(data)
		if err != nil || !suitsGo(h) {
			t.Fatal(name, err)
		}
		own, err := ownJPEG(t.Context(), data, h)
		if err != nil {
			t.Fatal(err)
		}
		im, err := Decode(data, Limits{pure: true})
		if err != nil {
			t.Fatal(err)
		}
		if worst, mean := bytesDiffer(own.RGB().Pix, im.Pix); worst > 6 || mean > 0.5 {
			t.Errorf("%s: worst %d, mean %.2f", name, worst, mean)
		}
		if own, err = ownJPEG(t.Context(), data[:len(data)*2/3], h); err == nil || own != nil {
			t.Errorf("%s, cut: %v, %v", name, own, err)
		}
	}
}

// A frame of Motion-JPEG lacks the tables that everybody knows.
func TestTablesOfMotionJPEG(t *testing.T) {
	var b bytes.Buffer
	if err := stdjpeg.Encode(&b, noise(33, 17, 3).rgba(), nil); err != nil {
		t.Fatal(err)
	}
	data := b.Bytes()
	want := mustDecode(t, data)
	tables := motionTables()
	if len(tables) < 400 || !bytes.Contains(data, tables) {
		t.Fatalf("tables of %d bytes, not those of image/jpeg", len(tables))
	}
	got := mustDecode(t, bytes.Replace(data, tables, nil, 1))
	if !bytes.Equal(got.Pix, want.Pix) || got.Width != 33 {
		t.Error("without its tables the picture differs")
	}
	if _, err := Decode(picturetest.EncodePNG(t, image.NewGray(image.Rect(0, 0, 4, 4))), Limits{}); err != nil {
		t.Error(err)
	}
}
