package audit

import (
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
)

// TestBasics: pictures with one fault each, and one with none.
func TestBasics(t *testing.T) {
	const w, h = 100, 80
	fill := func(of func(x, y int) uint8) []uint8 {
		var pix []uint8
		for y := range h {
			for x := range w {
				v := of(x, y)
				pix = append(pix, v, v, v)
			}
		}
		return pix
	}
	r := rand.New(rand.NewPCG(1, 1))
	good := Facts{Width: 100, Height: 80, Pixels: MeasurePixels(scene(3, w, h), w, h)}
	with := func(pix []uint8) Facts { return Facts{Width: 100, Height: 80, Pixels: MeasurePixels(pix, w, h)} }
	facts := []Facts{good, good, good, good, good, good,
		with(fill(func(int, int) uint8 { return uint8(r.IntN(60)) })),      // 6: dark
		with(fill(func(int, int) uint8 { return uint8(249 + r.IntN(7)) })), // 7: light, and of few values
		with(fill(func(int, int) uint8 { return 130 })),                    // 8: of one colour
		{Width: 900, Height: 90, Pixels: good.Pixels},                      // 9: narrow
		{Width: 3000, Height: 3000, Pixels: good.Pixels},                   // 10: of an odd size
	}
	want := map[int]string{6: "dark", 7: "light", 8: "one colour", 9: "narrow", 10: "odd size"}
	got := map[int]map[string]bool{}
	for _, b := range Basics(facts) {
		if got[b.Row] == nil {
			got[b.Row] = map[string]bool{}
		}
		got[b.Row][b.What] = true
		if b.Score <= 0 || b.Score > 1 || b.Why == "" {
			t.Errorf("%+v", b)
		}
	}
	for i := range facts {
		if want[i] == "" && got[i] != nil || want[i] != "" && !got[i][want[i]] {
			t.Errorf("photograph %d: %v, want %q", i, got[i], want[i])
		}
	}
}

// TestMeasures: by hand. Half the pixels black, half of a grey of 128.
func TestMeasures(t *testing.T) {
	var pix []uint8
	for i := range 10000 {
		v := uint8(128 * (i % 2))
		pix = append(pix, v, v, v)
	}
	m := MeasurePixels(pix, 100, 100)
	if math.Abs(m.Dark-128./255) > 1e-3 || m.Light != 0 || math.Abs(m.Entropy-1) > 1e-12 || !m.Grey ||
		math.Abs(m.Mean[1]-64./255) > 1e-12 {
		t.Errorf("%+v", m)
	}
	if s := Shrink([]uint8{0, 0, 0, 100, 100, 100, 200, 200, 200, 60, 60, 60}, 4, 1, 2, 1); s[0] != 50 || s[1] != 130 {
		t.Errorf("by area: %v, want 50 and 130", s)
	}
}

// want: by hand, of 3×2 pairs: .9 > both, .5 ties one and beats one, .1 beats none: (2+1.5+0)/6.
func TestAUC(t *testing.T) {
	if got := auc([]float64{.9, .5, .1}, []float64{.5, .2}); math.Abs(got-3.5/6) > 1e-12 {
		t.Errorf("%.4f, want %.4f", got, 3.5/6)
	}
	// Hanley and McNeil 1982, table II: area .8 with 50 and 50 has an error of about .0441.
	if got := aucError(.8, 50, 50); math.Abs(got-.0441) > 5e-4 {
		t.Errorf("error %.4f", got)
	}
}

// TestMetadata: a class that was saved otherwise is told, files alike are not.
func TestMetadata(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	make400 := func(change func(f *Facts, y int)) []Leak {
		var facts []Facts
		var labels []int
		var valid []bool
		for i := range 400 {
			f := Facts{Width: 300 + r.IntN(300), Height: 300 + r.IntN(300), Bytes: int64(20000 + r.IntN(90000)), Format: "jpeg",
				Compression: []string{"a", "b", "c"}[r.IntN(3)], Quantum: 5 + 20*r.Float64()}
			f.Pixels.Mean = [3]float64{r.Float64(), r.Float64(), r.Float64()}
			change(&f, i%2)
			facts, labels, valid = append(facts, f), append(labels, i%2), append(valid, i%3 == 0)
		}
		return Metadata(facts, labels, valid, 2)
	}
	for _, l := range make400(func(*Facts, int) {}) {
		if l.Noted {
			t.Errorf("files alike: %+v", l)
		}
	}
	for what, change := range map[string]func(f *Facts, y int){
		"format and compression": func(f *Facts, y int) {
			if y == 1 {
				f.Compression, f.Quantum = "q60", 21
			}
		},
		"size in pixels": func(f *Facts, y int) {
			if y == 1 {
				f.Width, f.Height = 400, 200+f.Height/3
			}
		},
	} {
		if l := make400(change)[0]; l.What != what || !l.Flagged || l.Class != 1 {
			t.Errorf("%s: %+v", what, l)
		}
	}
}

// TestOdd: rows near a plane, and some far off it.
func TestOdd(t *testing.T) {
	r := rand.New(rand.NewPCG(6, 6))
	const d, rank = 60, 5
	axes := make([][]float64, rank)
	for k := range axes {
		for range d {
			axes[k] = append(axes[k], r.NormFloat64())
		}
	}
	draw := func(n int, far float64) (rows [][]float32) {
		for range n {
			row := make([]float32, d)
			for k := range axes {
				w := r.NormFloat64()
				for j := range row {
					row[j] += float32(w * axes[k][j])
				}
			}
			for j := range row {
				row[j] += float32(far * r.NormFloat64())
			}
			rows = append(rows, row)
		}
		return rows
	}
	train := draw(400, .2)
	train[7] = draw(1, 20)[0]
	of, others, plane, err := Odd(train, append(draw(200, .2), draw(50, 5)...), nil)
	if err != nil {
		t.Fatal(err)
	}
	if laid, err := NewPlane(train, nil); err != nil || !reflect.DeepEqual(laid, plane) {
		t.Errorf("NewPlane lays another plane: %v", err)
	}
	above := 0
	for i, o := range of {
		above += b2i(o.Score > 1)
		if o.Flagged != (i == 7) {
			t.Errorf("training row %d: %+v", i, o)
		}
	}
	alarms, found := 0, 0
	for i, o := range others {
		if i < 200 {
			alarms += b2i(o.Score > 1)
		} else {
			found += b2i(o.Score > 1)
		}
	}
	if above != 4 || alarms > 8 || found != 50 {
		t.Errorf("%d training rows above 1, %d of 200 false alarms, %d of 50 found", above, alarms, found)
	}
}

func TestBalance(t *testing.T) {
	got := Balance([]int{200, 15, 5, 60}, []int{50, 4, 1, 0})
	want := []Imbalance{{Class: 2, Flagged: true}, {Class: 1, Flagged: true}, {Class: 3, Flagged: true}, {Class: 0}}
	for k, b := range got {
		if b.Class != want[k].Class || b.Flagged != want[k].Flagged {
			t.Errorf("%d: %+v", k, b)
		}
	}
}
