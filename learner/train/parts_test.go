package train

import (
	"context"
	"path/filepath"
	"slices"
	"testing"

	"finetune/dataset"
	"finetune/internal/jobtest"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/learner/parts"
	"finetune/onnx/bodies"
	"finetune/onnx/weights"
)

// partsTraining is a training of heads on made-up rows, without a body.
func partsTraining(m jobtest.Made, set *parts.Set, change func(*config.Training)) *training {
	c := config.DefaultConfig()
	c.Train.Hidden, c.Train.BatchSize, c.Train.Seed, c.Train.LR = config.Widths{32}, 16, 3, .05
	change(&c.Train)
	c.Train = c.Train.Completed()
	l := set.Options.Labels
	return &training{Setup: &features.Setup{Config: c, UI: uitest.Quiet{}, Body: bodies.Body{Spec: bodies.Spec{
		Channels: int64(m.Width / 2)}}, Set: &dataset.Set{Classes: l.Classes, Multi: l.Multi}}}
}

// memory are the rows of a made job in memory, in the order of the job.
func memory(m jobtest.Made) *features.Features {
	f := &features.Features{}
	for i := range m.Train + m.Valid {
		row, to := make([]float32, m.Width), &f.Train
		m.Features(row, i)
		if i >= m.Train {
			to = &f.Valid
		}
		to.Items, to.Rows = append(to.Items, dataset.Item{Label: i % m.Classes}), append(to.Rows, row)
	}
	return f
}

func openMade(t *testing.T, m jobtest.Made) *parts.Set {
	t.Helper()
	place := filepath.Join(t.TempDir(), "job")
	if err := m.Write(t.Context(), place); err != nil {
		t.Fatal(err)
	}
	set, err := parts.Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { set.Close() })
	return set
}

// A window that holds all rows gives the weights of training in memory, to the bit.
func TestOneWindowGivesTheHeadOfMemory(t *testing.T) {
	m := jobtest.Made{Train: 300, Valid: 90, Width: 24, Classes: 3, TaskRows: 40}
	set := openMade(t, m)
	for name, change := range map[string]func(*config.Training){
		"plain":   func(c *config.Training) { c.Epochs = 8 },
		"swa":     func(c *config.Training) { c.Epochs, c.SWA = 8, 4 },
		"weights": func(c *config.Training) { c.Epochs, c.Balance = 8, config.Weights },
	} {
		tr := partsTraining(m, set, func(c *config.Training) { change(c); c.Window = 300 })
		inParts, _, end, err := tr.partsFit(set)
		if err != nil {
			t.Fatal(err)
		}
		defer end()
		tr.features = memory(m)
		inMemory, _, err := tr.newFit(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range []*fit.Fit{inParts, inMemory} {
			if err := f.Run(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if !equalStates(t, inParts, inMemory) {
			t.Errorf("%s: other weights than in memory", name)
		}
		if a, b := inParts.History, inMemory.History; len(a) != len(b) || a[len(a)-1].Accuracy != b[len(b)-1].Accuracy {
			t.Errorf("%s: %v, in memory %v", name, a, b)
		}
		if a := inParts.History; a[len(a)-1].Accuracy < .6 {
			t.Errorf("%s: accuracy %v of three classes", name, a[len(a)-1].Accuracy)
		}
	}
}

func equalStates(t *testing.T, a, b *fit.Fit) bool {
	t.Helper()
	var states [2][]weights.Tensor
	for i, f := range []*fit.Fit{a, b} {
		var err error
		if states[i], err = f.Model.Weights(); err != nil {
			t.Fatal(err)
		}
	}
	return slices.EqualFunc(states[0], states[1], func(x, y weights.Tensor) bool {
		return x.Name == y.Name && slices.Equal(x.Data, y.Data)
	})
}

// A training in small windows that stops at any step goes on to the same weights.
func TestTrainingInWindowsResumes(t *testing.T) {
	m := jobtest.Made{Train: 200, Valid: 30, Width: 4, Classes: 2, TaskRows: 15, Bad: 8}
	set := openMade(t, m)
	tr := partsTraining(m, set, func(c *config.Training) { c.Epochs, c.Window = 3, 50 })
	whole, _, end, err := tr.partsFit(set)
	if err != nil {
		t.Fatal(err)
	}
	defer end()
	if err := whole.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, at := range []int{1, 4, 10, 11, 23, 32} {
		ctx, cancel := context.WithCancel(t.Context())
		first, _, end, err := tr.partsFit(set)
		if err != nil {
			t.Fatal(err)
		}
		first.Tick = func(step, _ int) {
			if step == at {
				cancel()
			}
		}
		if err := first.Run(ctx); err == nil {
			t.Fatalf("step %d of %d: not stopped", at, first.Schedule.Steps())
		}
		end()
		tensors, meta, err := first.State()
		if err != nil {
			t.Fatal(err)
		}
		second, _, end, err := tr.partsFit(set)
		if err != nil {
			t.Fatal(err)
		}
		if err := second.Restore(tensors, meta); err != nil {
			t.Fatal(err)
		}
		if err := second.Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		end()
		if !equalStates(t, second, whole) {
			t.Errorf("stopped at step %d: other weights", at)
		}
	}
}
