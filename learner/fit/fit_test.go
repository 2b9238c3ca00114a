package fit

import (
	"context"
	"errors"
	"iter"
	"math"
	"slices"
	"testing"

	"finetune/dataset"
	"finetune/learner/config"
	"finetune/learner/runs"
	"finetune/onnx/weights"
	"finetune/schedule"
)

// fakeModel has one weight, which takes the values of script epoch by epoch.
type fakeModel struct {
	script   []float32
	accuracy []float64 // of each epoch on four validation photographs
	epochs   int
	weight   float32
	seen     [][]int
	used     []Rates
	fixed    int // calls of reestimate
}

func (m *fakeModel) Step(_ context.Context, epoch int, index []int, r Rates) (float64, error) {
	m.seen, m.used = append(m.seen, slices.Clone(index)), append(m.used, r)
	m.weight = m.script[epoch]
	return float64(len(m.seen)), nil
}

// Validate is right on a share of the four photographs, all of class 0.
func (m *fakeModel) Validate(context.Context) (runs.Score, []float32, error) {
	right := int(4 * m.accuracy[min(m.epochs, len(m.accuracy)-1)])
	m.epochs++
	var out []float32
	for i := range 4 {
		p, q := float32(math.Log(.9)), float32(math.Log(.1))
		if i >= right {
			p, q = q, p
		}
		out = append(out, p, q)
	}
	return runs.Measure(out, make([]dataset.Item, 4), 2, false), out, nil
}

func (m *fakeModel) Weights() ([]weights.Tensor, error) {
	return []weights.Tensor{{Name: "w", Shape: []int64{1}, Data: []float32{m.weight}}}, nil
}
func (m *fakeModel) SetWeights(t []weights.Tensor) error               { m.weight = t[0].Data[0]; return nil }
func (m *fakeModel) Optimiser() ([]weights.Tensor, error)              { return nil, nil }
func (m *fakeModel) SetOptimiser([]weights.Tensor) error               { return nil }
func (m *fakeModel) Reestimate(context.Context, iter.Seq[[]int]) error { m.fixed++; return nil }
func (m *fakeModel) Prefetch([]NextBatch)                              {}
func (m *fakeModel) Groups() []string                                  { return []string{"early", "middle", "head"} }

func newFakeFit(c runs.Training, m *fakeModel, train int) *Fit {
	c.BatchSize, c.Momentum = 4, .9
	batches := (train + 3) / 4
	sched, err := NewSchedule(c, batches)
	if err != nil {
		panic(err)
	}
	return &Fit{Config: c, Draw: Shuffled(c, make([]dataset.Item, train), 2), Model: m, Schedule: sched,
		Batches: batches}
}

func TestEveryEpochTakesEveryPhotographOnce(t *testing.T) {
	m := &fakeModel{script: []float32{1, 2}, accuracy: []float64{1}}
	f := newFakeFit(runs.Training{LR: .1, Schedule: "constant", Epochs: 2}, m, 10)
	if err := f.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for epoch := range 2 {
		got := slices.Concat(m.seen[3*epoch : 3*epoch+3]...)
		slices.Sort(got)
		if !slices.Equal(got, runs.Indices(10)) {
			t.Errorf("epoch %d took %v", epoch, got)
		}
	}
	if slices.Equal(m.seen[0], m.seen[3]) {
		t.Error("two epochs have one order")
	}
	if f.Smoothed.Count != 6 || len(f.losses) != 6 || len(f.History) != 2 {
		t.Errorf("%d smoothed, %d losses, %d epochs; want 6, 6, 2", f.Smoothed.Count, len(f.losses), len(f.History))
	}
}

// want: fast.ai 0.7, nb_0 = 4, m = 2, last group .01, step 1 (reference 5.2).
func TestGroupsShareOneFactor(t *testing.T) {
	m := &fakeModel{script: make([]float32, 7), accuracy: []float64{1}}
	f := newFakeFit(runs.Training{LRs: []float64{1e-4, 1e-3, 1e-2}, Schedule: "sgdr", Cycles: 3, CycleLen: 1,
		CycleMult: 2}, m, 16)
	if err := f.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(m.used) != 28 {
		t.Fatalf("%d steps, want 28", len(m.used))
	}
	for i, want := range []float64{8.5355339e-5, 8.5355339e-4, 8.5355339e-3} {
		if got := m.used[1].LR[i]; math.Abs(got-want) > 1e-10 {
			t.Errorf("group %d has rate %.10g at step 1, fast.ai %.10g", i, got, want)
		}
	}
}

// want: fast.ai 0.7 SWA, weights 1, 3, 5 -> 1, 2, 3; from epoch 2: 3, 4 (reference 5.6).
func TestAveraging(t *testing.T) {
	for _, tt := range []struct {
		start int
		want  float32
	}{{1, 3}, {2, 4}} {
		m := &fakeModel{script: []float32{1, 3, 5}, accuracy: []float64{1}}
		if err := newFakeFit(runs.Training{LR: .1, Schedule: "constant", Epochs: 3, SWA: tt.start}, m,
			8).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if m.weight != tt.want || m.fixed != 1 {
			t.Errorf("from epoch %d: weight %g after %d re-estimations, want %g after 1", tt.start, m.weight, m.fixed, tt.want)
		}
	}
}

func TestBestAndPatience(t *testing.T) {
	m := &fakeModel{script: []float32{1, 2, 3, 4, 5}, accuracy: []float64{.5, .75, .75, .25, .5}}
	f := newFakeFit(runs.Training{LR: .1, Schedule: "constant", Epochs: 5, Patience: 2}, m, 8)
	if err := f.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if m.weight != 2 || len(f.History) != 4 {
		t.Errorf("weight %g after %d epochs, want 2 (the first best) after 4", m.weight, len(f.History))
	}
}

func TestSnapshotsAtTheEndOfCycles(t *testing.T) {
	m := &fakeModel{script: make([]float32, 7), accuracy: []float64{1}}
	f := newFakeFit(runs.Training{LR: .1, Schedule: "sgdr", Cycles: 3, CycleLen: 1, CycleMult: 2, Snapshots: true}, m, 8)
	var at []int
	f.Snapshot = func(f *Fit, cycle int) error { at = append(at, f.Step); return nil }
	if err := f.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if want := []int{2, 6, 14}; !slices.Equal(at, want) {
		t.Errorf("snapshots after steps %v, want %v: after the last batch of each cycle", at, want)
	}
	if got := f.Ensemble()[0]; math.Abs(float64(got)-math.Log(.9)) > 1e-6 {
		t.Errorf("the mean of three equal predictions is %g, want log .9", got)
	}
}

func TestAnInterruptedFitIsSaved(t *testing.T) {
	m := &fakeModel{script: make([]float32, 9), accuracy: []float64{1}}
	f := newFakeFit(runs.Training{LR: .1, Schedule: "constant", Epochs: 9}, m, 8)
	ctx, cancel := context.WithCancel(t.Context())
	saves := 0
	f.Save = func(*Fit) error { saves++; return nil }
	f.Tick = func(step, _ int) {
		if step == 3 {
			cancel()
		}
	}
	if err := f.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want the context's", err)
	}
	if saves != 1 || f.Step != 3 {
		t.Errorf("%d saves at step %d, want one at step 3", saves, f.Step)
	}
}

func TestSchedulesAreNamed(t *testing.T) {
	for name, want := range map[string]schedule.Schedule{
		"constant": schedule.Constant{Batches: 5, Epochs: 2},
		"warm-up":  schedule.WarmUp{Batches: 5},
		"sgdr":     schedule.SGDR{Batches: 5, CycleLen: 1, Mult: 2, Cycles: 3},
		"clr":      schedule.CLR{Batches: 5, CycleLen: 1, Cycles: 3, Div: 20, CutDiv: 10, MomentumMax: .95, MomentumMin: .85},
		"clr-beta": schedule.CLRBeta{Batches: 5, CycleLen: 1, Cycles: 3, Div: 20, Tail: 10, MomentumMax: .95,
			MomentumMin: .85},
	} {
		c := runs.Training{Schedule: config.Schedule(name), Epochs: 2, Cycles: 3, CycleLen: 1, CycleMult: 2,
			CLR: config.OneCycle{Div: 20, Cut: 10, Moves: true, MomentumMax: .95, MomentumMin: .85}}
		if got, err := NewSchedule(c, 5); err != nil || got != want {
			t.Errorf("%s: %#v, %v", name, got, err)
		}
	}
	if _, err := NewSchedule(runs.Training{Schedule: "magic"}, 5); err == nil {
		t.Error("an unknown schedule is taken")
	}
}
