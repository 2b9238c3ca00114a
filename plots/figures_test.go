package plots_test

import (
	"image"
	"math"
	"testing"

	"finetune/internal/golden"
	"finetune/internal/plotstest"
	"finetune/plots"
)

// draws is every kind of figure at the sizes and oddities that runs have; the
// pictures of the documentation are these goldens.
var draws = []struct {
	name string
	w    plots.Width
	plot plots.Plot
}{
	{"schedule-sgdr", plots.Wide,
		plots.Schedule{Groups: []string{"head"}, Rates: [][]float64{plotstest.Cosine(0.01, 60, 2, 3)}}},
	{"schedule-groups", plots.Wide, plots.Schedule{Groups: []string{"early", "middle", "head"},
		Rates: [][]float64{plotstest.Cosine(1e-4, 60, 2, 3), plotstest.Cosine(1e-3, 60, 2, 3),
			plotstest.Cosine(1e-2, 60, 2, 3)}}},
	{"schedule-momentum", plots.Wide,
		plots.Schedule{Rates: [][]float64{triangle(0.001, 0.01, 201)}, Momentum: triangle(0.95, 0.85, 201)}},
	{"schedule-groups-narrow", plots.Narrow, plots.Schedule{Groups: []string{"early", "middle", "head"},
		Rates: [][]float64{plotstest.Cosine(1e-4, 60, 2, 3), plotstest.Cosine(1e-3, 60, 2, 3),
			plotstest.Cosine(1e-2, 60, 2, 3)}}},
	{"loss-by-step", plots.Wide, plots.LossByStep{plotstest.Falling(1.1, 0.18, 420)}},
	{"loss-by-step-nan", plots.Narrow, plots.LossByStep{append(plotstest.Falling(0.7, 0.6, 40), math.NaN(), math.NaN())}},
	{"loss-by-epoch", plots.Wide, plots.LossByEpoch{plotstest.Epochs(7)}},
	{"loss-by-epoch-one", plots.Narrow, plots.LossByEpoch{plotstest.Epochs(1)}},
	{"accuracy-by-epoch", plots.Wide, plots.AccuracyByEpoch{plotstest.Epochs(7)}},
	{"rate-search", plots.Wide, plotstest.SomeRates()},
	{"rate-search-narrow", plots.Narrow, plotstest.SomeRates()},
	{"confusion-2", plots.Wide, confusion(2, 150)},
	{"confusion-2-narrow", plots.Narrow, confusion(2, 150)},
	{"confusion-3-missing", plots.Wide,
		plots.Confusion{[]string{"cats", "dogs", "road signs"}, [][]int{{4, 0, 0}, {0, 0, 0}, {1, 2, 8}}}},
	{"confusion-37", plots.Wide, confusion(37, 3669)},
	{"confusion-37-narrow", plots.Narrow, confusion(37, 3669)},
	{"confusion-120", plots.Wide, confusion(120, 2044)},
	{"confusion-1000-narrow", plots.Narrow, confusion(1000, 20000)},
	{"augmentation", plots.Wide,
		plots.Grid{Title: "One photograph, six random versions", Images: plotstest.Pictures(6), Columns: 3,
			Captions: []string{"as it is", "version 1", "version 2", "version 3", "version 4"}}},
	{"gallery", plots.Wide, plots.Gallery{"Most uncertain", galleryItems(5)}},
	{"gallery-narrow", plots.Narrow, plots.Gallery{"Most uncertain", galleryItems(2)}},
	{"gallery-none", plots.Narrow, plots.Gallery{Title: "Incorrect, at random"}},
	{"reliability", plots.Wide, plots.Reliability{Predictions: plotstest.Predictions(2, 600), Temperature: 1.6}},
	{"reliability-narrow", plots.Narrow, plots.Reliability{Predictions: plotstest.Predictions(3, 60)}},
	{"scores-2", plots.Wide, plots.Scores{Classes: plotstest.ClassNames(2), Predictions: plotstest.Predictions(2, 300)}},
	{"scores-37-narrow", plots.Narrow,
		plots.Scores{Classes: plotstest.ClassNames(37), Predictions: plotstest.Predictions(37, 600)}},
	{"more-labels", plots.Wide, moreLabels("500 more labels: about +1.2 points")},
	{"more-labels-narrow", plots.Narrow, moreLabels("")},
	{"balance-2", plots.Wide, plots.Balance{[]string{"ants", "bees"}, []int{124, 121}, []int{70, 83}}},
	{"balance-37-narrow", plots.Narrow,
		plots.Balance{plotstest.ClassNames(37), plotstest.Sizes(37, 200), plotstest.Sizes(37, 40)}},
	{"balance-120", plots.Wide,
		plots.Balance{plotstest.ClassNames(120), plotstest.Sizes(120, 100), plotstest.Sizes(120, 25)}},
	{"gains", plots.Wide, plotstest.SomeGains()},
	{"gains-narrow", plots.Narrow, plotstest.SomeGains()},
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
	for _, p := range []plots.Plot{
		plots.Schedule{}, plots.Schedule{Rates: [][]float64{{}}},
		plots.Schedule{Rates: [][]float64{{0}}, Momentum: []float64{0.9}},
		plots.Schedule{Rates: [][]float64{{0, 0}, {nan, 0.1}}},
		plots.LossByStep{}, plots.LossByStep{[]float64{nan}}, plots.LossByStep{[]float64{0, 0}},
		plots.LossByStep{[]float64{math.Inf(1), 1}},
		plots.LossByEpoch{}, plots.LossByEpoch{[]plots.Epoch{{Epoch: 1, TrainLoss: nan, ValidLoss: nan, Accuracy: nan}}},
		plots.AccuracyByEpoch{},
		plots.AccuracyByEpoch{[]plots.Epoch{{Epoch: 1, Accuracy: 1}}},
		plots.RateSearch{}, plots.RateSearch{Rates: []float64{0.1}, Losses: []float64{1}, Suggestion: 3},
		plots.RateSearch{Rates: []float64{0, 0.1}, Losses: []float64{1, nan}},
		plots.Confusion{}, plots.Confusion{[]string{"a"}, [][]int{{0}}},
		plots.Confusion{plotstest.ClassNames(30), plots.Confusions(nil, 30)},
		plots.Grid{}, plots.Grid{Images: []image.Image{nil, image.NewGray(image.Rect(0, 0, 0, 0))}, Captions: []string{"x"}},
		plots.Gallery{Items: []plots.GalleryItem{{True: "\x00\xff蟻", Said: "\u202e", Name: string(make([]byte, 3000))}}},
		plots.Reliability{}, plots.Reliability{Predictions: []plots.Prediction{{}}, Temperature: 2, Same: true},
		plots.Scores{},
		plots.Scores{Classes: []string{"a"}, Predictions: []plots.Prediction{{Label: 7}}},
		plots.Balance{}, plots.Balance{Classes: []string{"a", "b"}}, plots.Balance{Classes: make([]string, 50)},
		plots.Gains{}, plots.Gains{[]plots.Gain{{}}},
	} {
		for _, w := range []plots.Width{plots.Wide, plots.Narrow} {
			f, err := p.Draw(w)
			if err != nil || f.Title == "" && f.Alt == "" {
				t.Errorf("%T%+v: %v", p, p, err)
			}
		}
	}
}

// --- synthetic runs ---

func triangle(ends, middle float64, n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = ends + (middle-ends)*(1-math.Abs(2*float64(i)/float64(n-1)-1))
	}
	return out
}

func confusion(classes, n int) plots.Confusion {
	return plots.Confusion{plotstest.ClassNames(classes), plots.Confusions(plotstest.Predictions(classes, n), classes)}
}

func galleryItems(n int) []plots.GalleryItem {
	items := []plots.GalleryItem{
		{plotstest.Picture(0), "ants", "ants", true, 0.512, "0013035.jpg"},
		{plotstest.Picture(1), "bees", "ants", false, 0.523, "a-very-long-file-name-of-a-photograph-2024-05-01.jpg"},
		{plotstest.Picture(2), "蟻 (ants)", "bees", false, 0.541, "蟻の写真.jpg"},
		{nil, "bees", "bees", true, 0.55, "moved-away.jpg"},
		{plotstest.Picture(4), "Staffordshire bull terrier", "american bulldog", false, 0.561,
			"<script>alert(1)</script>.jpg"},
	}
	return items[:n]
}

func moreLabels(finding string) plots.MoreLabels {
	f := plots.MoreLabels{Labels: []int{30, 61, 123, 246, 492}, Accuracy: []float64{.72, .75, .79, .81, .825},
		Low: []float64{.66, .72, .78, .8, .825}, High: []float64{.77, .77, .81, .82, .825}, Finding: finding}
	if finding != "" {
		f.Ahead, f.Expected = []int{492, 700, 992}, []float64{.824, .831, .837}
	}
	return f
}
