package dataset

import (
	"fmt"
	"strings"
	"testing"

	"finetune/dataset/kinds"
)

// A journal's rows count as they were in the end; with enough of them kept aside, those validate.
func TestJournalAsLabels(t *testing.T) {
	var b strings.Builder
	b.WriteString("path,label,who,when,source\n")
	for i := range fewestAside {
		fmt.Fprintf(&b, "aside%02d.jpg,a,me,1,aside\nt%02d.jpg,a,me,1,chosen\n", i, i)
	}
	b.WriteString("t00.jpg,b,me,2,review\nt01.jpg,b,me,3,review\n")
	b.WriteString("t01.jpg,,me,4,undo\nt02.jpg,,me,5,undo\nt03.jpg,,me,5,skip\n")
	tab, err := parseCSV(strings.NewReader(b.String()), "", "")
	if err != nil {
		t.Fatal(err)
	}
	labels, valid := map[string]string{}, 0
	for _, r := range tab.rows {
		labels[r.cell] = r.label
		if r.split == kinds.ValidPart {
			valid++
		}
	}
	if len(tab.rows) != 2*fewestAside-2 || labels["t00.jpg"] != "b" || labels["t01.jpg"] != "a" ||
		labels["t02.jpg"] != "" {
		t.Errorf("%d rows: %v", len(tab.rows), labels)
	}
	if valid != fewestAside || !tab.split || len(tab.notes) != 1 || len(tab.odd) != 0 {
		t.Errorf("%d to validate on, split %t, said %q, odd %q", valid, tab.split, tab.notes, tab.odd)
	}
	few, err := parseCSV(strings.NewReader("path,label,who,when,source\na.jpg,a,me,1,aside\nb.jpg,b,me,1,chosen\n"),
		"", "")
	if err != nil || few.split || len(few.rows) != 2 {
		t.Errorf("few aside: %v, split %t, %v", few.rows, few.split, err)
	}
}
