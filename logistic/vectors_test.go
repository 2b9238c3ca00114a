package logistic

import (
	"encoding/json"
	"math"
	"os"
	"runtime"
	"slices"
	"testing"

	"finetune/internal/columns"
	"finetune/internal/rng"
)

// vector is a case of testdata/reference/logistic_vectors.py.
type vector struct {
	Name         string
	Classes      int
	C, Loss      float64
	Multi        bool
	Weights      []float64
	Weight, Bias []float32
	Logp         []float32
}

const rows, features = 90, 20

func uniform(name string, n int, lo, hi float64) []float64 {
	s, x := rng.New(12, rng.Text(name)), make([]float64, n)
	for i := range x {
		x[i] = s.Uniform(lo, hi)
	}
	return x
}

// data are the rows and labels of a case.
func (v vector) data() Data {
	d := Data{Classes: v.Classes, Multi: v.Multi, Weights: v.Weights}
	flat, labels := uniform("rows", rows*features, -1, 3), uniform("labels", rows, 0, float64(v.Classes))
	for i := range rows {
		r := narrow(flat[i*features : (i+1)*features])
		r[1] *= 50
		r[2] = 0.25
		d.Rows = append(d.Rows, r)
		label := min(int(labels[i]), v.Classes-1)
		if r[0] > 2 {
			label = 0
		}
		d.Labels = append(d.Labels, label)
	}
	if v.Multi {
		d.Labels = nil
		for _, u := range uniform("targets", rows*v.Classes, 0, 1) {
			target := float32(0)
			if u < 0.4 {
				target = 1
			}
			d.Targets = append(d.Targets, target)
		}
	}
	return d
}

func vectors(t *testing.T) (list []vector) {
	t.Helper()
	text, err := os.ReadFile("../testdata/reference/logistic_vectors.json")
	if err == nil {
		err = json.Unmarshal(text, &list)
	}
	if err != nil || len(list) == 0 {
		t.Fatal(len(list), err)
	}
	return list
}

// far is the greatest difference of two lists.
func far(t *testing.T, a, b []float32) (most float64) {
	t.Helper()
	if len(a) != len(b) {
		t.Fatalf("%d and %d numbers", len(a), len(b))
	}
	for i := range a {
		most = max(most, math.Abs(float64(a[i])-float64(b[i])))
	}
	return most
}

// The minimum is scikit-learn's, which is unique.
func TestFitIsScikitLearns(t *testing.T) {
	for _, v := range vectors(t) {
		d := v.data()
		m, err := Fit(t.Context(), d, v.C)
		if err != nil {
			t.Fatal(v.Name, err)
		}
		if w, b := far(t, m.Weight, v.Weight), far(t, m.Bias, v.Bias); w > 2e-4 || b > 2e-4 {
			t.Errorf("%s: weights differ by %.2g, biases by %.2g", v.Name, w, b)
		}
		if math.Abs(m.Loss-v.Loss) > 1e-5 {
			t.Errorf("%s: loss %.7f, want %.7f", v.Name, m.Loss, v.Loss)
		}
		if logp := far(t, m.LogProbabilities(d.Rows[:10], d.Multi), v.Logp); logp > 2e-4 {
			t.Errorf("%s: log-probabilities differ by %.2g", v.Name, logp)
		}
	}
}

// The gradient is that of the loss: central differences.
func TestGradient(t *testing.T) {
	for _, v := range vectors(t) {
		d := v.data()
		mean, variance := columns.Moments(d.Rows)
		p := newProblem(d, mean, variance)
		p.penalty = 0.05
		x := uniform("point", len(p.at), -0.3, 0.3)
		grad, h := make([]float64, len(x)), 1e-3
		p.gradient(grad, x)
		for _, i := range []int{0, 1, 2, features, len(x) - 2, len(x) - 1} {
			at := func(by float64) float64 {
				y := slices.Clone(x)
				y[i] += by
				return p.loss(y)
			}
			if want := (at(h) - at(-h)) / (2 * h); math.Abs(grad[i]-want) > 1e-4 {
				t.Errorf("%s: derivative %d is %.6f, by differences %.6f", v.Name, i, grad[i], want)
			}
		}
	}
}

// However many processors there are, the bytes are the same.
func TestSameBytesOnAnyNumberOfProcessors(t *testing.T) {
	v := vectors(t)[2]
	var first *Model
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, n := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(n)
		m, err := Fit(t.Context(), v.data(), v.C)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = m
		}
		if far(t, m.Weight, first.Weight) != 0 || far(t, m.Bias, first.Bias) != 0 {
			t.Errorf("other weights on %d processors", n)
		}
	}
}
