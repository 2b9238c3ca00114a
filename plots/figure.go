package plots

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"strings"

	"finetune/internal/durable"

	xdraw "golang.org/x/image/draw"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
)

// Width is the width of a figure in CSS pixels; its PNG has twice as many.
type Width int

// The widths that the report embeds: one for a desk, one for a phone.
const (
	Wide   Width = 640
	Narrow Width = 344
)

// Plot is a figure's numbers. Draw returns equal bytes for equal numbers. It
// accepts empty and non-finite input, which it draws or names; its errors come
// from the PNG encoder alone.
type Plot interface {
	Draw(w Width) (Figure, error)
}

// Figure is a finished picture. Title states its finding, Alt says in words
// what it shows; Width and Height are in CSS pixels.
type Figure struct {
	Title, Alt    string
	Width, Height int
	PNG           []byte
}

// Write creates the PNG file path.
func (f Figure) Write(path string) error { return durable.WriteFile(path, f.PNG) }

// swatch is an entry of a figure's key: a colour and what wears it.
type swatch struct {
	colour color.Color
	text   string
}

// sheet is a page under construction. Its coordinates are CSS pixels from the
// top left; the body of the figure starts below the header, at y = top.
type sheet struct {
	canvas      *vgimg.Canvas
	c           draw.Canvas
	w, h, top   float64
	title, note string
	photographs bool // keep true colours
}

const density = 2 // pixels a CSS pixel
const margin = 16 // CSS pixels left free on all sides of a sheet

// header is what stands above every figure: the finding, how to read it, the key.
type header struct {
	title, note string
	key         []swatch
}

// newSheet opens a sheet with its header drawn and body pixels of room below it.
func newSheet(w Width, hd header, body float64) *sheet {
	room := float64(w) - 2*margin
	title := wrap(titleText, hd.title, room)
	note := wrap(noteText, hd.note, room)
	rows := keyRows(hd.key, room)
	top := margin + 22*float64(len(title)) + 18*float64(len(note)) + 20*float64(len(rows))
	if len(title)+len(note)+len(rows) > 0 {
		top += 12
	}
	s := &sheet{w: float64(w), h: top + body + margin, top: top, title: hd.title, note: hd.note}
	s.canvas = vgimg.NewWith(vgimg.UseWH(px(s.w), px(s.h)), vgimg.UseDPI(96*density), vgimg.UseBackgroundColor(Paper))
	s.c = draw.New(s.canvas)
	y := float64(margin)
	for _, line := range title {
		s.text(titleText, margin, y+11, line)
		y += 22
	}
	y += 2
	for _, line := range note {
		s.text(noteText, margin, y+8, line)
		y += 18
	}
	for _, row := range rows {
		s.keyRow(row, y+10)
		y += 20
	}
	return s
}

// keyRows breaks a key into rows that fit room.
func keyRows(key []swatch, room float64) [][]swatch {
	var rows [][]swatch
	used := room
	for _, k := range key {
		k.text = fit(noteText, k.text, room-24)
		need := 18 + width(noteText, k.text) + 18
		if used+need-18 > room {
			rows, used = append(rows, nil), 0
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], k)
		used += need
	}
	return rows
}

func (s *sheet) keyRow(row []swatch, y float64) {
	x := float64(margin)
	for _, k := range row {
		s.rect(x, y-5, 12, 10, k.colour)
		s.text(noteText, x+18, y, k.text)
		x += 18 + width(noteText, k.text) + 18
	}
}

// px turns CSS pixels into the lengths of gonum's canvases.
func px(v float64) vg.Length { return vg.Length(v) * vg.Inch / 96 }

func (s *sheet) at(x, y float64) vg.Point { return vg.Point{X: px(x), Y: px(s.h - y)} }

// text draws one line, its vertical middle at y; the style says which end of it x is.
func (s *sheet) text(sty draw.TextStyle, x, y float64, line string) {
	if line != "" {
		s.c.FillText(sty, s.at(x, y), printable(line))
	}
}

func (s *sheet) rect(x, y, w, h float64, c color.Color) {
	s.c.FillPolygon(c, []vg.Point{s.at(x, y), s.at(x+w, y), s.at(x+w, y+h), s.at(x, y+h)})
}

func (s *sheet) line(x0, y0, x1, y1, thick float64, c color.Color) {
	s.c.StrokeLines(draw.LineStyle{Color: c, Width: px(thick)}, []vg.Point{s.at(x0, y0), s.at(x1, y1)})
}

// area is the part of the sheet that a gonum plot may fill.
func (s *sheet) area(x, y, w, h float64) draw.Canvas {
	return draw.Canvas{Canvas: s.canvas, Rectangle: vg.Rectangle{Min: s.at(x, y+h), Max: s.at(x+w, y)}}
}

// body is all of the sheet below the header.
func (s *sheet) body() draw.Canvas {
	return s.area(margin, s.top, s.w-2*margin, s.h-margin-s.top)
}

// image draws im into the box, whole and centred.
func (s *sheet) image(im image.Image, x, y, w, h float64) {
	b := im.Bounds()
	if b.Empty() {
		return
	}
	scale := min(w/float64(b.Dx()), h/float64(b.Dy()))
	dw, dh := float64(b.Dx())*scale, float64(b.Dy())*scale
	x, y = x+(w-dw)/2, y+(h-dh)/2
	pixel := func(v float64) int { return int(math.Round(v * density)) }
	to := image.Rect(pixel(x), pixel(y), pixel(x+dw), pixel(y+dh))
	// Straight into the pixels: the canvas resamples photographs ten times as slowly.
	xdraw.ApproxBiLinear.Scale(s.canvas.Image(), to, im, b, xdraw.Over, nil)
}

// figure encodes the sheet. alt completes the title with what a reader who
// cannot see the picture needs.
func (s *sheet) figure(alt string) (Figure, error) {
	data, err := encode(s.canvas.Image(), s.photographs)
	if err != nil {
		return Figure{}, fmt.Errorf("plots: %s: encode: %w", s.title, err)
	}
	return Figure{
		Title: s.title, Alt: strings.TrimSpace(s.title + ". " + alt),
		Width: int(s.w), Height: int(s.h), PNG: data,
	}, nil
}

// nothing says in place of a picture why there is none.
func (s *sheet) nothing(why string) (Figure, error) {
	s.text(aligned(noteText, draw.XCenter), s.w/2, (s.top+s.h)/2-margin, why)
	return s.figure("None: " + why + ".")
}
