package gradient

import (
	"fmt"
	"slices"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// gemmRule: y = alpha*op(a)*op(b) + beta*c, op transposing or not.
func gemmRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	left, right, dy := n.Input[0], n.Input[1], b.dy(n)
	alpha, beta := graph.FindFloat(n, "alpha", 1), graph.FindFloat(n, "beta", 1)
	ta, tb := graph.FindInt(n, "transA", 0), graph.FindInt(n, "transB", 0)
	product := func(like, x, y string, tx, ty int64) string {
		return b.Op("Gemm", b.Shape[like], []string{x, y}, graph.Float("alpha", alpha), graph.Int("transA", tx),
			graph.Int("transB", ty))
	}
	grads := make([]string, 3)
	if ta == 0 {
		grads[0] = product(left, dy, right, 0, 1-tb)
	} else {
		grads[0] = product(left, right, dy, tb, 1)
	}
	if tb == 0 {
		grads[1] = product(right, left, dy, 1-ta, 0)
	} else {
		grads[1] = product(right, dy, left, 1, ta)
	}
	grads[2] = dy
	if beta != 1 {
		grads[2] = b.Mul(dy, b.Scalar(beta))
	}
	return grads, nil
}

// matMulRule covers stacks of matrices. Where one is repeated for those of the other, the walk sums.
func matMulRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, w, dy := n.Input[0], n.Input[1], b.dy(n)
	sx, sw, sy := b.Shape[x], b.Shape[w], b.Shape[dy]
	if len(sx) < 2 || len(sw) < 2 {
		return nil, fmt.Errorf("shapes %v and %v; only matrices and stacks of them have a rule", sx, sw)
	}
	stack := sy[:len(sy)-2]
	dx := b.Op("MatMul", slices.Concat(stack, sx[len(sx)-2:]), []string{dy, b.swapLast(w)})
	if len(sw) == 2 && len(sx) > 2 && sw[0] >= 0 && sw[1] >= 0 { // one matrix for all rows
		rows, drows := b.Reshape(x, -1, sw[0]), b.Reshape(dy, -1, sw[1])
		return []string{dx, b.Op("Gemm", sw, []string{rows, drows}, graph.Int("transA", 1))}, nil
	}
	return []string{dx, b.Op("MatMul", slices.Concat(stack, sw[len(sw)-2:]), []string{b.swapLast(x), dy})}, nil
}

// swapLast transposes the last two axes.
func (b *build) swapLast(x string) string {
	perm := make([]int64, len(b.Shape[x]))
	for i := range perm {
		perm[i] = int64(i)
	}
	slices.Reverse(perm[len(perm)-2:])
	return b.Transpose(x, perm...)
}
