package head

import (
	"fmt"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"finetune/internal/plural"
)

// Explain returns the gradient of class scores at the features: of row i the logit of class of[i]
// (before softmax or sigmoid), in evaluation mode.
//
// Shapes: rows [n][In], of [n] in [0, Classes); the result [n][In], the caller's.
// Errors: a row of another width, a class that there is not, other lengths.
// Source: the gradient of Grad-CAM, Selvaraju et al. 2017, for a head behind the pooling.
func (h *Head) Explain(rows [][]float32, of []int) ([][]float32, error) {
	if err := h.checkRows(rows); err != nil {
		return nil, err
	}
	if len(of) != len(rows) {
		return nil, fmt.Errorf("head: %s for %s", plural.Count(len(of), "class"), plural.Count(len(rows), "row"))
	}
	out := make([][]float32, len(rows))
	for i, row := range rows {
		if of[i] < 0 || of[i] >= h.Config.Classes {
			return nil, fmt.Errorf("head: class %d of %d", of[i], h.Config.Classes)
		}
		out[i] = h.explain(row, of[i])
	}
	return out, nil
}

// explain goes forward to know which units of the hidden layers are on, then back through those.
func (h *Head) explain(row []float32, class int) []float32 {
	var on [][]float32 // what each block puts out
	x := row
	for _, b := range h.blocks {
		z, y := make([]float32, b.linear.In), append([]float32(nil), b.linear.Bias...)
		for j, v := range x {
			mean, invStd := b.norm.statistics(j, nil, true)
			b.norm.forward(z[j:j+1], j, []float32{v}, mean, invStd)
		}
		blas32.Gemv(blas.NoTrans, 1, matrix(b.linear.Weight, b.linear.Out, b.linear.In), ofFloats(z), 1, ofFloats(y))
		if b.relu {
			for j, v := range y {
				y[j] = max(v, 0)
			}
		}
		on, x = append(on, y), y
	}
	g := make([]float32, h.Config.Classes)
	g[class] = 1
	for i := len(h.blocks) - 1; i >= 0; i-- {
		b := h.blocks[i]
		for j := range g {
			if b.relu && on[i][j] <= 0 {
				g[j] = 0
			}
		}
		before := make([]float32, b.linear.In)
		blas32.Gemv(blas.Trans, 1, matrix(b.linear.Weight, b.linear.Out, b.linear.In), ofFloats(g), 0, ofFloats(before))
		for j := range before {
			_, invStd := b.norm.statistics(j, nil, true)
			before[j] *= b.norm.Gamma[j] * invStd
		}
		g = before
	}
	return g
}

func ofFloats(v []float32) blas32.Vector { return blas32.Vector{N: len(v), Inc: 1, Data: v} }
