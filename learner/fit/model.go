package fit

import (
	"context"
	"iter"

	"finetune/learner/runs"
	"finetune/onnx/weights"
)

// Model is what a fit trains: a head on cached features, or the whole
// network on photographs.
type Model interface {
	// Step takes the training photographs at index, as the fit's Draw numbers them, in one step
	// and returns the loss before it.
	Step(ctx context.Context, epoch int, index []int, r Rates) (float64, error)
	// Validate measures the validation photographs. It returns their log-probabilities
	// [n, classes] too, unless they are too many to be held.
	Validate(ctx context.Context) (runs.Score, []float32, error)
	// Weights copies the parameters and running statistics; SetWeights puts such copies back.
	Weights() ([]weights.Tensor, error)
	SetWeights([]weights.Tensor) error
	// Optimiser copies what only training needs; SetOptimiser puts it back.
	Optimiser() ([]weights.Tensor, error)
	SetOptimiser([]weights.Tensor) error
	// Reestimate rebuilds running statistics for averaged weights (SWA).
	Reestimate(ctx context.Context, batches iter.Seq[[]int]) error
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
