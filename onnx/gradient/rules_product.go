package gradient

import (
	"fmt"
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// gemmRule: y = alpha*op(a)*op(b) + beta*c, op transposing or not.
func gemmRule(b *build, n *onnxpb.NodeProto) error {
	dy := b.dy(n)
	alpha, beta := graph.FindFloat(n, "alpha", 1), graph.FindFloat(n, "beta", 1)
	ta, tb := graph.FindInt(n, "transA", 0), graph.FindInt(n, "transB", 0)
	product := func(i int, left, right string, tl, tr int64) {
		b.give(n, i, b.op("Gemm", b.shape[n.Input[i]], []string{left, right},
			graph.Float("alpha", alpha), graph.Int("transA", tl), graph.Int("transB", tr)))
	}
	if b.wants(n, 0) {
		if ta == 0 {
			product(0, dy, n.Input[1], 0, 1-tb)
		} else {
			product(0, n.Input[1], dy, tb, 1)
		}
	}
	if b.wants(n, 1) {
		if tb == 0 {
			product(1, n.Input[0], dy, 1-ta, 0)
		} else {
			product(1, dy, n.Input[0], 1, ta)
		}
	}
	if b.wants(n, 2) {
		if beta != 1 {
			dy = b.mul(dy, b.scalar(beta))
		}
		b.give(n, 2, b.fit(dy, n.Input[2]))
	}
	return nil
}

// matMulRule covers two matrices, stacks of equal shape, and a stack times one matrix.
func matMulRule(b *build, n *onnxpb.NodeProto) error {
	x, w, dy := n.Input[0], n.Input[1], b.dy(n)
	sx, sw := b.shape[x], b.shape[w]
	stack := len(sx) - 2
	if stack < 0 || len(sw) != 2 && (len(sw) != len(sx) || !slices.Equal(sx[:stack], sw[:stack])) {
		return fmt.Errorf("shapes %v and %v; only stacks of equal shape, or a stack times one matrix, have a rule", sx, sw)
	}
	if b.wants(n, 0) {
		b.give(n, 0, b.op("MatMul", sx, []string{dy, b.swapLast(w)}))
	}
	if !b.wants(n, 1) {
		return nil
	}
	if len(sw) == len(sx) {
		b.give(n, 1, b.op("MatMul", sw, []string{b.swapLast(x), dy}))
		return nil
	}
	rows, drows := b.reshape(x, -1, sw[0]), b.reshape(dy, -1, sw[1])
	b.give(n, 1, b.op("Gemm", sw, []string{rows, drows}, graph.Int("transA", 1)))
	return nil
}

// swapLast transposes the last two axes.
func (t *tape) swapLast(x string) string {
	perm := make([]int64, len(t.shape[x]))
	for i := range perm {
		perm[i] = int64(i)
	}
	slices.Reverse(perm[len(perm)-2:])
	return t.transpose(x, perm...)
}
