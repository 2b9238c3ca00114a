package check

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"finetune/internal/durable"
	"finetune/scores"
)

// Files of an audit.
const (
	TableFile   = "audit.csv"
	SummaryFile = "audit.json"
	RelabelFile = "relabel.csv"
	PageFile    = "index.html"
)

// Header of audit.csv.
var header = []string{"kind", "path", "split", "label", "score", "flagged", "suggested", "other", "detail"}

// Write writes audit.csv, audit.json, relabel.csv and the page into dir, which is made where
// it is missing. Each file appears whole.
func (r *Result) Write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return fmt.Errorf("audit: %w", err)
	}
	for _, f := range []struct {
		name string
		fill func(io.Writer) error
	}{{TableFile, r.table}, {SummaryFile, r.summary}, {RelabelFile, r.relabel}} {
		if err := durable.Write(filepath.Join(dir, f.name), f.fill); err != nil {
			return fmt.Errorf("audit: %w", err)
		}
	}
	return r.writePage(filepath.Join(dir, PageFile))
}

func (r *Result) table(w io.Writer) error {
	t := csv.NewWriter(w)
	t.Write(header)
	for _, row := range r.Rows {
		flagged := "0"
		if row.Flagged {
			flagged = "1"
		}
		t.Write([]string{row.Kind, scores.Disarm(row.Path), row.Split, scores.Disarm(row.Label),
			strconv.FormatFloat(row.Score, 'g', 6, 64), flagged, scores.Disarm(row.Suggested), scores.Disarm(row.Other),
			scores.Disarm(row.Detail)})
	}
	t.Flush()
	return t.Error()
}

func (r *Result) summary(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	again := *r
	again.Seconds = nil // equal data sets give equal files
	return e.Encode(again)
}

// relabel writes all photographs as a labels file, the most doubtful first: edit the column label
// and hand it to --labels. A suggestion is a suggestion: the labels are the ones that are.
func (r *Result) relabel(w io.Writer) error {
	p := r.p
	rank, suggested := map[int]int{}, map[int]string{}
	for k, row := range r.Rows {
		if row.Kind == Label {
			rank[row.at] = k - len(r.Rows) // before those that have no rank
			if row.Flagged {
				suggested[row.at] = row.Suggested
				rank[row.at] -= len(r.Rows)
			}
		}
	}
	order := make([]int, len(p.items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rank[a], rank[b]) })
	t := csv.NewWriter(w)
	t.Write([]string{"path", "label", "split", "suggested"})
	for _, i := range order {
		t.Write([]string{p.items[i].Path, p.label(i), p.split[i], suggested[i]})
	}
	t.Flush()
	return t.Error()
}
