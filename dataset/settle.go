package dataset

import (
	"fmt"
	"slices"

	"finetune/dataset/journal"
	"finetune/dataset/kinds"
	"finetune/internal/plural"
)

// fewestAside are enough photographs kept aside to validate on. Labels that were asked for because
// they teach most are harder than others, and an accuracy on them says little.
const fewestAside = 20

// sourceColumn is the place of the column that says what a label is for, in a journal; -1 in any other file.
func sourceColumn(header []string) int {
	if !slices.Equal(header, journal.Header) {
		return -1
	}
	return slices.Index(header, "source")
}

// settle leaves of a journal's rows what they say in the end, and validates on what was kept aside.
func (t *table) settle(c columns) {
	if c.source < 0 {
		return
	}
	t.rows = journal.Settle(t.rows, func(r row) (string, string) { return r.cell, r.source })
	t.rows = slices.DeleteFunc(t.rows, func(r row) bool { return r.label == "" })
	aside := 0
	for _, r := range t.rows {
		if journal.HeldOut(r.source) {
			aside++
		}
	}
	if t.split = aside >= fewestAside; !t.split {
		return
	}
	for i, r := range t.rows {
		t.rows[i].split = kinds.TrainPart
		if journal.HeldOut(r.source) {
			t.rows[i].split = kinds.ValidPart
		}
	}
	t.notes = append(t.notes, fmt.Sprintf("labels file: validated on its %s that were kept aside",
		plural.Count(aside, "photograph")))
}
