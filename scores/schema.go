package scores

import (
	"cmp"
	"fmt"
	"math"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"finetune/calibration"
	"finetune/internal/failure"
	"finetune/internal/plural"
)

// Column is a named column of texts or of float32 numbers.
type Column struct {
	Name   string
	Number bool
}

// Cell is a value: Text in a column of texts, Number elsewhere, where NaN means
// that there is none.
type Cell struct {
	Text   string
	Number float32
}

// Row holds a cell for each column.
type Row []Cell

// None is the number that is not there.
var None = float32(math.NaN())

// Result is what was found out about one file.
type Result struct {
	Path   string
	Status string // ok, unreadable, too_large, empty or unsupported
	Reason string
	// LogProb are the log-probabilities of the classes; nil unless Status is ok.
	LogProb []float32
	Oddness float32 // how unlike the training photographs; NaN: not known
}

// Odd is the status of a file that is too unlike the training photographs to be predicted.
const Odd = "odd"

// Unsure is the set of no class.
const Unsure = "unsure"

// setSeparator stands between the classes of a set.
const setSeparator = "|"

// OK is the status of a file that was scored.
const OK = "ok"

// Options choose the columns.
type Options struct {
	Multi     bool    // several labels an image: each class by itself
	Separator string  // between predicted labels, where Multi
	Top       int     // columns of the K most probable classes instead of one a class
	Threshold float64 // least probability of a predicted class; where Multi, 0 means 0.5
	Kaggle    string  // id,label with the probability of this class
	Coverage  float64 // a column with the classes that hold the true one so often; 0: none
	Limit     float32 // with Coverage: least probability of a class in the set
	Oddness   bool    // a column with the oddness
}

// Table turns results into rows.
type Table struct {
	Columns []Column
	classes []string
	o       Options
	kaggle  int // index of the class, -1 without
}

// NewTable lays out the columns:
//
//	path, status, reason, predicted, probability, p_CLASS …
//	path, status, reason, predicted, probability, class_1, p_1, … class_K, p_K   with Top
//	id, label                                                                    with Kaggle
//
// Behind these stand set, with Coverage, and oddness, with Oddness; not with Kaggle.
// probability is that of the most probable class. Errors are failure.Usage.
func NewTable(classes []string, o Options) (*Table, error) {
	t := &Table{classes: classes, o: o, kaggle: -1}
	text, number := func(n string) { t.Columns = append(t.Columns, Column{Name: n}) },
		func(n string) { t.Columns = append(t.Columns, Column{n, true}) }
	switch {
	case o.Top < 0 || o.Top > len(classes):
		return nil, failure.Usage(fmt.Errorf("scores: --top %d: there are %s; give 1 to %d",
			o.Top, plural.Count(len(classes), "class"), len(classes)))
	case !(o.Threshold >= 0 && o.Threshold <= 1):
		return nil, failure.Usage(fmt.Errorf("scores: --threshold %v: must be from 0 to 1", o.Threshold))
	case o.Kaggle != "" && o.Top > 0:
		return nil, failure.Usage(fmt.Errorf("scores: --kaggle and --top cannot be combined; leave one out"))
	case o.Kaggle != "":
		for i, c := range classes {
			if c == o.Kaggle {
				t.kaggle = i
			}
		}
		if t.kaggle < 0 {
			return nil, failure.Usage(fmt.Errorf("scores: no class %q; there are %s", o.Kaggle, strings.Join(classes, ", ")))
		}
		text("id")
		number("label")
		return t, nil
	}
	for _, n := range []string{"path", "status", "reason", "predicted"} {
		text(n)
	}
	number("probability")
	for k := range o.Top {
		text("class_" + strconv.Itoa(k+1))
		number("p_" + strconv.Itoa(k+1))
	}
	if o.Top == 0 {
		for _, c := range classes {
			number("p_" + c)
		}
	}
	if o.Coverage > 0 {
		text("set")
	}
	if o.Oddness {
		number("oddness")
	}
	return t, nil
}

// ID is what Kaggle calls a file: its path without the ending.
func ID(path string) string { return strings.TrimSuffix(path, filepath.Ext(path)) }

// Row is the row of a result. A file that gave no probabilities has empty cells;
// in the form of Kaggle, which wants a number for each id, all classes alike.
func (t *Table) Row(r Result) Row {
	p := make([]float32, len(t.classes))
	for i := range p {
		p[i] = None
		if r.LogProb != nil {
			p[i] = float32(math.Exp(float64(r.LogProb[i])))
		}
	}
	if t.kaggle >= 0 {
		if r.LogProb == nil {
			return Row{{Text: ID(r.Path)}, {Number: float32(1 / float64(len(p)))}}
		}
		return Row{{Text: ID(r.Path)}, {Number: p[t.kaggle]}}
	}
	order := ranking(r.LogProb)
	row := Row{{Text: r.Path}, {Text: r.Status}, {Text: r.Reason}, {}, {Number: None}}
	if r.LogProb != nil {
		row[3].Text, row[4].Number = t.predicted(p, order[0]), p[order[0]]
	}
	for k := range t.o.Top {
		if r.LogProb == nil {
			row = append(row, Cell{}, Cell{Number: None})
		} else {
			row = append(row, Cell{Text: t.classes[order[k]]}, Cell{Number: p[order[k]]})
		}
	}
	if t.o.Top == 0 {
		for _, v := range p {
			row = append(row, Cell{Number: v})
		}
	}
	if t.o.Coverage > 0 {
		row = append(row, Cell{Text: t.set(r.LogProb, p)})
	}
	if t.o.Oddness {
		row = append(row, Cell{Number: r.Oddness})
	}
	return row
}

// set names the classes of the prediction set.
func (t *Table) set(logp, p []float32) string {
	if logp == nil {
		return ""
	}
	var names []string
	for _, c := range calibration.Set(p, t.o.Limit) {
		names = append(names, t.classes[c])
	}
	return cmp.Or(strings.Join(names, setSeparator), Unsure)
}

// predicted names the class, or classes, that p speaks for.
func (t *Table) predicted(p []float32, best int) string {
	if !t.o.Multi {
		if float64(p[best]) < t.o.Threshold {
			return ""
		}
		return t.classes[best]
	}
	limit := t.o.Threshold
	if limit == 0 {
		limit = 0.5
	}
	var names []string
	for i, v := range p {
		if float64(v) > limit {
			names = append(names, t.classes[i])
		}
	}
	return strings.Join(names, t.o.Separator)
}

// ranking lists classes by falling probability, equal ones in their order.
func ranking(logp []float32) []int {
	order := make([]int, len(logp))
	for i := range order {
		order[i] = i
	}
	sort.SliceStable(order, func(a, b int) bool { return logp[order[a]] > logp[order[b]] })
	return order
}
