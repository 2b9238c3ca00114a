package picture

import (
	"fmt"
	"image"
	"math"
	"strconv"
	"strings"
)

// Depth maps the samples of photographs that have more than 8 bits: X-rays,
// microscopes and depth cameras write 16 bits and use a part of them. The zero
// Depth keeps the high byte. Photographs of 8 bits are never changed.
type Depth struct {
	Auto     bool    // black and white are the least and the largest sample of each photograph
	Min, Max float64 // else these, in samples of 16 bits, or of floating point and 32 bits as stored
}

// ParseDepth reads "", "auto" or "min,max".
func ParseDepth(text string) (Depth, error) {
	switch text {
	case "":
		return Depth{}, nil
	case "auto":
		return Depth{Auto: true}, nil
	}
	lo, hi, ok := strings.Cut(text, ",")
	a, err1 := strconv.ParseFloat(strings.TrimSpace(lo), 64)
	b, err2 := strconv.ParseFloat(strings.TrimSpace(hi), 64)
	if !ok || err1 != nil || err2 != nil || !(a < b) || math.IsInf(a, 0) || math.IsInf(b, 0) {
		return Depth{}, fmt.Errorf("augment: depth range %q; give the samples that are black and white, such as 0,4095, "+
			"or auto", text)
	}
	return Depth{Min: a, Max: b}, nil
}

// String is what ParseDepth reads.
func (d Depth) String() string {
	switch {
	case d.Auto:
		return "auto"
	case d == Depth{}:
		return ""
	}
	return fmt.Sprintf("%g,%g", d.Min, d.Max)
}

// MarshalText implements encoding.TextMarshaler.
func (d Depth) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Depth) UnmarshalText(text []byte) (err error) {
	*d, err = ParseDepth(string(text))
	return err
}

// narrow is how much of its range a photograph of 16 bits must use not to be
// told of: 12 bits, of which the high byte keeps 16 levels.
const narrow = 1.0 / 16

// span is the least and the largest of the samples of a photograph.
type span struct{ min, max float64 }

func newSpan() span { return span{math.Inf(1), math.Inf(-1)} }

func (s *span) add(v float64) {
	if v == v && !math.IsInf(v, 0) {
		s.min, s.max = math.Min(s.min, v), math.Max(s.max, v)
	}
}

// scale returns the black and the factor that bring samples of a photograph
// with this span to 0..full, and tells l.Narrow of a narrow one.
func (l Limits) scale(s span, full float64) (black, factor float64) {
	switch d := l.Depth; {
	case d.Auto && s.max > s.min:
		return s.min, full / (s.max - s.min)
	case d.Auto:
		return 0, 1
	case d != Depth{}:
		return d.Min, full / (d.Max - d.Min)
	}
	if l.Narrow != nil && s.max-s.min <= narrow*full {
		l.Narrow(s.min, s.max)
	}
	return 0, 1
}

// deep reports whether somebody asks for the spans of samples.
func (l Limits) deep() bool { return l.Depth != Depth{} || l.Narrow != nil }

// mapDeep maps the samples of a picture of 16 bits in place; alpha stays.
func (l Limits) mapDeep(img image.Image) {
	var pix []uint8
	step, colours := 8, 3
	switch m := img.(type) {
	case *image.Gray16:
		pix, step, colours = m.Pix, 2, 1
	case *image.NRGBA64:
		pix = m.Pix
	case *image.RGBA64:
		pix = m.Pix
	}
	if pix == nil || !l.deep() {
		return
	}
	lo, hi := uint16(0xffff), uint16(0)
	for i := 0; i+step <= len(pix); i += step {
		for c := range colours {
			v := uint16(pix[i+2*c])<<8 | uint16(pix[i+2*c+1])
			lo, hi = min(lo, v), max(hi, v)
		}
	}
	black, factor := l.scale(span{float64(lo), float64(hi)}, 0xffff)
	if black == 0 && factor == 1 {
		return
	}
	for i := 0; i+step <= len(pix); i += step {
		for c := range colours {
			v := float64(uint16(pix[i+2*c])<<8 | uint16(pix[i+2*c+1]))
			n := uint16(max(0, min((v-black)*factor+0.5, 0xffff)))
			pix[i+2*c], pix[i+2*c+1] = uint8(n>>8), uint8(n)
		}
	}
}
