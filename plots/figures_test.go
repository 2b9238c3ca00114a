package plots

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"testing"

	"finetune/internal/golden"
	"finetune/internal/rng"
)

// draws is every kind of figure at the sizes and oddities that runs have; the
// pictures of the documentation are these goldens.
var draws = []struct {
	name string
	w    Width
	plot Plot
}{
	{"schedule-sgdr", Wide, Schedule{Groups: []string{"head"}, Rates: [][]float64{cosine(0.01, 60, 2, 3)}}},
	{"schedule-groups", Wide, Schedule{Groups: []string{"early", "middle", "head"},
		Rates: [][]float64{cosine(1e-4, 60, 2, 3), cosine(1e-3, 60, 2, 3), cosine(1e-2, 60, 2, 3)}}},
	{"schedule-momentum", Wide, Schedule{Rates: [][]float64{triangle(0.001, 0.01, 201)}, Momentum: triangle(0.95, 0.85, 201)}},
	{"schedule-groups-narrow", Narrow, Schedule{Groups: []string{"early", "middle", "head"},
		Rates: [][]float64{cosine(1e-4, 60, 2, 3), cosine(1e-3, 60, 2, 3), cosine(1e-2, 60, 2, 3)}}},
	{"loss-by-step", Wide, LossByStep{falling(1.1, 0.18, 420)}},
	{"loss-by-step-nan", Narrow, LossByStep{append(falling(0.7, 0.6, 40), math.NaN(), math.NaN())}},
	{"loss-by-epoch", Wide, LossByEpoch{epochs(7)}},
	{"loss-by-epoch-one", Narrow, LossByEpoch{epochs(1)}},
	{"accuracy-by-epoch", Wide, AccuracyByEpoch{epochs(7)}},
	{"rate-search", Wide, rateSearch()},
	{"rate-search-narrow", Narrow, rateSearch()},
	{"confusion-2", Wide, confusion(2, 150)},
	{"confusion-2-narrow", Narrow, confusion(2, 150)},
	{"confusion-3-missing", Wide, Confusion{[]string{"cats", "dogs", "road signs"}, [][]int{{4, 0, 0}, {0, 0, 0}, {1, 2, 8}}}},
	{"confusion-37", Wide, confusion(37, 3669)},
	{"confusion-37-narrow", Narrow, confusion(37, 3669)},
	{"confusion-120", Wide, confusion(120, 2044)},
	{"confusion-1000-narrow", Narrow, confusion(1000, 20000)},
	{"augmentation", Wide, Grid{Title: "One photograph, six random versions", Images: pictures(6), Columns: 3,
		Captions: []string{"as it is", "version 1", "version 2", "version 3", "version 4"}}},
	{"gallery", Wide, Gallery{"Most uncertain", galleryItems(5)}},
	{"gallery-narrow", Narrow, Gallery{"Most uncertain", galleryItems(2)}},
	{"gallery-none", Narrow, Gallery{Title: "Incorrect, at random"}},
	{"reliability", Wide, Reliability{predictions(2, 600)}},
	{"reliability-narrow", Narrow, Reliability{predictions(3, 60)}},
	{"scores-2", Wide, Scores{Classes: classNames(2), Predictions: predictions(2, 300)}},
	{"scores-37-narrow", Narrow, Scores{Classes: classNames(37), Predictions: predictions(37, 600)}},
	{"balance-2", Wide, Balance{[]string{"ants", "bees"}, []int{124, 121}, []int{70, 83}}},
	{"balance-37-narrow", Narrow, Balance{classNames(37), sizes(37, 200), sizes(37, 40)}},
	{"balance-120", Wide, Balance{classNames(120), sizes(120, 100), sizes(120, 25)}},
	{"gains", Wide, gains()},
	{"gains-narrow", Narrow, gains()},
}

func TestFigures(t *testing.T) {
	for _, d := range draws {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			f, err := d.plot.Draw(d.w)
			if err != nil {
				t.Fatal(err)
			}
			if f.Width != int(d.w) || f.Title == "" || len(f.Alt) <= len(f.Title)+2 {
				t.Errorf("width %d, title %q, alt %q", f.Width, f.Title, f.Alt)
			}
			golden.PNG(t, d.name, f.PNG)
		})
	}
}

// TestFiguresOfNothing: no input, however empty or broken, may panic or fail.
func TestFiguresOfNothing(t *testing.T) {
	nan := math.NaN()
	for _, p := range []Plot{
		Schedule{}, Schedule{Rates: [][]float64{{}}}, Schedule{Rates: [][]float64{{0}}, Momentum: []float64{0.9}},
		Schedule{Rates: [][]float64{{0, 0}, {nan, 0.1}}},
		LossByStep{}, LossByStep{[]float64{nan}}, LossByStep{[]float64{0, 0}}, LossByStep{[]float64{math.Inf(1), 1}},
		LossByEpoch{}, LossByEpoch{[]Epoch{{Epoch: 1, TrainLoss: nan, ValidLoss: nan, Accuracy: nan}}}, AccuracyByEpoch{},
		AccuracyByEpoch{[]Epoch{{Epoch: 1, Accuracy: 1}}},
		RateSearch{}, RateSearch{Rates: []float64{0.1}, Losses: []float64{1}, Suggestion: 3},
		RateSearch{Rates: []float64{0, 0.1}, Losses: []float64{1, nan}},
		Confusion{}, Confusion{[]string{"a"}, [][]int{{0}}}, Confusion{classNames(30), Confusions(nil, 30)},
		Grid{}, Grid{Images: []image.Image{nil, image.NewGray(image.Rect(0, 0, 0, 0))}, Captions: []string{"x"}},
		Gallery{Items: []GalleryItem{{True: "\x00\xff蟻", Said: "\u202e", Name: string(make([]byte, 3000))}}},
		Reliability{}, Reliability{[]Prediction{{}}}, Scores{}, Scores{Classes: []string{"a"}, Predictions: []Prediction{{Label: 7}}},
		Balance{}, Balance{Classes: []string{"a", "b"}}, Balance{Classes: make([]string, 50)},
		Gains{}, Gains{[]Gain{{}}},
	} {
		for _, w := range []Width{Wide, Narrow} {
			f, err := p.Draw(w)
			if err != nil || f.Title == "" && f.Alt == "" {
				t.Errorf("%T%+v: %v", p, p, err)
			}
		}
	}
}

func TestFit(t *testing.T) {
	for _, tt := range []struct {
		in   string
		room float64
		want string
	}{
		{"ants", 100, "ants"},
		{"a very long class name that goes on", 60, "a very l…"},
		{"", 10, ""},
		{"蟻 ants", 100, "□ ants"},
		{"муравьи", 100, "муравьи"},
		{"tab\there", 100, "tab here"},
	} {
		if got := fit(labelText, tt.in, tt.room); got != tt.want {
			t.Errorf("fit(%q, %g) = %q, want %q", tt.in, tt.room, got, tt.want)
		}
	}
}

// --- synthetic runs ---

func cosine(top float64, cycle, mult, cycles int) []float64 {
	var out []float64
	for range cycles {
		for i := range cycle {
			f := (1 + math.Cos(math.Pi*float64(i)/float64(cycle))) / 2
			if len(out) < 3 {
				f = 0.01
			}
			out = append(out, top*f)
		}
		cycle *= mult
	}
	return out
}

func triangle(ends, middle float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = ends + (middle-ends)*(1-math.Abs(2*float64(i)/float64(n-1)-1))
	}
	return out
}

func falling(from, to float64, n int) []float64 {
	s := rng.New(1, uint64(n))
	out := make([]float64, n)
	for i := range out {
		x := float64(i) / float64(n)
		out[i] = (to + (from-to)*math.Exp(-5*x)) * math.Exp(0.25*s.Normal())
	}
	return out
}

func epochs(n int) []Epoch {
	out := make([]Epoch, n)
	for i := range out {
		x := float64(i)
		out[i] = Epoch{Epoch: i + 1, TrainLoss: 0.25 + 0.7*math.Exp(-x/2), ValidLoss: 0.28 + 0.35*math.Exp(-x/1.2) + 0.004*x*x,
			Accuracy: 0.94 - 0.25*math.Exp(-x/1.1), Seconds: 1.5}
	}
	return out
}

func rateSearch() RateSearch {
	f := RateSearch{Suggestion: 0.012, Rule: "a tenth of the rate with the lowest loss"}
	for i := range 120 {
		r := 1e-5 * math.Pow(10, float64(i)/119*6)
		l := 0.25 + 0.55/(1+math.Pow(r/0.01, 1.3)) + 0.08*math.Pow(r/0.4, 1.6)
		f.Rates, f.Losses = append(f.Rates, r), append(f.Losses, l)
	}
	return f
}

var breeds = []string{"Abyssinian", "american bulldog", "basset hound", "Staffordshire bull terrier", "Birman", "soft-coated wheaten terrier", "pug"}

func classNames(n int) []string {
	if n == 2 {
		return []string{"ants", "bees"}
	}
	out := make([]string, n)
	for i := range out {
		out[i] = breeds[i%len(breeds)]
		if i >= len(breeds) {
			out[i] += fmt.Sprintf(" %d", i/len(breeds)+1)
		}
	}
	return out
}

func sizes(n, around int) []int {
	s := rng.New(2, uint64(n))
	out := make([]int, n)
	for i := range out {
		out[i] = around/2 + s.Intn(around)
	}
	return out
}

// predictions are right for about nine in ten, and a little too sure.
func predictions(classes, n int) []Prediction {
	s := rng.New(3, uint64(classes), uint64(n))
	out := make([]Prediction, n)
	for i := range out {
		label := i * classes / n
		logits, total := make([]float64, classes), 0.0
		for c := range logits {
			logits[c] = math.Exp(1.4 * s.Normal())
			if c == label {
				logits[c] *= math.Exp(3.2 + 0.8*math.Log(float64(classes)))
			}
			if c == (label+1)%classes && label%3 == 0 {
				logits[c] *= 4
			}
			total += logits[c]
		}
		lp := make([]float32, classes)
		for c := range lp {
			lp[c] = float32(math.Log(logits[c] / total))
		}
		out[i] = Prediction{Path: fmt.Sprintf("valid/%s/%04d.jpg", classNames(classes)[label], i), Label: label, LogProbs: lp}
	}
	return out
}

func confusion(classes, n int) Confusion {
	return Confusion{classNames(classes), Confusions(predictions(classes, n), classes)}
}

// picture is a sunset that no camera took: it differs with i in colour and shape.
func picture(i int) image.Image {
	w, h := 200, 150
	if i%3 == 2 {
		w, h = 120, 160
	}
	im := image.NewRGBA(image.Rect(0, 0, w, h))
	cx, cy, r := float64(w)*(0.3+0.1*float64(i%5)), float64(h)*0.55, float64(h)*0.22
	for y := range h {
		for x := range w {
			v := uint8(60 + 150*y/h)
			c := color.RGBA{v, uint8(90 + 20*(i%6)), 255 - v, 255}
			if math.Hypot(float64(x)-cx, float64(y)-cy) < r {
				c = color.RGBA{250, uint8(180 + 8*(i%8)), 60, 255}
			}
			if float64(y) > float64(h)*0.7 {
				c = color.RGBA{30, uint8(70 + 10*(i%4)), 50, 255}
			}
			im.SetRGBA(x, y, c)
		}
	}
	return im
}

func pictures(n int) []image.Image {
	out := make([]image.Image, n)
	for i := range out {
		out[i] = picture(i)
	}
	return out
}

func galleryItems(n int) []GalleryItem {
	items := []GalleryItem{
		{picture(0), "ants", "ants", true, 0.512, "0013035.jpg"},
		{picture(1), "bees", "ants", false, 0.523, "a-very-long-file-name-of-a-photograph-2024-05-01.jpg"},
		{picture(2), "蟻 (ants)", "bees", false, 0.541, "蟻の写真.jpg"},
		{nil, "bees", "bees", true, 0.55, "moved-away.jpg"},
		{picture(4), "Staffordshire bull terrier", "american bulldog", false, 0.561, "<script>alert(1)</script>.jpg"},
	}
	return items[:n]
}

func gains() Gains {
	return Gains{[]Gain{
		{"Head on cached activations", 1768, 2000, 21},
		{"Augmentation", 1790, 2000, 48},
		{"Unfreezing, a rate per layer group", 1866, 2000, 1260},
		{"Test-time augmentation", 1872, 2000, 95},
	}}
}
