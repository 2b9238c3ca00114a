package head

import (
	"errors"
	"strings"
	"testing"
)

// A run stopped at any step and resumed ends in the same bytes as one never
// stopped, for each optimizer and on each engine.
func TestResumedEqualsUninterrupted(t *testing.T) {
	rows, labels := blobs(100, 20, 3, 1)
	batch := func(step int) Batch {
		order := Order(100, 5, step/4)
		lo, hi := Bounds(100, 32, step%4)
		var b Batch
		for _, k := range order[lo:hi] {
			b.Rows, b.Labels = append(b.Rows, rows[k]), append(b.Labels, labels[k])
		}
		return b
	}
	r := Rates{LR: .02, Momentum: .9, Decay: .01}
	for _, o := range []Options{{}, {Clip: .5}, {Optimizer: "adam"}, {Optimizer: "adamw", Seed: 3}} {
		for engine := range 2 {
			make2 := func() *Trainer {
				fast, plain := twoTrainers(t, Config{In: 20, Hidden: []int{24}, Classes: 3, Seed: 2}, o)
				return []*Trainer{fast, plain}[engine]
			}
			whole := make2()
			for k := range 8 {
				step(t, whole, batch(k), r)
			}
			for stop := range 8 {
				first := make2()
				for k := range stop {
					step(t, first, batch(k), r)
				}
				second := make2()
				if err := errors.Join(second.head.Restore(first.head.State()), second.Restore(first.State())); err != nil {
					t.Fatal(err)
				}
				for k := second.Steps(); k < 8; k++ {
					step(t, second, batch(k), r)
				}
				compareStates(t, append(second.head.State(), second.State()...), append(whole.head.State(), whole.State()...), 0)
			}
		}
	}
}

func step(t *testing.T, tr *Trainer, b Batch, r Rates) float64 {
	t.Helper()
	loss, err := tr.Step(b, r)
	if err != nil {
		t.Fatal(err)
	}
	return loss
}

func TestNumberOfWorkersChangesNothing(t *testing.T) {
	defer func(n int) { workers = n }(workers)
	rows, labels := blobs(64, 100, 2, 1)
	var want []Tensor
	for workers = 1; workers <= 3; workers++ {
		fast, _ := twoTrainers(t, Config{In: 100, Hidden: []int{200}, Classes: 2}, Options{})
		for range 3 {
			step(t, fast, Batch{Rows: rows, Labels: labels}, Rates{LR: .1, Momentum: .9})
		}
		if want == nil {
			want = fast.head.State()
		}
		compareStates(t, fast.head.State(), want, 0)
	}
}

func TestRestoreNamesWhatIsWrong(t *testing.T) {
	small, _ := twoTrainers(t, Config{In: 4, Classes: 2}, Options{})
	wide, _ := twoTrainers(t, Config{In: 5, Classes: 2}, Options{Optimizer: "adam"})
	if err := small.head.Restore(wide.head.State()); err == nil || !strings.Contains(err.Error(), "0.weight") {
		t.Errorf("head of another width: error %v, want one that names 0.weight", err)
	}
	if err := small.Restore(wide.State()); err == nil || !strings.Contains(err.Error(), "optimizer.momentum.0.weight") {
		t.Errorf("another optimizer: error %v, want one that names optimizer.momentum.0.weight", err)
	}
}

func TestBadInputIsRefused(t *testing.T) {
	for _, c := range []Config{{In: 0, Classes: 2}, {In: 4, Classes: 1}, {In: 4, Classes: 2, Drop: []float64{.1, .2}},
		{In: 4, Classes: 2, Drop: []float64{1}}, {In: 4, Classes: 2, Hidden: []int{0}}} {
		if _, err := New(c); err == nil {
			t.Errorf("New(%+v) gave no error", c)
		}
	}
	h, err := New(Config{In: 4, Classes: 2})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range []Options{{Optimizer: "lion"}, {Clip: -1}, {Loss: Loss{Smoothing: 1}},
		{Loss: Loss{Weights: []float32{1}}}} {
		if _, err := NewTrainer(h, o); err == nil {
			t.Errorf("NewTrainer(%+v) gave no error", o)
		}
	}
	tr, err := NewTrainer(h, Options{})
	if err != nil {
		t.Fatal(err)
	}
	row := make([]float32, 4)
	for name, b := range map[string]Batch{
		"one row":         {Rows: [][]float32{row}, Labels: []int{0}},
		"a label too few": {Rows: [][]float32{row, row}, Labels: []int{0}},
		"label 2 of 2":    {Rows: [][]float32{row, row}, Labels: []int{0, 2}},
		"a narrow row":    {Rows: [][]float32{row, row[1:]}, Labels: []int{0, 1}},
	} {
		if _, err := tr.Step(b, Rates{LR: .1}); err == nil || (name == "one row") != errors.Is(err, ErrBatch) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	if _, err := h.Predict([][]float32{row[:3]}); err == nil {
		t.Error("Predict took a narrow row")
	}
}

// A last batch of one row joins the batch before it: BatchNorm needs two.
func TestBatches(t *testing.T) {
	for _, tt := range []struct{ n, size, batches, last int }{
		{245, 64, 4, 53}, {129, 64, 2, 65}, {128, 64, 2, 64}, {65, 64, 1, 65}, {1, 64, 1, 1}, {5, 2, 2, 3}, {0, 64, 0, 0},
	} {
		got, total := Batches(tt.n, tt.size), 0
		for i := range got {
			lo, hi := Bounds(tt.n, tt.size, i)
			if lo != total {
				t.Errorf("%d by %d: batch %d starts at %d, want %d", tt.n, tt.size, i, lo, total)
			}
			total = hi
		}
		if got != tt.batches || total != tt.n {
			t.Errorf("%d by %d: %d batches of %d rows in all, want %d of %d", tt.n, tt.size, got, total, tt.batches, tt.n)
		}
		if got > 0 {
			if lo, hi := Bounds(tt.n, tt.size, got-1); hi-lo != tt.last {
				t.Errorf("%d by %d: last batch of %d, want %d", tt.n, tt.size, hi-lo, tt.last)
			}
		}
	}
}
