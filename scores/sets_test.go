package scores

import (
	"math"
	"slices"
	"testing"
)

func names(t *Table) (out []string) {
	for _, c := range t.Columns {
		out = append(out, c.Name)
	}
	return out
}

// Sets and oddness are the last columns, in each form of the table but Kaggle's.
func TestSetsAndOddness(t *testing.T) {
	classes := []string{"a", "b", "c"}
	o := Options{Coverage: .9, Limit: .25, Oddness: true}
	for _, tt := range []struct {
		top  int
		p    []float32
		odd  float32
		want string
	}{
		{0, logs(.5, .25, .25), .5, "a|b|c"}, {2, logs(.7, .2, .1), 1.5, "a"}, {0, logs(.2, .2, .2), 0, Unsure},
		{1, nil, None, ""},
	} {
		o.Top = tt.top
		table, err := NewTable(classes, o)
		if err != nil {
			t.Fatal(err)
		}
		list, row := names(table), table.Row(Result{Path: "x", Status: OK, LogProb: tt.p, Oddness: tt.odd})
		n := len(list)
		if len(row) != n || list[n-2] != "set" || list[n-1] != "oddness" || row[n-2].Text != tt.want {
			t.Errorf("columns %v, row %v; want the set %q", list, row, tt.want)
		}
		if got := row[n-1].Number; got != tt.odd && !(math.IsNaN(float64(got)) && tt.p == nil) {
			t.Errorf("oddness %g, want %g", got, tt.odd)
		}
	}
	table, err := NewTable(classes, Options{Kaggle: "b", Coverage: .9, Oddness: true})
	if err != nil || !slices.Equal(names(table), []string{"id", "label"}) {
		t.Errorf("columns %v, %v", names(table), err)
	}
}
