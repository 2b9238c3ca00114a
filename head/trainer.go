package head

import (
	"errors"
	"fmt"

	"finetune/internal/rng"
)

// ErrBatch is the error of a training batch of fewer than two rows, from which
// BatchNorm cannot compute a variance.
var ErrBatch = errors.New("a training batch needs two rows or more")

// Options say how a Trainer trains. The zero value is SGD without weight decay.
type Options struct {
	Optimizer string  // "sgd" (the default), "adam" or "adamw"
	Decoupled bool    // sgd: subtract LR*Decay*p before the step instead of adding Decay*p to the gradient
	Clip      float64 // greatest global L2 norm of the gradient; 0 for no limit
	Loss      Loss
	FreezeBN  bool   // running statistics are used and not updated
	Seed      uint64 // dropout masks follow from it; give each fit of a run its own
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

// Trainer trains a Head step by step. A new one starts without momentum, as every fit
// does in fast.ai.
type Trainer struct {
	head    *Head
	options Options
	steps   int
	tapes   []*tape
	modes   []mode
	logits  []float32
	update  optimizer
}

// NewTrainer prepares training of h. Errors: an unknown optimizer, a negative
// clip, or class weights that do not fit the classes.
func NewTrainer(h *Head, o Options) (*Trainer, error) {
	if err := o.Loss.checkSettings(h.Config); err != nil {
		return nil, err
	}
	if !(o.Clip >= 0) {
		return nil, fmt.Errorf("head: clip %v; a norm is 0 (no limit) or more", o.Clip)
	}
	t := &Trainer{head: h, options: o, tapes: newTapes(h.blocks), modes: make([]mode, len(h.blocks))}
	var err error
	t.update, err = newOptimizer(o, h.parameters())
	return t, err
}

// Steps is the number of steps taken. The masks of the next step follow from it.
func (t *Trainer) Steps() int { return t.steps }

// Step takes one step on b and returns the loss before it, with dropout. A loss that
// is NaN or infinite is returned as it is; the caller decides whether to stop. Errors:
// ErrBatch; rows, labels or targets that do not fit the head; a failed matrix product.
func (t *Trainer) Step(b Batch, r Rates) (float64, error) {
	if err := t.check(b); err != nil {
		return 0, err
	}
	if err := t.forward(b.Rows, rng.Text("head.dropout"), t.steps); err != nil {
		return 0, err
	}
	loss := t.loss(b)
	if err := t.backward(t.update.begin(r, t.head.engine.fuses())); err != nil {
		return 0, err
	}
	t.steps++
	t.update.step(r, t.steps)
	return loss, nil
}

// check reports a batch that cannot be trained on.
func (t *Trainer) check(b Batch) error {
	if err := t.checkBatch(b.Rows); err != nil {
		return err
	}
	return t.options.Loss.check(b, t.head.Config)
}

func (t *Trainer) checkBatch(rows [][]float32) error {
	if len(rows) < 2 {
		return fmt.Errorf("head: batch of %d: %w; Batches folds a single last row into the batch before it", len(rows),
			ErrBatch)
	}
	return t.head.checkRows(rows)
}

// forward runs the blocks in training mode. purpose and step name the masks.
func (t *Trainer) forward(rows [][]float32, purpose uint64, step int) error {
	resize(t.tapes, len(rows), true)
	for i, p := range t.tapes {
		t.modes[i] = mode{frozen: t.options.FreezeBN, dropout: p.block.drop.P > 0,
			masks: *rng.New(t.options.Seed, purpose, uint64(i), uint64(step))}
	}
	return t.head.forward(t.tapes, rows, t.modes)
}

// loss turns the logits into their gradient.
func (t *Trainer) loss(b Batch) float64 {
	last := t.tapes[len(t.tapes)-1]
	n, c, ld := last.n, t.head.Config.Classes, last.ld
	t.logits = grow(t.logits, n*c)
	turn(t.logits, last.y, c, ld, n)
	var loss float64
	if t.head.Config.Multi {
		loss = t.options.Loss.sigmoid(t.logits, b.Targets, c)
	} else {
		loss = t.options.Loss.softmax(t.logits, b.Labels, c)
	}
	clear(last.dy)
	for i := range n {
		for j := range c {
			last.dy[j*ld+i] = t.logits[i*c+j]
		}
	}
	return loss
}

// turn copies the feature-major y [c, ld] to row-major out [n, c].
func turn(out, y []float32, c, ld, n int) {
	for i := range n {
		for j := range c {
			out[i*c+j] = y[j*ld+i]
		}
	}
}

// backward adds the gradients to the optimizer's buffers.
func (t *Trainer) backward(p plan) error {
	last := t.tapes[len(t.tapes)-1]
	dBias := p.into[len(p.into)-1]
	for j := range dBias {
		dBias[j] = p.momentum*dBias[j] + sum(last.dy[j*last.ld:(j+1)*last.ld])
	}
	for i := len(t.tapes) - 1; i >= 0; i-- {
		u := update{dGamma: p.into[4*i], dBeta: p.into[4*i+1], dWeight: p.into[4*i+2], momentum: p.momentum, rate: p.rate,
			shrink: p.shrink}
		if i > 0 {
			u.dBiasBefore = p.into[4*i-1]
		}
		if err := t.head.engine.backward(t.tapes[i], t.modes[i], u); err != nil {
			return err
		}
	}
	return nil
}
