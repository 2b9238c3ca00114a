// Package page makes the report of a run: one HTML page with figures, galleries and tables.
package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"image"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"

	"finetune/internal/durable"
	"finetune/plots"

	"golang.org/x/sync/errgroup"
)

// Report is a run, as numbers and names. Any part may be empty: its section
// then says "none" or is left out.
type Report struct {
	Title   string // the data set's name
	Classes []string
	Multi   bool // photographs have any number of labels, each with its own probability

	Valid      []plots.Prediction // labelled photographs that were not trained on
	TrainCount []int              // training photographs of each class
	TTA        *TTA               // nil: not measured

	Aside *Aside // nil: nothing was set aside

	Temperature float64 // that the probabilities were made by, from the head's own; 0: none
	// CrossedError is the calibration error with temperatures of other photographs, where Temperature was
	// chosen on these; nil elsewhere.
	CrossedError *float64

	History    []plots.Epoch
	StepLoss   []float64   // training loss of each step's batch, nats
	Groups     []string    // names of the layer groups
	Rates      [][]float64 // learning rates [groups][steps]
	Momentum   []float64   // [steps]; may be nil
	RateSearch *plots.RateSearch
	Gains      []plots.Gain // of a recipe
	Augmented  *plots.Grid  // the augmentation preview
	MoreLabels *plots.MoreLabels
	LabelNote  string // of MoreLabels: how to read it

	Audit    []Section // what is wrong with the data; empty: nothing, or nobody looked
	Skipped  []Skipped
	Distance string // what Neighbour.Distance measures, as in "cosine distance"

	Command  string // what to type to repeat the run
	Body     Body
	Seed     uint64
	Versions []Fact // of the program, its libraries and the machine
	Timings  []Timing
	Warnings []string

	Looks map[string]Look // where the model looks, by Prediction.Path; may be nil
	View  View            // of a photograph that the model gets

	// Load opens a photograph by Prediction.Path or Neighbour.Path, upright. It
	// is called from several goroutines, for photographs that are shown alone;
	// nil leaves pictures out.
	Load func(path string) (image.Image, error)
}

// TTA is what test-time augmentation made of the validation photographs.
type TTA struct {
	Views          int // random views of each photograph, besides the plain one
	Loss, Accuracy float64
}

// Aside is the figure of photographs by which nothing was chosen.
type Aside struct {
	Images   int
	Accuracy float64
	Interval [2]float64 // 95 %
}

// Skipped is a file that was not used.
type Skipped struct{ Path, Status, Reason string }

// Body is the network below the head.
type Body struct{ Name, Digest, Licence string }

// Fact is a name and its value.
type Fact struct{ Name, Value string }

// Timing is how long a part of the run took.
type Timing struct {
	Part    string
	Seconds float64
}

//go:embed report.html.tmpl
var pageText string

//go:embed report.css
var pageStyle string

var pageTemplate = template.Must(template.New("report").Parse(pageText))

// WriteReport writes dir/index.html, one file that needs no other, and beside
// it every figure as a PNG. Equal reports give equal files.
func WriteReport(dir string, r Report) error {
	b := newBuilder(r)
	if err := b.draw(); err != nil {
		return fmt.Errorf("plots: %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("plots: %s: make the report's folder: %w", dir, err)
	}
	for _, d := range b.drawings {
		if err := d.wide.Write(filepath.Join(dir, d.file())); err != nil {
			return fmt.Errorf("plots: %w", err)
		}
	}
	if err := b.sweep(dir); err != nil {
		return fmt.Errorf("plots: %w", err)
	}
	page := b.page()
	err := durable.Write(filepath.Join(dir, "index.html"),
		func(w io.Writer) error { return pageTemplate.Execute(w, page) })
	if err != nil {
		return fmt.Errorf("plots: %w", err)
	}
	return nil
}

// OwnFile reports whether a file of a report's folder is one that WriteReport makes.
func OwnFile(name string) bool {
	figure, png := strings.CutSuffix(name, ".png")
	return name == "index.html" || png && (slices.Contains(figures, figure) || classGallery.MatchString(name))
}

// figures are the names of all drawings but the galleries of a class.
var figures = []string{
	"confusion", "reliability", "scores", "gains", "loss-by-step", "loss-by-epoch", "accuracy-by-epoch", "learning-rate",
	"rate-search",
	"balance", "more-labels", "augmentation", "correct-at-random", "incorrect-at-random", "most-uncertain", "odd",
}

// classGallery are the files of a class's galleries.
var classGallery = regexp.MustCompile(`^most-(in)?correct-[0-9]+\.png$`)

// sweep removes the galleries that an earlier report in dir had and this one
// has not: those of classes that are no longer among the shown.
func (b *builder) sweep(dir string) error {
	files, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, f := range files {
		drawn := func(d *drawing) bool { return d.file() == f.Name() }
		if f.Type().IsRegular() && classGallery.MatchString(f.Name()) && !slices.ContainsFunc(b.drawings, drawn) {
			if err := os.Remove(filepath.Join(dir, f.Name())); err != nil {
				return err
			}
		}
	}
	return nil
}

// drawing is a figure to be drawn, for the page and as a file, or as a file
// alone (the galleries, whose photographs the page holds one by one).
type drawing struct {
	name         string
	plot         plots.Plot
	fileOnly     bool
	wide, narrow plots.Figure
}

func (d *drawing) file() string { return d.name + ".png" }

// builder gathers what the page shows.
type builder struct {
	r         Report
	t         task
	scores    []plots.ClassScore
	drawings  []*drawing
	galleries []*gallery // in page order
	perClass  []classGalleries
	mistakes  []int
	thumbs    map[string]thumb
}

// gallery is a titled choice of photographs.
type gallery struct {
	name, title string
	items       []int
}

// classGalleries are the two galleries of one class.
type classGalleries struct {
	class              int
	correct, incorrect *gallery
}

func newBuilder(r Report) *builder {
	b := chosen(r)
	b.thumbs = thumbnails(b.paths(), mostThumbs, b.r.Load)
	b.plan()
	return b
}

// Shown lists the labelled photographs that the page of a report shows with their prediction, each once.
func Shown(r Report) (paths []string) {
	b := chosen(r)
	seen := map[int]bool{}
	for _, g := range append(b.allGalleries(), &gallery{items: b.mistakes}) {
		for _, i := range g.items {
			if !seen[i] {
				seen[i], paths = true, append(paths, b.t.ps[i].Path)
			}
		}
	}
	return paths
}

// chosen is a builder with the photographs of all galleries.
func chosen(r Report) *builder {
	b := &builder{r: r, t: task{classes: r.Classes, multi: r.Multi}}
	for _, p := range r.Valid {
		if r.Multi || p.Label >= 0 && p.Label < len(r.Classes) && p.Predicted() >= 0 {
			b.t.ps = append(b.t.ps, p)
		}
	}
	b.scores = b.t.scores()
	b.choose()
	return b
}

// The numbers of photographs shown: together under mostThumbs.
const (
	perGallery   = 8
	mostClasses  = 12 // of more, the galleries show the eight worst
	fewClasses   = 8
	mostMistakes = 20
	perMistake   = 3
)

// choose picks the photographs of all galleries.
func (b *builder) choose() {
	t := b.t
	b.galleries = []*gallery{
		{"correct-at-random", "Correct, at random", t.atRandom(true, perGallery, b.r.Seed)},
		{"incorrect-at-random", "Incorrect, at random", t.atRandom(false, perGallery, b.r.Seed)},
		{"most-uncertain", "Most uncertain", t.mostUncertain(perGallery)},
	}
	if slices.ContainsFunc(t.ps, func(p plots.Prediction) bool { return p.Oddness > 0 }) {
		b.galleries = append(b.galleries, &gallery{"odd", "Unlike the training photographs", t.odd(perGallery)})
	}
	shown := len(b.r.Classes)
	if shown > mostClasses {
		shown = fewClasses
	}
	each := max(4, min(8, 24/max(1, shown)))
	chosen := worstFirst(b.scores)[:shown]
	slices.Sort(chosen)
	for _, c := range chosen {
		name := b.r.Classes[c]
		b.perClass = append(b.perClass, classGalleries{c,
			&gallery{fmt.Sprintf("most-correct-%d", c), "Most correct: " + name, t.mostCorrect(c, each)},
			&gallery{fmt.Sprintf("most-incorrect-%d", c), "Most incorrect: " + name, t.mostIncorrect(c, each)}})
	}
	b.mistakes = t.mistakes(mostMistakes)
}

// paths lists the photographs to open, the most telling first.
func (b *builder) paths() []string {
	var out []string
	for _, i := range b.mistakes {
		out = append(out, b.t.ps[i].Path)
		for _, n := range near(b.t.ps[i]) {
			out = append(out, n.Path)
		}
	}
	for _, g := range b.allGalleries() {
		for _, i := range g.items {
			out = append(out, b.t.ps[i].Path)
		}
	}
	return out
}

func near(p plots.Prediction) []plots.Neighbour {
	return p.Neighbours[:min(perMistake, len(p.Neighbours))]
}

func (b *builder) allGalleries() []*gallery {
	out := slices.Clone(b.galleries)
	for _, c := range b.perClass {
		out = append(out, c.incorrect, c.correct)
	}
	return out
}

// plan lists the figures.
func (b *builder) plan() {
	r := b.r
	add := func(wanted bool, name string, p plots.Plot) {
		if wanted {
			b.drawings = append(b.drawings, &drawing{name: name, plot: p})
		}
	}
	some := len(b.t.ps) > 0
	add(some && !r.Multi, "confusion",
		plots.Confusion{Classes: r.Classes, Counts: plots.Confusions(b.t.ps, len(r.Classes))})
	add(some && !r.Multi, "reliability", plots.Reliability{Predictions: b.t.ps,
		Temperature: r.Temperature, Same: r.CrossedError != nil})
	add(some, "scores", plots.Scores{Classes: r.Classes, Predictions: b.t.ps, Multi: r.Multi})
	add(len(r.Gains) > 0, "gains", plots.Gains{Steps: r.Gains})
	add(len(r.StepLoss) > 0, "loss-by-step", plots.LossByStep{Loss: r.StepLoss})
	add(len(r.History) > 0, "loss-by-epoch", plots.LossByEpoch{History: r.History})
	add(len(r.History) > 0, "accuracy-by-epoch", plots.AccuracyByEpoch{History: r.History})
	add(len(r.Rates) > 0, "learning-rate", plots.Schedule{Groups: r.Groups, Rates: r.Rates, Momentum: r.Momentum})
	if r.RateSearch != nil {
		add(true, "rate-search", *r.RateSearch)
	}
	if r.MoreLabels != nil {
		add(true, "more-labels", *r.MoreLabels)
	}
	add(len(r.Classes) > 0, "balance", plots.Balance{Classes: r.Classes, Train: r.TrainCount, Valid: b.validCount()})
	if r.Augmented != nil {
		b.drawings = append(b.drawings, &drawing{name: "augmentation", plot: *r.Augmented, fileOnly: true})
	}
	for _, g := range b.allGalleries() {
		b.drawings = append(b.drawings,
			&drawing{name: g.name, plot: plots.Gallery{Title: g.title, Items: b.cards(g)}, fileOnly: true})
	}
}

func (b *builder) cards(g *gallery) []plots.GalleryItem {
	out := make([]plots.GalleryItem, len(g.items))
	for k, i := range g.items {
		p := b.t.ps[i]
		out[k] = plots.GalleryItem{Image: b.thumbs[p.Path].card, True: b.t.truth(i), Said: b.t.said(i), Right: b.t.right(i),
			Probability: b.t.sure(i), Name: baseName(p.Path)}
	}
	return out
}

func (b *builder) validCount() []int {
	out := make([]int, len(b.r.Classes))
	for c := range out {
		out[c] = b.scores[c].True
	}
	return out
}

// draw draws all figures, on all processors.
func (b *builder) draw() error {
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, d := range b.drawings {
		g.Go(func() (err error) {
			d.wide, err = d.plot.Draw(plots.Wide)
			return err
		})
		if !d.fileOnly {
			g.Go(func() (err error) {
				d.narrow, err = d.plot.Draw(plots.Narrow)
				return err
			})
		}
	}
	return g.Wait()
}
