package plots

import (
	"fmt"
	"image"
	"image/color"
	"strings"

	"gonum.org/v1/plot/vg/draw"

	"finetune/internal/plural"
)

// Grid is pictures in rows, each with a caption: the augmentation preview.
type Grid struct {
	Title    string
	Images   []image.Image
	Captions []string // may be shorter than Images
	Columns  int      // at most; a narrow figure has fewer. 0: three
}

// Draw implements Plot.
func (f Grid) Draw(w Width) (Figure, error) {
	cards := make([]card, len(f.Images))
	for i, im := range f.Images {
		cards[i].image = im
		if i < len(f.Captions) {
			cards[i].lines = []caption{{f.Captions[i], "", noteText}}
		}
	}
	columns := f.Columns
	if columns <= 0 {
		columns = 3
	}
	if w < 500 {
		columns = min(columns, 2)
	}
	return deal(w, header{title: f.Title}, cards, columns)
}

// Gallery is photographs with what they show and what the model said.
type Gallery struct {
	Title string
	Items []GalleryItem
}

// GalleryItem is one photograph of a gallery.
type GalleryItem struct {
	Image       image.Image // nil: not available
	True, Said  string      // true and predicted class
	Right       bool
	Probability float64 // of the predicted class, 0 to 1
	Name        string  // file name
}

// Draw implements Plot.
func (f Gallery) Draw(w Width) (Figure, error) {
	cards := make([]card, len(f.Items))
	for i, it := range f.Items {
		mark, verdict := blue, "right"
		if !it.Right {
			mark, verdict = red, "wrong"
		}
		cards[i] = card{image: it.Image, mark: mark, lines: []caption{
			{"true " + it.True, "", boldText},
			{"predicted " + it.Said, ", " + Percent(it.Probability), tinted(noteText, mark)},
			{it.Name, "", smallText},
		}, alt: fmt.Sprintf("%s, %s", it.Name, verdict)}
	}
	columns := 4
	if w < 500 {
		columns = 2
	}
	return deal(w, header{title: f.Title}, cards, columns)
}

// card is a picture with lines of text below it.
type card struct {
	image image.Image
	mark  color.Color // a bar along the top edge; nil: none
	lines []caption
	alt   string
}

// caption is a line whose text may be cut to fit, its tail never.
type caption struct {
	text, tail string
	style      draw.TextStyle
}

// deal lays cards out in rows of columns.
func deal(w Width, hd header, cards []card, columns int) (Figure, error) {
	if len(cards) == 0 {
		s := newSheet(w, hd, 40)
		return s.nothing("no photographs in this group")
	}
	const gap = 12.0
	columns = min(columns, len(cards))
	side := min(240, (float64(w)-2*margin-gap*float64(columns-1))/float64(columns))
	tall, lines := 0.0, 0
	for _, c := range cards {
		lines = max(lines, len(c.lines))
		if c.image != nil {
			b := c.image.Bounds()
			tall = max(tall, min(side, side*float64(b.Dy())/float64(max(1, b.Dx()))))
		}
	}
	if tall == 0 {
		tall = side * 0.75
	}
	rowHeight := tall + 6 + 18*float64(lines) + gap
	rows := (len(cards) + columns - 1) / columns
	s := newSheet(w, hd, rowHeight*float64(rows)-gap)
	var alts []string
	for i, c := range cards {
		x := margin + float64(i%columns)*(side+gap)
		y := s.top + float64(i/columns)*rowHeight
		s.card(c, x, y, side, tall)
		if c.alt != "" && len(alts) < 8 {
			alts = append(alts, c.alt)
		}
	}
	return s.figure(fmt.Sprintf("%s. %s", plural.Count(len(cards), "picture"), strings.Join(alts, "; ")))
}

func (s *sheet) card(c card, x, y, side, tall float64) {
	s.rect(x, y, side, tall, color.NRGBA{0xF1, 0xF3, 0xF5, 0xFF})
	if c.image != nil {
		s.photographs = true
		s.image(c.image, x, y, side, tall)
	} else {
		s.text(aligned(smallText, draw.XCenter), x+side/2, y+tall/2, fit(smallText, "photograph not available", side-8))
	}
	if c.mark != nil {
		s.rect(x, y+tall, side, 3, c.mark)
	}
	y += tall + 16
	for _, l := range c.lines {
		s.text(l.style, x, y, fit(l.style, l.text, side-width(l.style, l.tail))+l.tail)
		y += 18
	}
}
