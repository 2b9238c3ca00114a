package head

// #cgo CFLAGS: -O3
// #cgo LDFLAGS: -lm
// #include "native.h"
// #cgo noescape head_normalize
// #cgo noescape head_forward
// #cgo noescape head_backward
// #cgo nocallback head_normalize
// #cgo nocallback head_forward
// #cgo nocallback head_backward
import "C"

import (
	"fmt"
	"sync"
	"unsafe"

	"finetune/internal/plural"
)

// native is the fast engine: C with the widest vectors of the processor, on all cores.
// It fuses passes over memory: BatchNorm with Dropout; the product with bias and ReLU;
// and, for 16 input features at a time, the gradient at z, the backward pass of
// BatchNorm, the gradient of the weights, momentum and the update. Its numbers differ
// from those of layers only by rounding (TestNativeEqualsLayers).
type native struct{}

// nativeMaxRows is native.c's 64*MASK_WORDS.
const nativeMaxRows = 4096

// nativeBuffers are a tape's buffers that only native uses, and its work order.
type nativeBuffers struct {
	zr, dyp, dxp []float32 // layouts of native.h; its zp is the tape's z
	pack         []float32
	phase        phase
	rows         [][]float32
	args         C.head_block
	done         sync.WaitGroup
}

type phase int

const (
	phaseNormalize phase = iota
	phaseForward
	phaseBackward
)

// level is the widest vectors that this processor has and the engine uses.
var level = chooseVectors(len(vectors) - 1)

var vectors = []string{"128-bit vectors", "AVX2", "AVX-512"}

// chooseVectors makes C use the widest vectors up to most. Not while a step runs.
func chooseVectors(most int) int { return int(C.head_instructions(C.int(most))) }

// Instructions names the vector instructions that the native engine uses on this
// machine: "128-bit vectors", "AVX2" or "AVX-512".
func Instructions() string { return vectors[level] }

func (b *nativeBuffers) resize(in, out, ld int) {
	b.zr = grow(b.zr, (in+15)/16*16*ld)
	b.dxp, b.dyp = grow(b.dxp, in*ld), grow(b.dyp, out*ld)
	b.pack = grow(b.pack, workers*(out*16+16*ld))
}

func (native) fuses() bool { return true }

func (native) normalize(t *tape, rows [][]float32, m mode) error {
	if t.n > nativeMaxRows {
		return fmt.Errorf("head: batch of %s; %d is the largest, use a smaller batch", plural.Count(t.n, "row"),
			nativeMaxRows)
	}
	t.arguments(m)
	t.native.rows = rows
	t.split(phaseNormalize, t.block.linear.In)
	t.native.rows = nil
	return nil
}

func (native) forward(t *tape) error {
	t.split(phaseForward, t.block.linear.Out)
	return nil
}

func (native) backward(t *tape, _ mode, u update) error {
	a := &t.native.args
	a.dgamma, a.dbeta, a.dw, a.dbias_before = ptr(u.dGamma), ptr(u.dBeta), ptr(u.dWeight), ptr(u.dBiasBefore)
	a.momentum, a.rate, a.shrink = C.float(u.momentum), C.float(u.rate), C.float(u.shrink)
	if u.dBiasBefore == nil {
		a.dx, a.dxp = nil, nil
	}
	if !t.block.relu { // the last block's dy is the loss's and not yet in panels
		for k := range t.block.linear.Out {
			for p := 0; p < t.ld; p += 16 {
				copy(t.native.dyp[(p*t.block.linear.Out)+k*16:][:16], t.dy[k*t.ld+p:])
			}
		}
	}
	t.split(phaseBackward, t.block.linear.In)
	return nil
}

// arguments describes the step to C.
func (t *tape) arguments(m mode) {
	b, n := t.block, &t.native
	l, drop := &b.linear, Dropout{}
	if m.dropout {
		drop = b.drop
	}
	n.args = C.head_block{
		in: C.int64_t(l.In), out: C.int64_t(l.Out), n: C.int64_t(t.n), ld: C.int64_t(t.ld),
		x: ptr(t.x), zp: ptr(t.z), zr: ptr(n.zr), y: ptr(t.y), w: ptr(l.Weight), bias: ptr(l.Bias),
		gamma: ptr(b.norm.Gamma), beta: ptr(b.norm.Beta), run_mean: ptr(b.norm.Mean), run_var: ptr(b.norm.Var),
		mean: ptr(t.mean), inv_std: ptr(t.invStd), eps: C.float(b.norm.Eps), bn_momentum: C.float(b.norm.Momentum),
		frozen: flag(m.frozen), relu: flag(b.relu), key: C.uint64_t(m.masks.Key), keep: C.int32_t(drop.keep()),
		scale: C.float(drop.scale()),
		dy:    ptr(t.dy), dyp: ptr(n.dyp), dx: ptr(t.dx), dxp: ptr(n.dxp), pack: ptr(n.pack),
	}
}

// split runs a phase on all cores. Small products are not worth the hand-over.
func (t *tape) split(p phase, features int) {
	t.native.phase = p
	if p == phaseForward && features*t.block.linear.In < 1<<14 {
		t.run(0, features, 0)
		return
	}
	split(features, t, &t.native.done)
}

// run implements job.
func (t *tape) run(lo, hi, worker int) {
	from, to := C.int64_t(lo), C.int64_t(hi)
	switch t.native.phase {
	case phaseNormalize:
		if t.native.rows != nil {
			t.load(t.native.rows, lo, hi)
		}
		C.head_normalize(t.native.args, from, to)
	case phaseForward:
		C.head_forward(t.native.args, from, to)
	case phaseBackward:
		C.head_backward(t.native.args, from, to, C.int64_t(worker))
	}
}

func ptr(x []float32) *C.float { return (*C.float)(unsafe.SliceData(x)) }

func flag(b bool) C.int32_t {
	if b {
		return 1
	}
	return 0
}
