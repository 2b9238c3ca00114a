package plots

import (
	"fmt"
	"image"
	"image/color"
	imagedraw "image/draw"
	"math"
	"sort"
	"strconv"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Confusion is the confusion matrix: true class by row, predicted class by
// column, always all classes. Few classes have counts and row shares in their
// cells; many have colour alone and a table of the most frequent mistakes.
type Confusion struct {
	Classes []string
	Counts  [][]int // [true][predicted], square, a row for each of Classes
}

// Draw implements Plot.
func (f Confusion) Draw(w Width) (Figure, error) {
	m := f.plan(w)
	pairs := Confused(f.Counts)
	rows := 0
	if m.n > 6 {
		rows = min(10, len(pairs))
	}
	body := m.top + m.side + m.bottom
	if rows > 0 {
		body += 34 + 20*float64(rows)
	}
	s := newSheet(w, header{title: f.finding(pairs), note: f.note(m),
		key: []swatch{{shade(1, true), "right"}, {shade(1, false), "wrong"}}}, max(body, 60))
	if m.n == 0 {
		return s.nothing("no classes")
	}
	m.y = s.top + m.top
	f.cells(s, m)
	f.names(s, m)
	if rows > 0 {
		f.table(s, m.y+m.side+m.bottom+20, pairs[:rows])
	}
	return s.figure(f.words(pairs))
}

// matrix is the layout of the cells, in CSS pixels of the sheet.
type matrix struct {
	n                  int
	x, y, top, side    float64
	cell, bottom, left float64 // left: room for the names of rows
	named, slant       bool    // classes named along the axes; the column names slanted
}

// plan chooses named cells if they can be legible, otherwise a raster.
func (f Confusion) plan(w Width) matrix {
	m := matrix{n: len(f.Classes), top: 8}
	n := float64(max(1, m.n))
	room := float64(w) - 2*margin - 22 // less the title of the vertical axis
	longest := 0.0
	for _, c := range f.Classes {
		longest = max(longest, width(labelText, c))
	}
	m.left = min(longest, room*0.2) + 8
	m.cell = min((room-m.left-46)/n, 130) // 46: the share right at the end of a row
	m.named = m.cell >= 11
	switch {
	case !m.named:
		m.left, m.bottom = 38, 44
		m.cell = min((room-m.left-6)/n, 560/n)
	case longest+6 > m.cell:
		m.slant = true
		m.bottom = min(longest, 110)*0.72 + 36
	default:
		m.bottom = 48
	}
	m.side = m.cell * float64(m.n)
	m.x = margin + 22 + m.left
	return m
}

func (f Confusion) finding(pairs []Pair) string {
	right, n := 0, 0
	for t, row := range f.Counts {
		for p, v := range row {
			n += v
			if p == t {
				right += v
			}
		}
	}
	switch {
	case n == 0:
		return "Confusion matrix: no labelled photographs"
	case len(pairs) == 0:
		return fmt.Sprintf("No mistakes: all %s right", Count(n))
	}
	p := pairs[0]
	if p.Count == 1 && n-right > 1 {
		return fmt.Sprintf("%s of %s, no two of the same kind", CountOf(n-right, "mistake"), Count(n))
	}
	return fmt.Sprintf("Most frequent mistake: %s predicted as %s, %s of %s", f.Classes[p.True],
		f.Classes[p.Predicted], Count(p.Count), Count(p.Total))
}

func (f Confusion) note(m matrix) string {
	switch {
	case m.cell >= 44:
		return "Photographs, and their share of the row (the true class); darker is a larger share"
	case m.named:
		return "Photographs; darker is a larger share of the row (the true class)"
	}
	return fmt.Sprintf("%s in order; a dot is a kind of mistake, darker for a larger share of the row",
		CountOf(m.n, "class"))
}

func (f Confusion) words(pairs []Pair) string {
	alt := fmt.Sprintf("Confusion matrix of %s, true class by row, predicted class by column.",
		CountOf(len(f.Classes), "class"))
	for _, p := range pairs[:min(3, len(pairs))] {
		alt += fmt.Sprintf(" %s predicted as %s: %d of %d.",
			f.Classes[p.True], f.Classes[p.Predicted], p.Count, p.Total)
	}
	return alt
}

// shade is the colour of a cell that holds share of its row: the square root
// keeps single mistakes visible.
func shade(share float64, right bool) color.NRGBA {
	full := color.NRGBA{0xC4, 0x4E, 0x00, 0xFF}
	if right {
		full = blue
	}
	t := math.Sqrt(share)
	mix := func(to uint8) uint8 { return uint8(math.Round(float64(250) + t*(float64(to)-250))) }
	if share == 0 {
		return color.NRGBA{0xF4, 0xF6, 0xF8, 0xFF}
	}
	return color.NRGBA{mix(full.R), mix(full.G), mix(full.B), 0xFF}
}

// onShade is a text colour that can be read on shade(share).
func onShade(share float64) color.Color {
	if share > 0.35 {
		return Paper
	}
	return ink
}

func (f Confusion) cells(s *sheet, m matrix) {
	if !m.named {
		s.image(f.raster(m), m.x, m.y, m.side, m.side)
		return
	}
	gap := min(2, m.cell/12)
	for t, row := range f.Counts {
		total := Sum(row)
		y := m.y + float64(t)*m.cell
		for p, v := range row {
			x := m.x + float64(p)*m.cell
			s.rect(x, y, m.cell-gap, m.cell-gap, shade(float64(v)/max(1, float64(total)), p == t))
			f.cellText(s, m, x+(m.cell-gap)/2, y+(m.cell-gap)/2, v, total)
		}
		f.rowEnd(s, m, y+m.cell/2, row[t], total)
	}
}

// raster paints the matrix at the figure's own resolution. A cell of a mistake
// covers at least 4 by 4 pixels, so that one among a million is seen; darker
// ones lie above paler ones.
func (f Confusion) raster(m matrix) image.Image {
	side := int(math.Round(2 * m.side))
	im := image.NewNRGBA(image.Rect(0, 0, side, side))
	imagedraw.Draw(im, im.Bounds(), image.NewUniform(shade(0, true)), image.Point{}, imagedraw.Src)
	each := float64(side) / float64(m.n)
	paint := func(t, p int, least float64, c color.Color) {
		size := max(each, least)
		x, y := (float64(p)+0.5)*each-size/2, (float64(t)+0.5)*each-size/2
		box := image.Rect(int(math.Round(x)), int(math.Round(y)), int(math.Round(x+size)), int(math.Round(y+size)))
		imagedraw.Draw(im, box, image.NewUniform(c), image.Point{}, imagedraw.Src)
	}
	pairs := Confused(f.Counts)
	share := func(p Pair) float64 { return float64(p.Count) / float64(p.Total) }
	sort.SliceStable(pairs, func(i, j int) bool { return share(pairs[i]) < share(pairs[j]) })
	for t, row := range f.Counts {
		if total := Sum(row); total > 0 {
			paint(t, t, 3, shade(float64(row[t])/float64(total), true))
		}
	}
	for _, p := range pairs {
		paint(p.True, p.Predicted, 4, shade(0.15+0.85*share(p), false))
	}
	return im
}

// cellText writes the count, and below it the share where the cell is tall
// enough; zeros are left out of crowded matrices.
func (f Confusion) cellText(s *sheet, m matrix, x, y float64, v, total int) {
	share := float64(v) / max(1, float64(total))
	sty, small := face(15, true, onShade(share)), face(12, false, onShade(share))
	if m.cell < 44 {
		sty = face(min(12, m.cell*0.6), false, onShade(share))
	}
	sty, small = aligned(sty, draw.XCenter), aligned(small, draw.XCenter)
	label := Count(v)
	if v == 0 && m.cell < 44 || width(sty, label) > m.cell-3 {
		return
	}
	if m.cell < 44 || total == 0 {
		s.text(sty, x, y, label)
		return
	}
	s.text(sty, x, y-9, label)
	s.text(small, x, y+10, fmt.Sprintf("%.0f %%", 100*share))
}

func (f Confusion) rowEnd(s *sheet, m matrix, y float64, right, total int) {
	sty := labelText
	if m.cell < 20 {
		sty = face(10, false, ink)
	}
	text := "no photos"
	if total > 0 {
		text = fmt.Sprintf("%.0f %%", 100*float64(right)/float64(total))
	} else {
		sty = face(10, false, soft)
	}
	s.text(sty, m.x+m.side+6, y, text)
}

// names writes the classes along both axes, or a scale of class numbers where
// cells are too small for names.
func (f Confusion) names(s *sheet, m matrix) {
	up := aligned(noteText, draw.XCenter)
	s.text(up, m.x+m.side/2, m.y+m.side+m.bottom-10, "predicted class")
	up.Rotation = math.Pi / 2
	s.text(up, margin+8, m.y+m.side/2, "true class")
	if !m.named {
		f.scale(s, m)
		return
	}
	row := aligned(labelText, draw.XRight)
	if m.cell < 20 {
		row = aligned(face(11, false, ink), draw.XRight)
	}
	for i, c := range f.Classes {
		mid := (float64(i) + 0.5) * m.cell
		s.text(row, m.x-6, m.y+mid, fit(row, c, m.left-6))
		if !m.slant {
			s.text(aligned(labelText, draw.XCenter), m.x+mid, m.y+m.side+12, c)
			continue
		}
		// lines at 45 degrees lie 0.7 of a cell apart
		slanted := aligned(face(max(8, min(12, m.cell*0.75)), false, ink), draw.XRight)
		slanted.Rotation = math.Pi / 4
		s.text(slanted, m.x+mid+2, m.y+m.side+5, fit(slanted, c, 110))
	}
	s.text(smallText, m.x+m.side+6, m.y-6, "right")
}

func (f Confusion) scale(s *sheet, m matrix) {
	for _, t := range (ticks{whole: true}).Ticks(1, float64(m.n)) {
		if t.Value < 1 {
			continue
		}
		mid := (t.Value - 0.5) * m.cell
		s.text(aligned(tickText, draw.XRight), m.x-8, m.y+mid, t.Label)
		s.line(m.x-5, m.y+mid, m.x-1, m.y+mid, 1, soft)
		s.text(aligned(tickText, draw.XCenter), m.x+mid, m.y+m.side+14, t.Label)
		s.line(m.x+mid, m.y+m.side+1, m.x+mid, m.y+m.side+5, 1, soft)
	}
	s.c.StrokeLines(draw.LineStyle{Color: soft, Width: px(1)}, []vg.Point{
		s.at(m.x, m.y), s.at(m.x+m.side, m.y), s.at(m.x+m.side, m.y+m.side), s.at(m.x, m.y+m.side), s.at(m.x, m.y)})
}

// table lists the most frequent mistakes below the matrix.
func (f Confusion) table(s *sheet, y float64, pairs []Pair) {
	s.text(boldText, margin, y, "Most frequent mistakes (true → predicted)")
	most := float64(pairs[0].Count)
	room := s.w - 2*margin
	bar, share := room*0.16, 92.0
	if s.w < 500 {
		bar, share = 0, 66
	}
	for _, p := range pairs {
		y += 20
		text := f.Classes[p.True] + " → " + f.Classes[p.Predicted]
		s.text(labelText, margin, y, fit(labelText, text, room-bar-share-20))
		x := s.w - margin - share - bar - 8
		s.rect(x, y-6, bar*float64(p.Count)/most, 12, shade(1, false))
		s.text(aligned(labelText, draw.XRight), s.w-margin, y, strconv.Itoa(p.Count)+" of "+strconv.Itoa(p.Total))
	}
}

// Sum adds up counts.
func Sum(v []int) int {
	n := 0
	for _, k := range v {
		n += k
	}
	return n
}
