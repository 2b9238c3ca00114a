package page

import (
	"bytes"
	"html/template"
	"image"
	"image/color"
	"image/png"
	"math"
)

// Look is how much each place of a photograph speaks for a class.
type Look struct {
	Class         string
	Rows, Columns int
	Levels        []uint8 // [Rows*Columns], row by row, the strongest 255
}

// View is the part of a photograph that the model gets: all of it, or the square in the middle, and of
// each side of that the share in the middle.
type View struct {
	Whole bool
	Share float64 // 0 to 1
}

// part is the view of a picture w × h, in its pixels.
func (v View) part(w, h float64) (x, y, width, height float64) {
	width, height = w, h
	if !v.Whole {
		width = min(w, h)
		height = width
	}
	width, height = width*v.Share, height*v.Share
	return (w - width) / 2, (h - height) / 2, width, height
}

// lookSide is the longer side of a look's picture, in pixels, which the browser enlarges.
const lookSide = 40

// look is a picture to be laid over the thumbnail of a photograph, "" if it has none.
func (b *builder) look(path string) template.URL {
	l, card := b.r.Looks[path], b.thumbs[path].card
	if len(l.Levels) == 0 || card == nil || len(l.Levels) != l.Rows*l.Columns {
		return ""
	}
	size := card.Bounds().Size()
	scale := lookSide / float64(max(size.X, size.Y))
	w, h := max(int(math.Round(scale*float64(size.X))), 1), max(int(math.Round(scale*float64(size.Y))), 1)
	im := image.NewPaletted(image.Rect(0, 0, w, h), heat)
	x0, y0, width, height := b.r.View.part(float64(w), float64(h))
	for y := range h {
		for x := range w {
			u, v := (float64(x)+.5-x0)/width, (float64(y)+.5-y0)/height
			if u >= 0 && u < 1 && v >= 0 && v < 1 {
				im.SetColorIndex(x, y, uint8(math.Round(l.at(u, v)/255*float64(len(heat)-1))))
			}
		}
	}
	var buf bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&buf, im); err != nil {
		return ""
	}
	return dataURI("image/png", buf.Bytes())
}

// at is the level at a point, each side from 0 to 1, between the middles of places in proportion.
func (l Look) at(u, v float64) float64 {
	x, y := u*float64(l.Columns)-.5, v*float64(l.Rows)-.5
	x0, y0 := math.Floor(x), math.Floor(y)
	level := func(x, y float64) float64 {
		c, r := min(max(int(x), 0), l.Columns-1), min(max(int(y), 0), l.Rows-1)
		return float64(l.Levels[r*l.Columns+c])
	}
	above := level(x0, y0)*(x0+1-x) + level(x0+1, y0)*(x-x0)
	below := level(x0, y0+1)*(x0+1-x) + level(x0+1, y0+1)*(x-x0)
	return above*(y0+1-y) + below*(y-y0)
}

// heat are the colours of levels: nothing, then violet to yellow, ever less transparent.
var heat = func() color.Palette {
	stops := []color.NRGBA{{90, 20, 140, 0}, {150, 30, 130, 110}, {230, 80, 60, 165}, {255, 190, 30, 190},
		{255, 250, 130, 205}}
	var p color.Palette
	const n = 32
	for i := range n {
		at := float64(i) / (n - 1) * float64(len(stops)-1)
		k := min(int(at), len(stops)-2)
		a, b, t := stops[k], stops[k+1], at-float64(k)
		mix := func(x, y uint8) uint8 { return uint8(math.Round(float64(x)*(1-t) + float64(y)*t)) }
		p = append(p, color.NRGBA{mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B), mix(a.A, b.A)})
	}
	return p
}()
