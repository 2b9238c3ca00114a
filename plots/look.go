package plots

import (
	"image"
	"image/color"
	"math"
	"strings"
	"unicode"

	stdfont "golang.org/x/image/font"
	"golang.org/x/image/font/sfnt"
	"golang.org/x/image/math/fixed"
	"gonum.org/v1/plot/font"
	_ "gonum.org/v1/plot/font/liberation" // the fonts of every figure travel in the binary
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// The palette of figures and page: Okabe and Ito 2008, told apart by readers
// with any kind of colour blindness, and by lightness in grey print.
var (
	blue   = color.NRGBA{0x00, 0x72, 0xB2, 0xFF} // validation, the class asked for, "right"
	orange = color.NRGBA{0xE6, 0x9F, 0x00, 0xFF} // training
	red    = color.NRGBA{0xD5, 0x5E, 0x00, 0xFF} // "wrong", and what asks for attention
	green  = color.NRGBA{0x00, 0x9E, 0x73, 0xFF} // a third series
	pink   = color.NRGBA{0xCC, 0x79, 0xA7, 0xFF}
	sky    = color.NRGBA{0x56, 0xB4, 0xE9, 0xFF}

	Paper = color.NRGBA{0xFF, 0xFF, 0xFF, 0xFF}
	ink   = color.NRGBA{0x1A, 0x1F, 0x26, 0xFF}
	soft  = color.NRGBA{0x55, 0x5F, 0x6B, 0xFF} // notes and axis labels; 6.6:1 on paper
	faint = color.NRGBA{0xE3, 0xE7, 0xEB, 0xFF} // grid lines and empty cells
)

// series are the colours of groups, in order; a seventh starts again.
var series = []color.NRGBA{blue, orange, green, red, pink, sky}

// The type scale, in CSS pixels.
var (
	titleText = face(17, true, ink)
	noteText  = face(13, false, soft)
	labelText = face(13, false, ink)
	boldText  = face(13, true, ink)
	tickText  = face(12, false, soft)
	smallText = face(11, false, soft)
)

func face(size float64, bold bool, c color.Color) draw.TextStyle {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: px(size)}
	if bold {
		f.Weight = stdfont.WeightBold
	}
	return draw.TextStyle{Color: c, Font: f, YAlign: draw.YCenter, Handler: glyphs{text.Plain{Fonts: font.DefaultCache}}}
}

// glyphs draws upright lines of text straight into a PNG canvas's pixels. The
// canvas itself resamples every glyph, which was a sixth of a report's time.
type glyphs struct{ text.Plain }

// Draw implements text.Handler.
func (h glyphs) Draw(c vg.Canvas, txt string, sty text.Style, pt vg.Point) {
	canvas, ok := pixels(c)
	if !ok || sty.Rotation != 0 || strings.Contains(txt, "\n") {
		h.Plain.Draw(c, txt, sty, pt)
		return
	}
	fnt := h.Fonts.Lookup(sty.Font, sty.Font.Size)
	face := fnt.FontFace(canvas.DPI())
	defer face.Close()
	pt.X += vg.Length(sty.XAlign) * fnt.Width(txt)
	pt.Y += sty.Height(txt)*vg.Length(sty.YAlign) - fnt.Extents().Ascent + sty.Font.Size
	_, tall := canvas.Size()
	d := stdfont.Drawer{Dst: canvas.Image(), Src: image.NewUniform(sty.Color), Face: face, Dot: fixed.Point26_6{
		X: fixed.Int26_6(math.Round(64 * pt.X.Dots(canvas.DPI()))),
		Y: fixed.Int26_6(math.Round(64 * (tall - pt.Y).Dots(canvas.DPI()))),
	}}
	d.DrawString(txt)
}

// pixels is the PNG canvas that parts of a figure are cut from.
func pixels(c vg.Canvas) (*vgimg.Canvas, bool) {
	for {
		part, ok := c.(*draw.Canvas)
		if !ok {
			break
		}
		c = part.Canvas
	}
	canvas, ok := c.(*vgimg.Canvas)
	return canvas, ok
}

func aligned(sty draw.TextStyle, x text.XAlignment) draw.TextStyle {
	sty.XAlign = x
	return sty
}

func tinted(sty draw.TextStyle, c color.Color) draw.TextStyle {
	sty.Color = c
	return sty
}

// width is the length of one drawn line in CSS pixels.
func width(sty draw.TextStyle, s string) float64 {
	return float64(sty.Width(printable(s)) / px(1))
}

// printable replaces what the fonts cannot draw (they hold Latin, Greek,
// Cyrillic and Hebrew) by an open box, and control characters by spaces. The
// page beside the figures carries the full names.
func printable(s string) string {
	f := font.DefaultCache.Lookup(noteText.Font, noteText.Font.Size).Face
	var buf sfnt.Buffer
	ascii := true
	for i := 0; i < len(s) && ascii; i++ {
		ascii = s[i] >= ' ' && s[i] < 0x7F
	}
	if ascii {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r), unicode.Is(unicode.Mn, r):
			return -1
		}
		if g, err := f.GlyphIndex(&buf, r); err != nil || g == 0 {
			return '□'
		}
		return r
	}, s)
}

// fit shortens s from its end, with an ellipsis, until it is at most room wide.
func fit(sty draw.TextStyle, s string, room float64) string {
	s = printable(s)
	if width(sty, s) <= room {
		return s
	}
	r := []rune(s)
	lo, hi := 0, len(r)
	for lo < hi { // the longest prefix that still fits
		mid := (lo + hi + 1) / 2
		if width(sty, string(r[:mid])+"…") <= room {
			lo = mid
		} else {
			hi = mid - 1
		}
	}
	return strings.TrimRight(string(r[:lo]), " ") + "…"
}

// wrap breaks s at spaces into lines at most room wide; a longer word is cut.
func wrap(sty draw.TextStyle, s string, room float64) []string {
	var lines []string
	line := ""
	for _, word := range strings.Split(printable(s), " ") { // at no-break spaces never
		switch {
		case word == "":
		case line == "":
			line = word
		case width(sty, line+" "+word) <= room:
			line += " " + word
		default:
			lines = append(lines, fit(sty, line, room))
			line = word
		}
	}
	if line != "" {
		lines = append(lines, fit(sty, line, room))
	}
	return lines
}
