package fit

import (
	"context"

	"finetune/onnx/weights"
)

// Model is what a fit trains: a head on cached features, or the whole
// network on photographs.
type Model interface {
	// Step takes the training photographs at index in one step and returns the loss before it.
	Step(ctx context.Context, epoch int, index []int, r Rates) (float64, error)
	// Predict returns log-probabilities [n, classes] of the validation photographs.
	Predict(ctx context.Context) ([]float32, error)
	// Weights copies the parameters and running statistics; SetWeights puts such copies back.
	Weights() ([]weights.Tensor, error)
	SetWeights([]weights.Tensor) error
	// Optimiser copies what only training needs; SetOptimiser puts it back.
	Optimiser() ([]weights.Tensor, error)
	SetOptimiser([]weights.Tensor) error
	// Reestimate rebuilds running statistics for averaged weights (SWA).
	Reestimate(ctx context.Context, orders [][]int) error
	// Groups names the layer groups, input side first.
	Groups() []string
	// Prefetch names the photographs of the next steps, for a model that decodes them.
	Prefetch(next []NextBatch)
}

// Rates are what one step uses.
type Rates struct {
	LR              []float64 // one a layer group
	Momentum, Decay float64
}

// NextBatch names the photographs of a step.
type NextBatch struct {
	Epoch int
	Index []int
}

// StepsAhead is how many batches are decoded ahead for a device: it takes one in
// less time than a slow photograph can need.
const StepsAhead = 2
