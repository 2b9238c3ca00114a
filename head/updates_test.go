package head

import (
	"math"
	"slices"
	"testing"
)

// each runs on a trainer of both engines.
func each(t *testing.T, c Config, o Options, do func(tr *Trainer)) {
	t.Helper()
	fast, plain := twoTrainers(t, c, o)
	do(fast)
	do(plain)
}

// norm is the global L2 norm.
func norm(buffers [][]float32) float64 {
	sum := 0.0
	for _, b := range buffers {
		for _, v := range b {
			sum += float64(v) * float64(v)
		}
	}
	return math.Sqrt(sum)
}

// After the first step SGD's buffers hold the gradient and Adam's first moment a tenth of it, no longer than the limit.
func TestEveryOptimizerIsClipped(t *testing.T) {
	rows, labels := blobs(20, 6, 3, 1)
	for name, share := range map[string]float64{"sgd": 1, "adam": .1, "adamw": .1} {
		free := 0.0
		for _, clip := range []float64{0, 1e6, .01, .05} {
			each(t, Config{In: 6, Hidden: []int{5}, Classes: 3, Seed: 1}, Options{Optimizer: name, Clip: clip},
				func(tr *Trainer) {
					step(t, tr, Batch{Rows: rows, Labels: labels}, Rates{LR: .01, Momentum: .9})
					got, want := norm(tr.update.state()[0].buffers)/share, clip
					if clip == 0 {
						free = got
					}
					if clip == 0 || clip == 1e6 {
						want = free
					}
					if free < .1 || math.Abs(got/want-1) > 1e-3 {
						t.Errorf("%s, limit %v: a gradient of %v, without a limit %v", name, clip, got, free)
					}
				})
		}
	}
}

// Weight decay adds Decay*p to the gradient, with a limit of the gradient's norm too, which is of the loss alone.
func TestDecayAddsTheWeights(t *testing.T) {
	rows, labels := blobs(20, 6, 3, 1)
	b := Batch{Rows: rows, Labels: labels}
	for _, clip := range []float64{0, 1e6} {
		for _, decay := range []float64{1, .25} {
			c := Config{In: 6, Hidden: []int{5}, Classes: 3, Seed: 1}
			each(t, c, Options{Clip: clip}, func(tr *Trainer) {
				bare, err := NewTrainer(tr.head.clone(), tr.options)
				if err != nil {
					t.Fatal(err)
				}
				weights := tr.head.clone().parameters()
				step(t, tr, b, Rates{Momentum: .9, Decay: decay})
				step(t, bare, b, Rates{Momentum: .9})
				for i, v := range tr.update.state()[0].buffers {
					want := slices.Clone(bare.update.state()[0].buffers[i])
					for j := range want {
						want[j] += float32(decay) * weights[i].Data[j]
					}
					if d := largest(v, want); d > 1e-6 {
						t.Errorf("clip %v, decay %v: %s is %.3g from gradient plus decay", clip, decay, weights[i].Name, d)
					}
				}
			})
		}
	}
}

// Adam with decoupled decay is AdamW, and is not Adam.
func TestDecoupledAdamIsAdamW(t *testing.T) {
	rows, labels := blobs(20, 6, 3, 1)
	var states [][]Tensor
	for _, o := range []Options{{Optimizer: "adamw"}, {Optimizer: "adam", Decoupled: true}, {Optimizer: "adam"}} {
		tr, _ := twoTrainers(t, Config{In: 6, Classes: 3, Seed: 1}, o)
		for range 3 {
			step(t, tr, Batch{Rows: rows, Labels: labels}, Rates{LR: .01, Momentum: .9, Decay: .1})
		}
		states = append(states, append(tr.head.State(), tr.State()...))
	}
	compareStates(t, states[1], states[0], 0)
	if largest(states[2][0].Data, states[0][0].Data) == 0 {
		t.Error("Adam's decay is AdamW's")
	}
}

// A batch leaves nothing behind in buffers: a smaller one after it has the gradients that it has alone.
func TestSmallBatchAfterALargeOne(t *testing.T) {
	rows, labels := blobs(90, 6, 3, 1)
	large, small := Batch{Rows: rows, Labels: labels}, Batch{Rows: rows[:19], Labels: labels[:19]}
	c := Config{In: 6, Hidden: []int{18, 5}, Classes: 3, Seed: 1, Drop: []float64{0, 0, 0}}
	var alone [][][]float32
	each(t, c, Options{}, func(tr *Trainer) {
		step(t, tr, small, Rates{})
		alone = append(alone, tr.update.state()[0].buffers)
	})
	each(t, c, Options{}, func(tr *Trainer) {
		step(t, tr, large, Rates{})
		step(t, tr, small, Rates{})
		for i, p := range tr.head.parameters() {
			if !slices.Equal(tr.update.state()[0].buffers[i], alone[0][i]) {
				t.Errorf("the gradient of %s is another after a large batch", p.Name)
			}
		}
		alone = alone[1:]
	})
}

// The engine may change between steps.
func TestEngineChangesBetweenSteps(t *testing.T) {
	rows, labels := blobs(20, 6, 3, 1)
	b, r := Batch{Rows: rows, Labels: labels}, Rates{LR: .1, Momentum: .9}
	mixed, plain := twoTrainers(t, Config{In: 6, Hidden: []int{5}, Classes: 3, Seed: 1}, Options{})
	for k := range 4 {
		if k == 2 {
			mixed.head.SetProducts(Gonum{})
		}
		step(t, mixed, b, r)
		step(t, plain, b, r)
	}
	compareStates(t, append(mixed.head.State(), mixed.State()...), append(plain.head.State(), plain.State()...), 2e-5)
}

// What State gives is the caller's, whatever becomes of it, and a Restore that fails changes nothing.
func TestStatesShareNothing(t *testing.T) {
	rows, labels := blobs(20, 6, 3, 1)
	tr, _ := twoTrainers(t, Config{In: 6, Classes: 3, Seed: 1}, Options{})
	step(t, tr, Batch{Rows: rows, Labels: labels}, Rates{LR: .1, Momentum: .9})
	all := func() []Tensor { return append(tr.head.State(), tr.State()...) }
	want, spoilt := all(), all()
	for _, s := range spoilt {
		fill(s.Data, 7)
		for i := range s.Shape {
			s.Shape[i] = 7
		}
	}
	compareStates(t, all(), want, 0)
	for i, s := range all() {
		if !slices.Equal(s.Shape, want[i].Shape) {
			t.Errorf("%s has shape %v, want %v", s.Name, s.Shape, want[i].Shape)
		}
	}
	last := len(spoilt) - 1
	if tr.head.Restore(spoilt[1:]) == nil || tr.Restore(spoilt[:last]) == nil {
		t.Error("restored from a part")
	}
	spoilt[last].Data = spoilt[last].Data[1:]
	if err := tr.Restore(spoilt); err == nil {
		t.Error("restored from a tensor that is too short")
	}
	compareStates(t, all(), want, 0)
}

// The number of steps, which names the masks, comes back exactly.
func TestStepsComeBack(t *testing.T) {
	a, b := twoTrainers(t, Config{In: 6, Classes: 3}, Options{})
	for _, n := range []int{0, 1, 999, 1000, 1001, 16_777_217, 123_456_789} {
		a.steps = n
		if err := b.Restore(a.State()); err != nil || b.Steps() != n {
			t.Errorf("%d steps come back as %d, %v", n, b.Steps(), err)
		}
	}
}

// Each batch of Reestimate has masks of its own, named by the seed; without dropout the same batch twice is that batch.
func TestReestimateMasks(t *testing.T) {
	rows, _ := blobs(40, 6, 3, 1)
	for _, drop := range []float64{0, .5} {
		mean := func(seed uint64, times int) []float32 {
			h, err := New(Config{In: 6, Hidden: []int{8}, Classes: 2, Drop: []float64{drop, 0}, Seed: 1})
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Reestimate(slices.Values(slices.Repeat([][][]float32{rows}, times)), seed); err != nil {
				t.Fatal(err)
			}
			return h.blocks[1].norm.Mean
		}
		once := mean(1, 1)
		for name, other := range map[string][]float32{"two batches": mean(1, 2), "another seed": mean(2, 1)} {
			if d := largest(other, once); (d > 1e-4) != (drop > 0) {
				t.Errorf("dropout %v, %s: statistics differ by %.3g", drop, name, d)
			}
		}
		if d := largest(mean(1, 1), once); d != 0 {
			t.Errorf("dropout %v: the same pass gives other statistics", drop)
		}
	}
}
