package config

import "slices"

// Recipe is the lesson's sequence: find a rate, train the head on cached
// features, train it with augmentation, unfreeze everything with a rate a layer
// group, score with test-time augmentation. The run is the best of these steps.
type Recipe struct {
	Minutes float64 `json:"minutes,omitempty"` // plan within this time; 0 for as long as it takes
	Augment string  `json:"augment"`
	Views   int     `json:"views"`
	TTA     int     `json:"tta"`
	Batch   int     `json:"batch"`            // of the head's steps; at most 32 where the network trains
	Epochs  int     `json:"epochs"`           // of the whole network
	Lesson  bool    `json:"lesson,omitempty"` // the whole network as in the lesson: SGD, cycles that double

	// of all fine-tuning, as in Training
	BNFreeze   bool      `json:"bn_freeze,omitempty"`
	MicroBatch int       `json:"micro_batch,omitempty"`
	Precision  Precision `json:"precision,omitempty"`
}

// StepConfig is the configuration that all steps share: the head, frozen body, no
// augmentation. On a resume it undoes what the adopted step had set.
func (o Recipe) StepConfig(c Config) Config {
	c.Recipe = nil
	c.Images.Augment, c.Images.Views = "none", o.Views
	t, d := &c.Train, DefaultConfig().Train
	t.Schedule, t.Cycles, t.CycleLen, t.CycleMult, t.CLR = SGDR, d.Cycles, d.CycleLen, d.CycleMult, OneCycle{}
	t.Optimiser, t.WeightDecay, t.Smoothing, t.FreezeTo = d.Optimiser, 0, 0, 0
	t.BNFreeze, t.MicroBatch, t.Precision, t.Mix = false, 0, "", 0
	t.Hidden, t.Dropout = d.Hidden, d.Dropout
	t.Head, t.Load, t.Unfreeze, t.TTA, t.LRs, t.Epochs, t.BatchSize = "", "", false, o.TTA, nil, 0, o.Batch
	return c
}

// Gentle sets what fine-tunes a network whose features suit the photographs as they are: from a linear head that was
// fitted on them, with statistics that stay, at a small rate. How much of it is kept, or whether any is, photographs
// left out decide. The numbers are those of docs/benchmarks.md.
func Gentle(t *Training) {
	t.Unfreeze, t.Head, t.BNFreeze = true, HeadLinear, true
	t.BatchSize, t.LRs = min(t.BatchSize, 16), []float64{3e-4}
	t.Optimiser, t.WeightDecay = AdamW, 0.01
	t.Schedule, t.CLR, t.Cycles, t.CycleLen, t.CycleMult = CLR, OneCycle{Div: 20, Cut: 10}, 1, GentleEpochs, 1
	*t = t.Completed()
}

// Frozen is t without what is of the whole network alone.
func (t Training) Frozen() Training {
	d := DefaultConfig().Train
	t.Unfreeze, t.FreezeTo, t.BNFreeze, t.MicroBatch, t.LRs, t.LayerDecay, t.Mix = false, 0, false, 0, nil, 0, 0
	t.Precision, t.Optimiser, t.WeightDecay, t.BNMomentum = "", d.Optimiser, 0, d.BNMomentum
	t.Hidden, t.Dropout, t.Smoothing = d.Hidden, d.Dropout, 0
	return t
}

// GentleEpochs are those of Gentle.
const GentleEpochs = 2

// Gentle is the Gentle of a recipe.
func (o Recipe) Gentle(t *Training) {
	o.whole(t)
	Gentle(t)
}

// whole sets what any fine-tuning of the recipe has.
func (o Recipe) whole(t *Training) {
	t.Unfreeze, t.BNFreeze, t.MicroBatch, t.Precision = true, o.BNFreeze, o.MicroBatch, o.Precision
}

// Unfreeze sets what trains the whole network for so many epochs, or doubling
// cycles as in the lesson, with the rates that follow from the head's.
//
// The numbers are those that did best on solar cells (docs/benchmarks.md).
func (o Recipe) Unfreeze(t *Training, length, bodyGroups int) {
	o.whole(t)
	t.BatchSize = min(t.BatchSize, 32) // memory, and more steps for the small rates
	if o.Lesson {
		t.Cycles, t.CycleLen, t.CycleMult = length, 1, 2
		return
	}
	t.LRs, t.FreezeTo = append(slices.Repeat([]float64{5e-4}, bodyGroups), 2e-3), min(1, bodyGroups-1)
	t.Optimiser, t.WeightDecay, t.Smoothing = AdamW, 0.05, 0.1
	t.Schedule, t.CLR, t.Cycles, t.CycleLen = CLR, OneCycle{Div: 20, Cut: 10}, 1, length
}
