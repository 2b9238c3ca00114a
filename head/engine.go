package head

import "finetune/internal/rng"

// mode says how a forward pass treats BatchNorm and Dropout.
type mode struct {
	frozen  bool // running statistics, not updated
	dropout bool
	masks   rng.Stream // of this block in this step, where dropout
}

// update says what becomes of a block's gradients: each is added to momentum
// times its buffer. Where an engine fuses and rate is not 0, the Linear weight
// is also replaced by shrink*w - rate*buffer.
type update struct {
	dGamma, dBeta, dWeight []float32
	dBiasBefore            []float32 // of the block before, nil for the first
	momentum, rate, shrink float32
}

// engine computes a block's part of a step.
type engine interface {
	// normalize turns x, or rows where they are given, into z.
	normalize(t *tape, rows [][]float32, m mode) error
	// forward turns z into y.
	forward(t *tape) error
	// backward turns dy into the update and, but for the first block, dx. The
	// gradient of a bias is taken where its dy is made: the last block's by the caller.
	backward(t *tape, m mode, u update) error
	// fuses reports whether backward applies updates to the Linear weight.
	fuses() bool
}

// layers is the plain engine: one layer after the other in Go. Each is the reference
// that its faster form in native.c is tested against.
type layers struct{ products Products }

func (layers) fuses() bool { return false }

func (layers) normalize(t *tape, rows [][]float32, m mode) error {
	b, ld := t.block, t.ld
	if rows != nil {
		t.load(rows, 0, b.linear.In)
	}
	if m.dropout {
		b.drop.mask(t.mask, m.masks)
	}
	for j := range t.mean {
		x, z := t.x[j*ld:j*ld+t.n], t.z[j*ld:(j+1)*ld]
		clear(z[t.n:])
		t.mean[j], t.invStd[j] = b.norm.statistics(j, x, m.frozen)
		b.norm.forward(z, j, x, t.mean[j], t.invStd[j])
		if m.dropout {
			b.drop.apply(z, t.mask[j*t.words():])
		}
	}
	return nil
}

func (e layers) forward(t *tape) error {
	l := &t.block.linear
	if err := e.products.Forward(t.y, l.Weight, t.z, l.Bias, l.Out, l.In, t.ld); err != nil {
		return err
	}
	if t.block.relu {
		relu(t.y)
	}
	return nil
}

func (e layers) backward(t *tape, m mode, u update) error {
	l := &t.block.linear
	if err := e.products.Weight(u.dWeight, t.dy, t.z, u.momentum, l.Out, l.In, t.ld); err != nil {
		return err
	}
	if err := e.products.Input(t.dz, l.Weight, t.dy, l.Out, l.In, t.ld); err != nil {
		return err
	}
	for j := range t.mean {
		x, dz, dx := t.x[j*t.ld:j*t.ld+t.n], t.dz[j*t.ld:j*t.ld+t.n], []float32(nil)
		if u.dBiasBefore != nil {
			dx = t.dx[j*t.ld : (j+1)*t.ld]
			clear(dx[t.n:])
			dx = dx[:t.n]
		}
		if m.dropout {
			t.block.drop.apply(dz, t.mask[j*t.words():])
		}
		dGamma, dBeta := t.block.norm.backward(dx, j, dz, x, t.mean[j], t.invStd[j], m.frozen)
		u.dGamma[j] = u.momentum*u.dGamma[j] + dGamma
		u.dBeta[j] = u.momentum*u.dBeta[j] + dBeta
		if dx != nil {
			reluBackward(dx, x)
			u.dBiasBefore[j] = u.momentum*u.dBiasBefore[j] + sum(dx)
		}
	}
	return nil
}

// relu replaces negative values by 0, in place.
func relu(x []float32) {
	for i, v := range x {
		x[i] = max(v, 0)
	}
}

// reluBackward stops the gradient dy where relu's output y is 0.
func reluBackward(dy, y []float32) {
	for i, v := range y {
		if v <= 0 {
			dy[i] = 0
		}
	}
}

func sum(x []float32) float32 {
	s := float32(0)
	for _, v := range x {
		s += v
	}
	return s
}
