package fit

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"

	"finetune/internal/plural"
	"finetune/learner/runs"
	"finetune/onnx/weights"
)

// metaState is the key of what a state says besides tensors, as JSON.
const metaState = "finetune.state"

// State is all that a fit needs to continue: tensors, and the rest as JSON.
func (f *Fit) State() ([]weights.Tensor, map[string]string, error) {
	now, err := f.Model.Weights()
	if err != nil {
		return nil, nil, err
	}
	optimiser, err := f.Model.Optimiser()
	if err != nil {
		return nil, nil, err
	}
	tensors := append(runs.WithPrefix("model.", now), optimiser...)
	tensors = append(tensors, runs.WithPrefix("best.", f.best)...)
	tensors = append(tensors, runs.WithPrefix("mean.", f.mean)...)
	tensors = append(tensors, weights.Tensor{Name: "losses", Shape: []int64{int64(len(f.losses))}, Ints: bits(f.losses)})
	if f.votes != nil {
		tensors = append(tensors, weights.Tensor{Name: "votes", Shape: []int64{int64(len(f.votes))}, Data: f.votes})
	}
	meta, err := json.Marshal(f.progress)
	return tensors, map[string]string{metaState: string(meta)}, err
}

// Restore puts a fresh fit where state was taken.
func (f *Fit) Restore(tensors []weights.Tensor, meta map[string]string) error {
	var p progress
	if err := json.Unmarshal([]byte(meta[metaState]), &p); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	byName := weights.ByName(tensors)
	losses := byName["losses"].Ints
	if p.Step < 0 || p.Step > f.Schedule.Steps() || len(losses) != f.kept(p.Step) {
		return fmt.Errorf("damaged: %s at step %d of %d", plural.Count(len(losses), "loss"), p.Step, f.Schedule.Steps())
	}
	if err := errors.Join(f.Model.SetWeights(runs.WithoutPrefix("model.", tensors)),
		f.Model.SetOptimiser(tensors)); err != nil {
		return err
	}
	f.progress, f.losses = p, floats(losses)
	f.best, f.mean, f.votes = runs.WithoutPrefix("best.", tensors), runs.WithoutPrefix("mean.", tensors),
		byName["votes"].Data
	return nil
}

// Steps lists the kept steps so far with the rates they used.
func (f *Fit) Steps() []runs.Step {
	rows := make([]runs.Step, len(f.losses))
	for i, loss := range f.losses {
		step := i * f.stride()
		r := f.Rates(step)
		rows[i] = runs.Step{Step: step, Epoch: step / f.Batches, LR: r.LR, Momentum: r.Momentum, Loss: loss}
		if own := i - (len(f.losses) - len(f.times)); own >= 0 {
			rows[i].Time = f.times[own]
		}
	}
	return rows
}

func bits(v []float64) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(math.Float64bits(x))
	}
	return out
}

func floats(v []int64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = math.Float64frombits(uint64(x))
	}
	return out
}
