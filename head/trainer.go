package head

import (
	"errors"
	"fmt"

	"finetune/internal/rng"
)

// ErrBatch says that a training batch has fewer than two rows, of which
// BatchNorm can make no variance.
var ErrBatch = errors.New("a training batch needs two rows or more")

// Options say how a Trainer trains. The zero value is SGD without weight decay.
type Options struct {
	Optimizer string  // "sgd" (the default), "adam" or "adamw"
	Decoupled bool    // sgd: subtract LR*Decay*p before the step instead of adding Decay*p to the gradient
	Clip      float64 // greatest global L2 norm of the gradient; 0 for no limit
	Loss      Loss
	FreezeBN  bool   // running statistics are used and not updated
	Seed      uint64 // names the dropout masks; give each fit of a run its own
}

// Rates of one step.
type Rates struct {
	LR       float64 // learning rate
	Momentum float64 // SGD's momentum, or Adam's beta1
	Decay    float64 // weight decay
}

// Batch is the input of one step. Rows are borrowed until Step returns.
type Batch struct {
	Rows    [][]float32 // [n][features]
	Labels  []int       // [n], for one label a row
	Targets []float32   // [n, classes] of 0 to 1, for Config.Multi
}

// Trainer changes a Head step by step. A new one has no momentum yet, which is
// how every fit starts in fast.ai.
type Trainer struct {
	head    *Head
	options Options
	steps   int
	tapes   []*tape
	update  optimizer
}

// NewTrainer prepares training of h. Errors: an unknown optimizer, a negative
// clip, or class weights that do not fit the classes.
func NewTrainer(h *Head, o Options) (*Trainer, error) {
	if w := o.Loss.Weights; w != nil && len(w) != h.Config.Classes {
		return nil, fmt.Errorf("head: %d class weights for %d classes; give one for each", len(w), h.Config.Classes)
	}
	if s := o.Loss.Smoothing; !(s >= 0 && s < 1) {
		return nil, fmt.Errorf("head: label smoothing %v; it is at least 0 and below 1", s)
	}
	if !(o.Clip >= 0) {
		return nil, fmt.Errorf("head: clip %v; a norm is 0 (no limit) or more", o.Clip)
	}
	t := &Trainer{head: h, options: o}
	for _, b := range h.blocks {
		t.tapes = append(t.tapes, newTape(b))
	}
	var err error
	t.update, err = newOptimizer(o, h.parameters())
	return t, err
}

// Steps is the number of steps taken, which names the next step's masks.
func (t *Trainer) Steps() int { return t.steps }

// Step takes one step on b and returns the loss before it (dropout on).
// A loss of NaN or infinity is returned as it is: the caller decides to stop.
// Errors: ErrBatch; rows, labels or targets that do not fit the head; a product
// that failed.
func (t *Trainer) Step(b Batch, r Rates) (float64, error) {
	if err := t.check(b); err != nil {
		return 0, err
	}
	if err := t.forward(b.Rows, rng.Text("head.dropout"), t.steps); err != nil {
		return 0, err
	}
	loss := t.loss(b)
	into, momentum := t.update.begin(r)
	if err := t.backward(len(b.Rows), into, momentum); err != nil {
		return 0, err
	}
	t.steps++
	t.update.step(r, t.steps)
	return loss, nil
}

// check reports a batch that cannot be trained on.
func (t *Trainer) check(b Batch) error {
	if len(b.Rows) < 2 {
		return fmt.Errorf("head: batch of %d: %w; Batches folds a single last row into the batch before it", len(b.Rows), ErrBatch)
	}
	if err := t.head.checkRows(b.Rows); err != nil {
		return err
	}
	return t.options.Loss.check(b, t.head.Config)
}

// forward runs the blocks in training mode and keeps what backward needs.
func (t *Trainer) forward(rows [][]float32, purpose uint64, step int) error {
	n := len(rows)
	for _, p := range t.tapes {
		p.resize(n)
	}
	x := t.tapes[0].x
	for i, r := range rows {
		copy(x[i*len(r):], r)
	}
	for i, p := range t.tapes {
		p.block.drop.mask(p.mask, rng.New(t.options.Seed, purpose, uint64(i), uint64(step)))
		p.normalize(t.options.FreezeBN)
		y, l := p.y, &p.block.linear
		if i+1 < len(t.tapes) {
			y = t.tapes[i+1].x
		}
		if err := t.head.products.Forward(y, p.z, l.Weight, l.Bias, n, l.In, l.Out); err != nil {
			return err
		}
		if p.block.relu {
			relu(y)
		}
	}
	return nil
}

// loss replaces the logits by their gradient.
func (t *Trainer) loss(b Batch) float64 {
	z, c := t.tapes[len(t.tapes)-1].y, t.head.Config.Classes
	if t.head.Config.Multi {
		return t.options.Loss.sigmoid(z, b.Targets, c)
	}
	return t.options.Loss.softmax(z, b.Labels, c)
}

// backward adds the gradients, in the order of Head.parameters, to momentum
// times what into holds.
func (t *Trainer) backward(n int, into [][]float32, momentum float32) error {
	dy := t.tapes[len(t.tapes)-1].y
	for i := len(t.tapes) - 1; i >= 0; i-- {
		p := t.tapes[i]
		l := &p.block.linear
		dGamma, dBeta, dWeight, dBias := into[4*i], into[4*i+1], into[4*i+2], into[4*i+3]
		columnSums(dBias, dy, momentum)
		if err := t.head.products.Weight(dWeight, dy, p.z, momentum, n, l.In, l.Out); err != nil {
			return err
		}
		if err := t.head.products.Input(p.dz, dy, l.Weight, n, l.In, l.Out); err != nil {
			return err
		}
		p.normalizeBackward(dGamma, dBeta, momentum, t.options.FreezeBN, i > 0)
		dy = p.dz
	}
	return nil
}
