package picture

import (
	"context"
	"errors"
	"fmt"
	"image"
	"math"
	"slices"
	"testing"

	"finetune/internal/picturetest"
	"finetune/internal/rng"
	"finetune/internal/tiff"
)

func TestParseDepth(t *testing.T) {
	for text, want := range map[string]Depth{"": {}, "auto": {Auto: true}, "0,4095": {Max: 4095},
		" -5 , 2.5 ": {Min: -5, Max: 2.5}, "1e-3,1": {Min: 1e-3, Max: 1}} {
		if d, err := ParseDepth(text); err != nil || d != want {
			t.Errorf("%q: %+v, %v", text, d, err)
		}
	}
	for _, text := range []string{"Auto", ",", "1,", ",1", "1 2", "1,2,3", "0,inf", "-inf,0", "nan,1", "0,nan", "3,3",
		"3,2"} {
		if d, err := ParseDepth(text); err == nil || d != (Depth{}) {
			t.Errorf("%q: %+v, %v", text, d, err)
		}
	}
	for text, d := range map[string]Depth{"": {}, "auto": {Auto: true}, "-1.5,70000": {Min: -1.5, Max: 70000},
		"0,1": {Max: 1}} {
		if d.String() != text {
			t.Errorf("%+v is %q", d, d.String())
		}
	}
}

// A photograph is told of where it uses a sixteenth of the range or less: 12 bits.
func TestNarrowIsTwelveBits(t *testing.T) {
	for most, want := range map[uint16]bool{0: true, 15: true, 4095: true, 4096: false, 65535: false} {
		m := image.NewGray16(image.Rect(0, 0, 3, 1))
		m.Pix[2], m.Pix[3] = uint8(most>>8), uint8(most)
		told := false
		l := Limits{Narrow: func(lo, hi float64) {
			if told = true; lo != 0 || hi != float64(most) {
				t.Errorf("%g to %g, want 0 to %d", lo, hi, most)
			}
		}}
		before := slices.Clone(m.Pix)
		if l.mapDeep(m); told != want || !slices.Equal(m.Pix, before) {
			t.Errorf("0 to %d: told %v, pixels changed %v", most, told, !slices.Equal(m.Pix, before))
		}
	}
	l := Limits{Narrow: func(lo, hi float64) { t.Error("told of 8 bits") }}
	l.mapDeep(image.NewGray(image.Rect(0, 0, 3, 1)))
	l.mapDeep(image.NewNRGBA(image.Rect(0, 0, 3, 1)))
	if s := newSpan(); s.min <= s.max {
		t.Error("a span of nothing has a length")
	}
}

// mapped is what a depth makes of a sample, on 0..full.
func mapped(d Depth, v, lo, hi, full float64) float64 {
	switch {
	case d.Auto && hi > lo:
		return (v - lo) / (hi - lo) * full
	case d.Auto, d == Depth{}:
		return v
	}
	return (v - d.Min) / (d.Max - d.Min) * full
}

var depths = []Depth{{}, {Auto: true}, {Min: 1000, Max: 3000}, {Min: 0, Max: 4095}, {Min: 1200, Max: 65535},
	{Max: 65535}}

// Each sample of colour by arithmetic; alpha stays, and neighbours are not touched.
func TestMapDeep(t *testing.T) {
	s := rng.New(21)
	r := image.Rect(0, 0, 5, 3)
	for _, flat := range []bool{false, true} {
		for _, d := range depths {
			grey, straight, multiplied := image.NewGray16(r), image.NewNRGBA64(r), image.NewRGBA64(r)
			for name, c := range map[string]struct {
				m       image.Image
				pix     []uint8
				samples int
			}{"grey": {grey, grey.Pix, 1}, "nrgba": {straight, straight.Pix, 4}, "rgba": {multiplied, multiplied.Pix, 4}} {
				values := make([]float64, len(c.pix)/2)
				lo, hi := math.Inf(1), math.Inf(-1)
				for i := range values {
					v := 1100 + s.Intn(1500)
					if i < c.samples { // the ends of the range stand at both ends of the picture
						v = 1050
					} else if i >= len(values)-c.samples {
						v = 2900
					}
					if flat {
						v = 1234
					}
					if alpha := c.samples == 4 && i%4 == 3; alpha {
						v = s.Intn(65536)
					} else {
						lo, hi = min(lo, float64(v)), max(hi, float64(v))
					}
					values[i] = float64(v)
					c.pix[2*i], c.pix[2*i+1] = uint8(v>>8), uint8(v)
				}
				Limits{Depth: d}.mapDeep(c.m)
				for i, v := range values {
					want := v
					if c.samples == 1 || i%4 != 3 {
						want = max(0, min(mapped(d, v, lo, hi, 65535), 65535))
					}
					if got := float64(c.pix[2*i])*256 + float64(c.pix[2*i+1]); math.Abs(got-want) > 0.51 {
						t.Fatalf("%s, %+v, flat %v: sample %d of %g is %g, want %g", name, d, flat, i, v, got, want)
					}
				}
			}
		}
	}
}

// tiffSamples draws a page of a kind: 8 or 16 bits, or floating point.
func tiffSamples(s *rng.Stream, kind string, channels int, premultiplied bool) *tiff.Samples {
	p := &tiff.Samples{Width: 5, Height: 70, Channels: channels, Premultiplied: premultiplied}
	for i := range 5 * 70 * channels {
		v := s.Float64()
		if alpha := channels%2 == 0 && i%channels == channels-1; alpha && s.Intn(3) == 0 {
			v = 1
		}
		switch kind {
		case "8 bits":
			p.Bytes = append(p.Bytes, uint8(v*255.99))
		case "16 bits":
			p.Words = append(p.Words, uint16(v*65535.99))
		case "floats":
			p.Full = 4
			p.Floats = append(p.Floats, float32(v*4))
		}
	}
	return p
}

// value is a sample of a page, and full what white is.
func value(p *tiff.Samples, i int) (v, full float64) {
	switch {
	case p.Bytes != nil:
		return float64(p.Bytes[i]), 255
	case p.Words != nil:
		return float64(p.Words[i]), 65535
	}
	return float64(p.Floats[i]), float64(p.Full)
}

// Pages of TIFF on white: grey and colour, with alpha stored in either way.
func TestTIFFSamplesOnWhite(t *testing.T) {
	s := rng.New(22)
	for _, kind := range []string{"8 bits", "16 bits", "floats"} {
		for channels := 1; channels <= 4; channels++ {
			for _, premultiplied := range []bool{false, true} {
				p := tiffSamples(s, kind, channels, premultiplied)
				if kind == "floats" { // below black, above white, and none at all
					p.Floats[0], p.Floats[channels], p.Floats[2*channels] = -1, 9, float32(math.NaN())
				}
				im, err := fromSamples(t.Context(), p)
				if err != nil || im.Check() != nil || im.Width != 5 || im.Height != 70 {
					t.Fatal(err)
				}
				for px := range 5 * 70 {
					var want [3]float64
					for c := range want {
						at := px * channels
						if channels >= 3 {
							at += c
						}
						v, full := value(p, at)
						if v != v {
							v = 0
						}
						a := full
						if channels%2 == 0 {
							a, _ = value(p, px*channels+channels-1)
						}
						want[c] = over(max(0, min(v, full)), a, full, premultiplied)
					}
					// a colour and its alpha are rounded
					tol := map[string]float64{"8 bits": 0.51, "16 bits": 1.01, "floats": 1.6}[kind]
					closeTo(t, fmt.Sprintf("%s, %d channels, premultiplied %v, pixel %d", kind, channels, premultiplied, px),
						im.Pix[3*px:], want, tol)
				}
			}
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := fromSamples(ctx, tiffSamples(s, "8 bits", 1, false)); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

// The range of samples of TIFF: colours alone, whatever alpha and NaN say.
func TestMapSamples(t *testing.T) {
	s := rng.New(23)
	for _, kind := range []string{"8 bits", "16 bits", "floats"} {
		for channels := 1; channels <= 4; channels++ {
			for _, d := range append(slices.Clone(depths), Depth{Min: 1, Max: 3}) {
				p := tiffSamples(s, kind, channels, false)
				lo, hi := math.Inf(1), math.Inf(-1)
				alpha := func(i int) bool { return channels%2 == 0 && i%channels == channels-1 }
				if kind == "floats" {
					p.Floats[0], p.Floats[channels] = float32(math.NaN()), float32(math.Inf(1))
				}
				n := 5 * 70 * channels
				before := make([]float64, n)
				for i := range n {
					if kind == "16 bits" && !alpha(i) {
						p.Words[i] = 1100 + p.Words[i]/40
					}
					before[i], _ = value(p, i)
					if v := before[i]; !alpha(i) && v == v && !math.IsInf(v, 0) {
						lo, hi = min(lo, v), max(hi, v)
					}
				}
				told := 0
				Limits{Depth: d, Narrow: func(a, b float64) {
					if told++; math.Abs(a-lo) > 1e-6 || math.Abs(b-hi) > 1e-6 {
						t.Errorf("told of %g to %g, not %g to %g", a, b, lo, hi)
					}
				}}.mapSamples(p)
				if want := kind == "16 bits" && d == (Depth{}); (told == 1) != want {
					t.Errorf("%s, %+v: told %d times", kind, d, told)
				}
				for i, v := range before {
					got, full := value(p, i)
					want := v
					if kind != "8 bits" && !alpha(i) {
						want = mapped(d, v, lo, hi, full)
					}
					if kind == "16 bits" {
						want = max(0, min(want, full))
					}
					if v != v || math.IsInf(v, 0) {
						continue
					}
					if tol := map[string]float64{"16 bits": 0.51,
						"floats": 1e-4 * (1 + math.Abs(want))}[kind]; math.Abs(got-want) > tol {
						t.Fatalf("%s, %d channels, %+v: sample %d of %g is %g, want %g", kind, channels, d, i, v, got, want)
					}
				}
			}
		}
	}
}

// JPEG inside TIFF: the colours are transformed where the file says so, and a
// strip that would cost too much is refused.
func TestTIFFJPEG(t *testing.T) {
	data := encodeJPEG(t, noise(21, 13, 2))
	want := mustDecode(t, data)
	pix, w, h, channels, err := tiffJPEG(t.Context(), data, true)
	if err != nil || w != 21 || h != 13 || channels != 3 {
		t.Fatal(w, h, channels, err)
	}
	if worst, mean := bytesDiffer(pix, want.Pix); worst > 4 || mean > 0.5 {
		t.Errorf("worst %d, mean %g", worst, mean)
	}
	plain, _, _, _, err := tiffJPEG(t.Context(), data, false)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(plain); i += 3 { // what is stored are Y, Cb and Cr
		l, u, v := float64(plain[i]), float64(plain[i+1])-128, float64(plain[i+2])-128
		closeTo(t, "transformed", pix[i:], [3]float64{l + 1.402*v, l - 0.344136*u - 0.714136*v, l + 1.772*u}, 0.6)
	}
	grey := picturetest.Image(t, "grey.jpg")
	pix, w, h, channels, err = tiffJPEG(t.Context(), grey, true)
	if want = mustDecode(t, grey); err != nil || channels != 1 || w != want.Width || h != want.Height {
		t.Fatal(w, h, channels, err)
	}
	for i, v := range pix {
		if math.Abs(float64(v)-float64(want.Pix[3*i])) > 2 {
			t.Fatalf("sample %d is %d, not %d", i, v, want.Pix[3*i])
		}
	}
	cmyk := picturetest.Image(t, "cmyk.jpg")
	pix, w, h, channels, err = tiffJPEG(t.Context(), cmyk, false)
	if err != nil || channels != 4 || len(pix) != 4*w*h {
		t.Error(w, h, channels, err)
	}
	for name, data := range map[string][]byte{
		"pixels": []byte("\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff" +
			"\x01\x01\x11\x00\xff\xda\x00\x08\x01\x01\x00\x00\x3f\x00"),
		"scans": manyScans(7000, 100), "none": []byte("no JPEG"), "cut": data[:len(data)/2],
	} {
		if pix, _, _, _, err := tiffJPEG(t.Context(), data, true); err == nil || pix != nil {
			t.Errorf("%s: %d samples, %v", name, len(pix), err)
		}
	}
}
