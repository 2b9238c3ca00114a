package plots

import (
	"fmt"
	"image/color"
	"sort"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg/draw"

	"finetune/internal/plural"
)

// Balance is the number of photographs of each class.
type Balance struct {
	Classes      []string
	Train, Valid []int // [classes]
}

// Draw implements Plot.
func (f Balance) Draw(w Width) (Figure, error) {
	hd := header{title: f.finding(), key: []swatch{{orange, "training"}, {blue, "validation"}}}
	n := len(f.Classes)
	if n == 0 {
		return newSheet(w, header{title: hd.title}, 40).nothing("no classes")
	}
	if n > 40 {
		return f.ranked(w, hd)
	}
	row, bar := 34.0, 12.0
	if n > 12 {
		row, bar = 25, 9
	}
	s := newSheet(w, hd, row*float64(n)+4)
	names := 0.0
	for _, c := range f.Classes {
		names = max(names, width(labelText, c))
	}
	names = min(names, (s.w-2*margin)*0.3)
	most := 1
	for c := range n {
		most = max(most, At(f.Train, c), At(f.Valid, c))
	}
	x := margin + names + 10
	room := s.w - margin - x - 56
	for c, name := range f.Classes {
		y := s.top + row*float64(c)
		s.text(aligned(labelText, draw.XRight), x-10, y+row/2, fit(labelText, name, names))
		for k, v := range []int{At(f.Train, c), At(f.Valid, c)} {
			long := room * float64(v) / float64(most)
			yk := y + 3 + (bar+1)*float64(k)
			s.rect(x, yk, max(1, long), bar, halves[k])
			s.text(face(bar, false, soft), x+long+6, yk+bar/2, Count(v))
		}
	}
	return s.figure(fmt.Sprintf("Photographs of each of %s in training and validation.", plural.Count(n, "class")))
}

// halves are the colours of training and validation.
var halves = [2]color.NRGBA{orange, blue}

// ranked draws many classes as a curve from the largest to the smallest.
func (f Balance) ranked(w Width, hd header) (Figure, error) {
	s := newSheet(w, hd, 260)
	p := newPlot("classes, largest first", "photographs")
	top := 1
	for k, counts := range [][]int{f.Train, f.Valid} {
		sorted := append([]int(nil), counts...)
		sort.Sort(sort.Reverse(sort.IntSlice(sorted)))
		var xys plotter.XYs
		for i, v := range sorted {
			xys = append(xys, plotter.XY{X: float64(i + 1), Y: float64(v)})
			top = max(top, v)
		}
		if len(xys) > 0 {
			p.Add(lineOf(xys, halves[k], 2.2))
		}
	}
	frame(p, 1, float64(len(f.Classes)), 0, float64(top)*1.05)
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{whole: true}, ticks{whole: true}
	p.Draw(s.body())
	return s.figure(fmt.Sprintf("Photographs per class of %s, largest first.", CountOf(len(f.Classes), "class")))
}

func (f Balance) finding() string {
	small, large := -1, -1
	for c := range f.Classes {
		if small < 0 || At(f.Train, c) < At(f.Train, small) {
			small = c
		}
		if large < 0 || At(f.Train, c) > At(f.Train, large) {
			large = c
		}
	}
	switch {
	case small < 0 || len(f.Train) == 0:
		return "Photographs per class"
	case At(f.Train, small) == At(f.Train, large):
		return fmt.Sprintf("Balanced: %s of every class", CountOf(At(f.Train, small), "training photograph"))
	}
	return fmt.Sprintf("%s to train on: fewest %s (%s), most %s (%s)", Count(Sum(f.Train)),
		f.Classes[small], Count(At(f.Train, small)), f.Classes[large], Count(At(f.Train, large)))
}

// At is v[i], 0 beyond its end.
func At(v []int, i int) int {
	if i < len(v) {
		return v[i]
	}
	return 0
}
