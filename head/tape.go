package head

import "math"

// tape holds one block's training step: activations, mask and gradients.
//
//	x [n, In] -> BatchNorm, Dropout -> z [n, In] -> Linear -> y [n, Out]
//
// The buffers grow to the largest batch seen and are then reused.
type tape struct {
	block *block

	x, z, dz      []float32 // [n, In]; dz ends as the gradient at x
	y             []float32 // [n, Out] of the last block; others write the next block's x
	mask          []uint64  // [n, words] bits, 1 for kept; empty without dropout
	words         int       // words a row of mask
	mean, invStd  []float32 // [In] of this batch
	sumDY, sumDYX []float32 // [In] column sums of BatchNorm's backward
}

func newTape(b *block) *tape {
	in := b.linear.In
	f := func(n int) []float32 { return make([]float32, n) }
	return &tape{block: b, words: (in + 63) / 64, mean: f(in), invStd: f(in), sumDY: f(in), sumDYX: f(in)}
}

// resize makes the buffers hold n rows.
func (t *tape) resize(n int) {
	in, out := t.block.linear.In, t.block.linear.Out
	t.x, t.z, t.dz = grow(t.x, n*in), grow(t.z, n*in), grow(t.dz, n*in)
	if !t.block.relu {
		t.y = grow(t.y, n*out)
	}
	if t.block.drop.P > 0 {
		t.mask = grow(t.mask, n*t.words)
	}
}

func grow[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// normalize computes z from x: BatchNorm by the batch's statistics (the running
// ones where frozen), then dropout.
func (t *tape) normalize(frozen bool) {
	b := &t.block.norm
	if frozen {
		copy(t.mean, b.Mean)
		for j, v := range b.Var {
			t.invStd[j] = float32(1 / math.Sqrt(float64(v)+b.Eps))
		}
	} else {
		t.statistics()
	}
	f, keep := len(b.Gamma), t.block.drop.scale()
	for i := 0; i < len(t.x); i += f {
		for j, v := range t.x[i : i+f] {
			z := b.Gamma[j]*((v-t.mean[j])*t.invStd[j]) + b.Beta[j]
			t.z[i+j] = t.kept(i/f, j, keep) * z
		}
	}
}

// kept is dropout's factor on value (i, j).
func (t *tape) kept(i, j int, scale float32) float32 {
	if len(t.mask) > 0 && t.mask[i*t.words+j/64]>>(j%64)&1 == 0 {
		return 0
	}
	return scale
}

// statistics sets mean and invStd from x and moves the running statistics.
func (t *tape) statistics() {
	b := &t.block.norm
	f := len(b.Gamma)
	n := float32(len(t.x) / f)
	clear(t.mean)
	clear(t.invStd)
	for i := 0; i < len(t.x); i += f {
		for j, v := range t.x[i : i+f] {
			t.mean[j] += v
		}
	}
	for j := range t.mean {
		t.mean[j] /= n
	}
	for i := 0; i < len(t.x); i += f {
		for j, v := range t.x[i : i+f] {
			d := v - t.mean[j]
			t.invStd[j] += d * d
		}
	}
	m := float32(b.Momentum)
	for j, sum := range t.invStd {
		b.Mean[j] += m * (t.mean[j] - b.Mean[j])
		b.Var[j] += m * (sum/(n-1) - b.Var[j])
		t.invStd[j] = float32(1 / math.Sqrt(float64(sum/n)+b.Eps))
	}
}

// normalizeBackward takes the gradient at z in dz, adds the gradients of gamma
// and beta to momentum times their buffers and, where input, turns dz into the
// gradient at the Linear output before the ReLU that made x:
//
//	dx = gamma*invStd * (g - mean(g) - xhat*mean(g*xhat)), g = dz after dropout
func (t *tape) normalizeBackward(dGamma, dBeta []float32, momentum float32, frozen, input bool) {
	b := &t.block.norm
	f, keep := len(b.Gamma), t.block.drop.scale()
	clear(t.sumDY)
	clear(t.sumDYX)
	for i := 0; i < len(t.x); i += f {
		for j, v := range t.x[i : i+f] {
			g := t.kept(i/f, j, keep) * t.dz[i+j]
			t.dz[i+j] = g
			t.sumDY[j] += g
			t.sumDYX[j] += g * ((v - t.mean[j]) * t.invStd[j])
		}
	}
	for j := range t.sumDY {
		dBeta[j] = momentum*dBeta[j] + t.sumDY[j]
		dGamma[j] = momentum*dGamma[j] + t.sumDYX[j]
	}
	if !input {
		return
	}
	n := float32(len(t.x) / f)
	if frozen { // the statistics are constants
		clear(t.sumDY)
		clear(t.sumDYX)
	}
	for i := 0; i < len(t.x); i += f {
		for j, v := range t.x[i : i+f] {
			if v <= 0 { // ReLU passed nothing
				t.dz[i+j] = 0
				continue
			}
			xhat := (v - t.mean[j]) * t.invStd[j]
			t.dz[i+j] = b.Gamma[j] * t.invStd[j] * (t.dz[i+j] - t.sumDY[j]/n - xhat*t.sumDYX[j]/n)
		}
	}
}

// columnSums adds the column sums of x to momentum times sums.
func columnSums(sums, x []float32, momentum float32) {
	for j := range sums {
		sums[j] *= momentum
	}
	f := len(sums)
	for i := 0; i < len(x); i += f {
		for j, v := range x[i : i+f] {
			sums[j] += v
		}
	}
}
