package head

import (
	"math"
	"testing"

	"finetune/internal/rng"
)

// logit is that of a class in float64, by the definition of the layers.
func logit(h *Head, row []float64, class int) float64 {
	x := row
	for _, b := range h.blocks {
		y := make([]float64, b.linear.Out)
		for o := range y {
			y[o] = float64(b.linear.Bias[o])
			for j, v := range x {
				n := b.norm
				z := float64(n.Gamma[j])*(v-float64(n.Mean[j]))/math.Sqrt(float64(n.Var[j])+float64(n.Eps)) +
					float64(n.Beta[j])
				y[o] += float64(b.linear.Weight[o*b.linear.In+j]) * z
			}
			if b.relu {
				y[o] = max(y[o], 0)
			}
		}
		x = y
	}
	return x[class]
}

// TestExplain compares the gradient with central differences, of heads with and without hidden layers.
func TestExplain(t *testing.T) {
	for _, hidden := range [][]int{nil, {7}, {9, 5}} {
		h, err := New(Config{In: 6, Hidden: hidden, Classes: 3, Seed: 3})
		if err != nil {
			t.Fatal(err)
		}
		s := rng.New(4)
		for _, b := range h.blocks { // statistics as after training
			for j := range b.norm.Mean {
				b.norm.Mean[j], b.norm.Var[j] = float32(s.Float64())-.5, float32(s.Float64())+.3
				b.norm.Gamma[j], b.norm.Beta[j] = float32(s.Float64())+.5, float32(s.Float64())-.5
			}
		}
		rows, of := make([][]float32, 5), make([]int, 5)
		for i := range rows {
			rows[i], of[i] = make([]float32, 6), i%3
			for j := range rows[i] {
				rows[i][j] = float32(2*s.Float64() - 1)
			}
		}
		got, err := h.Explain(rows, of)
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range rows {
			x := make([]float64, len(row))
			for j, v := range row {
				x[j] = float64(v)
			}
			for j := range x {
				const step = 1e-6
				at := x[j]
				x[j] = at + step
				above := logit(h, x, of[i])
				x[j] = at - step
				want := (above - logit(h, x, of[i])) / (2 * step)
				x[j] = at
				if math.Abs(float64(got[i][j])-want) > 1e-4*(1+math.Abs(want)) {
					t.Errorf("hidden %v, row %d, feature %d: %g, by differences %g", hidden, i, j, got[i][j], want)
				}
			}
		}
	}
	h, _ := New(Config{In: 6, Classes: 3})
	for _, wrong := range []struct {
		rows [][]float32
		of   []int
	}{{[][]float32{make([]float32, 5)}, []int{0}}, {[][]float32{make([]float32, 6)}, []int{3}},
		{[][]float32{make([]float32, 6)}, nil}} {
		if _, err := h.Explain(wrong.rows, wrong.of); err == nil {
			t.Errorf("%v is taken", wrong)
		}
	}
}
