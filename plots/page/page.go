package page

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"math"
	"strconv"

	"finetune/internal/plural"
	"finetune/plots"

	"github.com/nfnt/resize"
)

// page is what report.html.tmpl shows; every string is escaped there.
type page struct {
	Style                  template.CSS
	Looks                  bool   // some photographs have one
	StyleHash              string // of Style, for the page's content security policy
	Title, Headline        string
	LabelNote              string
	Multi                  bool
	Tiles                  []tile
	Warnings               []string
	Figures                map[string]*figureView
	Rows, MoreRows         []classRow
	Pairs                  []pairRow
	Matrix                 *matrixView
	Mistakes, MoreMistakes []mistakeView
	Audit                  []sectionView
	MistakeNote            string
	Galleries              []galleryView
	Classes                []classView
	ClassNote              string
	Augmented              *galleryView
	Epochs                 []epochRow
	Skipped                []Skipped
	SkippedTotal           int
	Command                string
	Facts, Timings         []Fact
}

type (
	tile       struct{ Name, Value, Note string }
	figureView struct {
		File, Alt              string
		Wide                   template.URL
		Narrow                 template.Srcset
		W, H, NarrowW, NarrowH int
	}
	classRow   struct{ Name, Photos, Right, Called, Precision, Recall, F1 string }
	pairRow    struct{ True, Predicted, Count, Share string }
	matrixView struct {
		Classes []string
		Rows    []matrixRow
	}
	matrixRow struct {
		Class  string
		Counts []int
	}
	photoView struct {
		URI                                      template.URL
		Look                                     template.URL // to lie over it
		Alt, Truth, Said, Sure, Name, Path, Note string
		Right                                    bool
	}
	galleryView struct {
		ID, Title, File string
		Photos          []photoView
	}
	classView struct {
		Name, Summary      string
		Incorrect, Correct galleryView
	}
	mistakeView struct {
		Photo      photoView
		Suspicion  string
		Neighbours []photoView
	}
	epochRow struct{ Epoch, Train, Valid, Accuracy, Seconds string }
)

// What is shown of a long list before the rest folds away.
const (
	shownRows    = 20
	openMistakes = 6
)

// page turns what was gathered into what is shown.
func (b *builder) page() page {
	style := pageStyle + auditStyle
	sum := sha256.Sum256([]byte(style))
	p := page{
		Style: template.CSS(style), StyleHash: base64.StdEncoding.EncodeToString(sum[:]),
		Title: cmp.Or(b.r.Title, "Report"), Headline: b.headline(), Multi: b.r.Multi, Tiles: b.tiles(),
		Warnings: b.warnings(), Figures: b.figures(), Pairs: b.pairs(), Matrix: b.matrix(),
		Mistakes: b.mistakeViews(), MistakeNote: b.mistakeNote(), Audit: b.audit(),
		Classes: b.classViews(), Augmented: b.augmented(), Epochs: b.epochs(),
		Skipped: b.r.Skipped[:min(len(b.r.Skipped), 500)], SkippedTotal: len(b.r.Skipped),
		Command: b.r.Command, Facts: b.facts(), Looks: len(b.r.Looks) > 0,
		LabelNote: b.r.LabelNote,
	}
	p.Rows = b.classRows()
	if len(p.Rows) > shownRows {
		p.Rows, p.MoreRows = p.Rows[:shownRows], p.Rows[shownRows:]
	}
	if len(p.Mistakes) > openMistakes {
		p.Mistakes, p.MoreMistakes = p.Mistakes[:openMistakes], p.Mistakes[openMistakes:]
	}
	if len(b.perClass) < len(b.r.Classes) {
		p.ClassNote = fmt.Sprintf("The %s of %s with the lowest F1.", plural.Count(len(b.perClass), "class"),
			plots.Count(len(b.r.Classes)))
	}
	for _, g := range b.galleries {
		p.Galleries = append(p.Galleries, b.galleryView(g))
	}
	for _, t := range b.r.Timings {
		p.Timings = append(p.Timings, Fact{t.Part, plots.Seconds(t.Seconds)})
	}
	return p
}

// headline is the finding of the whole run.
func (b *builder) headline() string {
	n, right := len(b.t.ps), 0
	for i := range b.t.ps {
		if b.t.right(i) {
			right++
		}
	}
	if n == 0 {
		return "No labelled validation photographs"
	}
	lo, hi := plots.Wilson(right, n)
	what := "right"
	if b.r.Multi {
		what = "with every label right"
	}
	return fmt.Sprintf("%.1f %% %s (%s of %s), 95 %% interval %.1f to %.1f",
		100*float64(right)/float64(n), what, plots.Count(right), plots.Count(n), 100*lo, 100*hi)
}

func (b *builder) tiles() []tile {
	out := b.final()
	if n := len(b.t.ps); n > 0 {
		out = append(out, tile{"Log loss", fmt.Sprintf("%.4f", b.t.logLoss()), "nats, lower is better"})
		if c, share := b.baseline(); c >= 0 && !b.r.Multi {
			out = append(out, tile{"Baseline", fmt.Sprintf("%.1f %%", 100*share),
				"accuracy of always predicting " + b.r.Classes[c]})
		}
		if !b.r.Multi {
			out = append(out, b.honesty())
		}
	}
	if t := b.r.TTA; t != nil {
		out = append(out, tile{"With test-time augmentation", fmt.Sprintf("%.1f %%", 100*t.Accuracy),
			fmt.Sprintf("log loss %.4f, %s and the centre view", t.Loss, plural.Count(t.Views, "augmented view"))})
	}
	photos := tile{"Validation photographs", plots.Count(len(b.t.ps)),
		plots.CountOf(len(b.r.Classes), "class")}
	if n := plots.Sum(b.r.TrainCount); n > 0 {
		photos.Note = fmt.Sprintf("%s trained on, %s", plots.Count(n), plots.CountOf(len(b.r.Classes), "class"))
	}
	skipped := tile{"Skipped files", plots.Count(len(b.r.Skipped)), "every file could be read"}
	if len(b.r.Skipped) > 0 {
		skipped.Note = "listed below with reasons"
	}
	return append(out, photos, skipped)
}

// baseline is the largest class of training, or of validation where the former
// is unknown, and its share of validation.
func (b *builder) baseline() (class int, share float64) {
	counts := b.r.TrainCount
	if plots.Sum(counts) == 0 {
		counts = b.validCount()
	}
	class = -1
	for c := range b.r.Classes {
		if class < 0 || plots.At(counts, c) > plots.At(counts, class) {
			class = c
		}
	}
	if class < 0 {
		return -1, 0
	}
	return class, float64(b.scores[class].True) / float64(len(b.t.ps))
}

func (b *builder) warnings() []string {
	out := append([]string(nil), b.r.Warnings...)
	failed, first := 0, ""
	for _, p := range b.paths() { // in page order, so that equal reports are equal
		if err := b.thumbs[p].err; err != nil {
			if failed++; failed == 1 {
				first = fmt.Sprintf("%s: %v", p, err)
			}
		}
	}
	if failed > 0 {
		out = append(out, fmt.Sprintf("%s of this page could not be opened; the first: %s", plural.Count(failed, "picture"),
			first))
	}
	return out
}

func (b *builder) figures() map[string]*figureView {
	out := map[string]*figureView{}
	for _, d := range b.drawings {
		if d.fileOnly {
			continue
		}
		out[d.name] = &figureView{File: d.file(), Alt: d.wide.Alt,
			Wide: dataURI("image/png", d.wide.PNG), Narrow: template.Srcset(dataURI("image/png", d.narrow.PNG)),
			W: d.wide.Width, H: d.wide.Height, NarrowW: d.narrow.Width, NarrowH: d.narrow.Height}
	}
	return out
}

// classRows are all classes, of more than shownRows the worst first.
func (b *builder) classRows() []classRow {
	order := make([]int, len(b.scores))
	for c := range order {
		order[c] = c
	}
	if len(order) > shownRows {
		order = worstFirst(b.scores)
	}
	out := make([]classRow, len(order))
	for i, c := range order {
		s := b.scores[c]
		out[i] = classRow{b.r.Classes[c], plots.Count(s.True), plots.Count(s.Right), plots.Count(s.Predicted),
			plots.Percent(s.Precision), plots.Percent(s.Recall), plots.Percent(s.F1)}
	}
	return out
}

func (b *builder) pairs() []pairRow {
	if b.r.Multi || len(b.r.Classes) <= 6 {
		return nil
	}
	var out []pairRow
	pairs := plots.Confused(plots.Confusions(b.t.ps, len(b.r.Classes)))
	for _, p := range pairs[:min(shownRows, len(pairs))] {
		out = append(out, pairRow{b.r.Classes[p.True], b.r.Classes[p.Predicted],
			fmt.Sprintf("%s of %s", plots.Count(p.Count), plots.Count(p.Total)),
			plots.Percent(float64(p.Count) / float64(p.Total))})
	}
	return out
}

// matrix is the confusion matrix as a table, where it is small enough to read.
func (b *builder) matrix() *matrixView {
	if b.r.Multi || len(b.r.Classes) > mostClasses || len(b.t.ps) == 0 {
		return nil
	}
	m := &matrixView{Classes: b.r.Classes}
	for c, row := range plots.Confusions(b.t.ps, len(b.r.Classes)) {
		m.Rows = append(m.Rows, matrixRow{b.r.Classes[c], row})
	}
	return m
}

func (b *builder) photo(i int) photoView {
	p := b.t.ps[i]
	v := photoView{URI: b.thumbs[p.Path].URI, Look: b.look(p.Path), Truth: b.t.truth(i), Said: b.t.said(i),
		Sure: plots.Percent(b.t.sure(i)), Name: baseName(p.Path), Path: p.Path, Right: b.t.right(i)}
	v.Alt = fmt.Sprintf("%s: true %s, predicted %s", v.Name, v.Truth, v.Said)
	if p.Oddness > 1 {
		v.Note = fmt.Sprintf("oddness %.2f", p.Oddness)
	}
	return v
}

func (b *builder) galleryView(g *gallery) galleryView {
	out := galleryView{ID: g.name, Title: g.title, File: g.name + ".png"}
	for _, i := range g.items {
		out.Photos = append(out.Photos, b.photo(i))
	}
	return out
}

func (b *builder) classViews() []classView {
	var out []classView
	for _, c := range b.perClass {
		s := b.scores[c.class]
		out = append(out, classView{Name: b.r.Classes[c.class],
			Summary:   fmt.Sprintf("%s of %s right", plots.Count(s.Right), plots.Count(s.True)),
			Incorrect: b.galleryView(c.incorrect), Correct: b.galleryView(c.correct)})
	}
	return out
}

func (b *builder) mistakeViews() []mistakeView {
	var out []mistakeView
	for _, i := range b.mistakes {
		m := mistakeView{Photo: b.photo(i), Suspicion: b.t.suspicion(i)}
		for _, n := range near(b.t.ps[i]) {
			v := photoView{URI: b.thumbs[n.Path].URI, Truth: b.t.name(n.Label), Name: baseName(n.Path), Path: n.Path,
				Note: cmp.Or(b.r.Distance, "distance") + " " + plots.Short(n.Distance), Right: n.Label == b.t.ps[i].Label}
			if n.Duplicate {
				v.Note = "exact duplicate"
			}
			v.Alt = fmt.Sprintf("%s: training photograph of %s", v.Name, v.Truth)
			m.Neighbours = append(m.Neighbours, v)
		}
		out = append(out, m)
	}
	return out
}

func (b *builder) mistakeNote() string {
	wrong, compared := 0, 0
	for i := range b.t.ps {
		if !b.t.right(i) {
			wrong++
			if len(b.t.ps[i].Neighbours) > 0 {
				compared++
			}
		}
	}
	switch {
	case len(b.t.ps) == 0:
		return "No labelled photographs."
	case wrong == 0:
		return "No mistakes."
	case compared == 0:
		return "No neighbours were computed."
	case compared > len(b.mistakes):
		return fmt.Sprintf("%d of %s: suspicious ones first, then by the probability of the true class, "+
			"smallest first.",
			len(b.mistakes), plots.CountOf(wrong, "mistake"))
	}
	return fmt.Sprintf("All %s with neighbours: suspicious ones first, then by the probability of the "+
		"true class, smallest first.", plots.CountOf(compared, "mistake"))
}

// augmented is the augmentation preview, its pictures as JPEG to keep the page
// small.
func (b *builder) augmented() *galleryView {
	g := b.r.Augmented
	if g == nil {
		return nil
	}
	out := &galleryView{ID: "augmentation", Title: cmp.Or(g.Title, "Augmentation"), File: "augmentation.png"}
	for i, im := range g.Images {
		v := photoView{Alt: fmt.Sprintf("View %d of the photograph", i+1)}
		if i < len(g.Captions) {
			v.Name, v.Alt = g.Captions[i], g.Captions[i]
		}
		v.URI = jpegURI(im)
		out.Photos = append(out.Photos, v)
	}
	return out
}

// jpegURI is im as a thumbnail, "" if it is empty.
func jpegURI(im image.Image) template.URL {
	var buf bytes.Buffer
	if im == nil || im.Bounds().Empty() {
		return ""
	}
	if err := jpeg.Encode(&buf, resize.Thumbnail(240, 240, onPaper(im), resize.Bilinear),
		&jpeg.Options{Quality: 80}); err != nil {
		return ""
	}
	return dataURI("image/jpeg", buf.Bytes())
}

func (b *builder) epochs() []epochRow {
	var out []epochRow
	for _, e := range b.r.History {
		out = append(out, epochRow{strconv.Itoa(e.Epoch), number(e.TrainLoss), number(e.ValidLoss), plots.Percent(e.Accuracy),
			plots.Seconds(e.Seconds)})
	}
	return out
}

func number(v float64) string {
	if math.IsNaN(v) {
		return "none"
	}
	return fmt.Sprintf("%.4f", v)
}

func (b *builder) facts() []Fact {
	out := []Fact{{"Body", cmp.Or(b.r.Body.Name, "unknown")}, {"Body digest", cmp.Or(b.r.Body.Digest, "unknown")}}
	if b.r.Body.Licence != "" {
		out = append(out, Fact{"Body licence", b.r.Body.Licence})
	}
	out = append(out, Fact{"Seed", strconv.FormatUint(b.r.Seed, 10)})
	return append(out, b.r.Versions...)
}
