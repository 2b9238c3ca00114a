package head

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"finetune/internal/rng"
)

// vector is a case of testdata/reference/head_vectors.py.
type vector struct {
	Name             string
	Hidden           []int
	Steps            int
	LR, Decay, Clip  float64
	Optimizer        string
	Decoupled, Multi bool
	Freeze           bool
	Smoothing        float64
	Weights          []float32
	Losses           []float64
	Gradients, State map[string][]float32
	Logp             []float32
}

// uniform is fill of head_vectors.py.
func uniform(name string, n int, lo, hi float64) []float32 {
	s, x := rng.New(11, rng.Text(name)), make([]float32, n)
	for i := range x {
		x[i] = float32(s.Uniform(lo, hi))
	}
	return x
}

func uniformRows(name string, n, features int) [][]float32 {
	flat, rows := uniform(name, n*features, -1, 2), make([][]float32, n)
	for i := range rows {
		rows[i] = flat[i*features : (i+1)*features]
	}
	return rows
}

// trainer makes the initial state of v, without dropout.
func (v vector) trainer(t *testing.T, p Products) *Trainer {
	t.Helper()
	hidden := v.Hidden
	if hidden == nil {
		hidden = []int{10}
	}
	h, err := New(Config{In: 12, Hidden: hidden, Drop: make([]float64, len(hidden)+1), Classes: 3, Multi: v.Multi})
	if err != nil {
		t.Fatal(err)
	}
	h.SetProducts(p)
	for _, q := range h.parameters() {
		lo, hi := -.5, .5
		if len(q.Shape) == 1 && strings.HasSuffix(q.Name, "weight") {
			lo, hi = .5, 1.5
		}
		copy(q.Data, uniform(q.Name, len(q.Data), lo, hi))
	}
	tr, err := NewTrainer(h, Options{Optimizer: v.Optimizer, Decoupled: v.Decoupled, Clip: v.Clip, FreezeBN: v.Freeze,
		Loss: Loss{Smoothing: v.Smoothing, Weights: v.Weights}})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

func (v vector) batch(step int) Batch {
	b := Batch{Rows: uniformRows(fmt.Sprintf("x%d", step), 24, 12)}
	for i := range 24 {
		b.Labels = append(b.Labels, (i*i+step)%3)
		for j := range 3 {
			t := float32(1)
			if (i+j+step)%3 == 0 {
				t = 0
			}
			b.Targets = append(b.Targets, t)
		}
	}
	return b
}

func readVectors(t *testing.T) []vector {
	t.Helper()
	data, err := os.ReadFile("../testdata/reference/head_vectors.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []vector
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	return list
}

// want: testdata/reference/head_vectors.py, PyTorch 2.9.
func TestVectors(t *testing.T) {
	const tolerance = 1e-5 // 20 steps in float32
	for _, p := range []Products{nil, Gonum{}} {
		for _, v := range readVectors(t) {
			t.Run(fmt.Sprintf("%s/native=%v", v.Name, p == nil), func(t *testing.T) {
				v.checkGradients(t, p, tolerance)
				tr := v.trainer(t, p)
				for k, want := range v.Losses {
					got := step(t, tr, v.batch(k), Rates{LR: v.LR, Momentum: .9, Decay: v.Decay})
					if d := largest([]float32{float32(got)}, []float32{float32(want)}); d > tolerance {
						t.Errorf("step %d: loss %.9g, PyTorch gives %.9g", k, got, want)
					}
				}
				for _, q := range tr.head.State() {
					if d := largest(q.Data, v.State[q.Name]); d > tolerance {
						t.Errorf("%s after %d steps is %.3g from PyTorch's", q.Name, v.Steps, d)
					}
				}
				logp, err := tr.head.Predict(uniformRows("valid", 5, 12))
				if err != nil {
					t.Fatal(err)
				}
				if d := largest(logp, v.Logp); d > tolerance {
					t.Errorf("log-probabilities are %.3g from PyTorch's", d)
				}
			})
		}
	}
}

// checkGradients takes one step of SGD at rate 0, which leaves the gradients in
// the momentum buffers.
func (v vector) checkGradients(t *testing.T, p Products, tolerance float64) {
	t.Helper()
	v.Optimizer, v.Clip, v.Decay = "sgd", 0, 0
	tr := v.trainer(t, p)
	step(t, tr, v.batch(0), Rates{Momentum: .9})
	for i, q := range tr.head.parameters() {
		if d := largest(tr.update.state()[0].buffers[i], v.Gradients[q.Name]); d > tolerance {
			t.Errorf("gradient of %s is %.3g from PyTorch's", q.Name, d)
		}
	}
}
