package logistic

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

// Each row is in one fold, each fold has its share of every class.
func TestFolds(t *testing.T) {
	labels := make([]int, 103)
	for i := range labels {
		labels[i] = i % 4 % 3 // half of them 0
	}
	of := Folds(len(labels), labels, 5, 7)
	count := map[[2]int]int{}
	for i, f := range of {
		count[[2]int{labels[i], f}]++
	}
	for class, want := range map[int]int{0: 52 / 5, 1: 26 / 5, 2: 25 / 5} {
		for fold := range 5 {
			if n := count[[2]int{class, fold}]; n < want || n > want+1 {
				t.Errorf("class %d has %d rows in fold %d, want %d", class, n, fold, want)
			}
		}
	}
	if slices.Equal(of, Folds(len(labels), labels, 5, 8)) || !slices.Equal(of, Folds(len(labels), labels, 5, 7)) {
		t.Error("the seed does not decide")
	}
	if plain := Folds(10, nil, 3, 1); slices.Max(plain) != 2 || slices.Min(plain) != 0 {
		t.Errorf("without labels %v", plain)
	}
}

// The prediction of a row comes from the model of the other folds, and is put in its place.
func TestOutOfFold(t *testing.T) {
	for _, v := range vectors(t) {
		d := v.data()
		of := Folds(len(d.Rows), d.Labels, 3, 1)
		all, err := OutOfFold(t.Context(), d, []float64{0.01, v.C}, of)
		if err != nil {
			t.Fatal(v.Name, err)
		}
		rest, fellow := d.Without(of, 1)
		if len(rest.Rows)+len(fellow.Rows) != len(d.Rows) || len(fellow.Rows) < 29 {
			t.Fatalf("%s: %d and %d rows", v.Name, len(rest.Rows), len(fellow.Rows))
		}
		m, err := Fit(t.Context(), rest, v.C)
		if err != nil {
			t.Fatal(v.Name, err)
		}
		want, k := m.LogProbabilities(fellow.Rows, d.Multi), 0
		for i, f := range of {
			if f != 1 {
				continue
			}
			got := all[1][i*d.Classes : (i+1)*d.Classes]
			if e := far(t, got, want[k*d.Classes:(k+1)*d.Classes]); e > 0.02 { // coarse against fine
				t.Errorf("%s: row %d differs by %.2g", v.Name, i, e)
			}
			k++
		}
	}
}

func TestLosses(t *testing.T) {
	one := Data{Rows: make([][]float32, 2), Classes: 2, Labels: []int{0, 1}}
	half := float32(math.Log(0.5))
	if got := one.Losses([]float32{half, half, -3, -0.5}); math.Abs(got[0]-math.Ln2) > 1e-6 || got[1] != 0.5 {
		t.Errorf("%v", got)
	}
	many := Data{Rows: make([][]float32, 1), Classes: 2, Multi: true, Targets: []float32{1, 0}}
	quarter := float32(math.Log(0.25))
	want := (math.Ln2 - math.Log(0.75)) / 2
	if got := many.Losses([]float32{half, quarter}); math.Abs(got[0]-want) > 1e-6 {
		t.Errorf("%v, want %v", got, want)
	}
	if got := many.Losses([]float32{0, 0}); math.IsInf(got[0], 0) {
		t.Errorf("a certain mistake costs %v", got)
	}
}

// The usual C is kept unless another is better by more than chance explains.
func TestChoose(t *testing.T) {
	usual := []float64{1, 1, 1, 1}
	for _, tt := range []struct {
		other []float64
		want  int
	}{
		{[]float64{0.5, 0.6, 0.5, 0.6}, 1},   // always better
		{[]float64{0.1, 1.5, 0.1, 1.5}, 0},   // now better, now worse
		{[]float64{1.1, 1.1, 1.1, 1.1}, 0},   // worse
		{[]float64{0.9, 0.9, 0.9, 0.901}, 1}, // a little, but surely
	} {
		if got := Choose([][]float64{usual, tt.other}, 0); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.other, got, tt.want)
		}
	}
}

func TestErrors(t *testing.T) {
	good := vectors(t)[0].data()
	for name, tt := range map[string]struct {
		change func(*Data)
		c      float64
		want   string
	}{
		"one row":     {func(d *Data) { d.Rows, d.Labels = d.Rows[:1], d.Labels[:1] }, 1, "1 row"},
		"labels":      {func(d *Data) { d.Labels = d.Labels[1:] }, 1, "89 labels for 90 rows"},
		"a class":     {func(d *Data) { d.Classes = 1 }, 1, "of 1 class"},
		"a label":     {func(d *Data) { d.Labels = slices.Clone(d.Labels); d.Labels[3] = 2 }, 1, "row 3 has label 2"},
		"width":       {func(d *Data) { d.Rows = slices.Clone(d.Rows); d.Rows[5] = d.Rows[5][1:] }, 1, "row 5 has 19"},
		"not numbers": {func(d *Data) { d.Rows[7] = narrow([]float64{math.NaN()}); d.Rows[0] = d.Rows[7] }, 1, "row 0"},
		"C":           {func(*Data) {}, 0, "C is 0"},
		"C inf":       {func(*Data) {}, math.Inf(1), "C is +Inf"},
		"weights":     {func(d *Data) { d.Weights = []float64{1} }, 1, "90 labels"},
		"targets":     {func(d *Data) { d.Multi, d.Targets = true, []float32{1} }, 1, "1 target"},
	} {
		d := good
		d.Rows = slices.Clone(good.Rows)
		tt.change(&d)
		if _, err := Fit(t.Context(), d, tt.c); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Fit(ctx, good, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
}
