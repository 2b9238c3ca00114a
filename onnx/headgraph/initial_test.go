package headgraph_test

import (
	"math"
	"slices"
	"strings"
	"testing"

	"finetune/onnx/headgraph"
)

// New weights are normal, of variance 2/in; seed and layer name them.
func TestInitialWeights(t *testing.T) {
	draw := func(n, in int, seed uint64, layer int) []float32 {
		w := make([]float32, n)
		headgraph.InitialWeights(w, in, seed, layer)
		return w
	}
	for _, in := range []int{1, 2, 8, 512} {
		w := draw(20000, in, 3, 0)
		var sum, squares, fourth float64
		for _, v := range w {
			x := float64(v) / math.Sqrt(2/float64(in))
			sum, squares, fourth = sum+x, squares+x*x, fourth+x*x*x*x
		}
		n := float64(len(w))
		if math.Abs(sum/n) > .03 || math.Abs(squares/n-1) > .04 || math.Abs(fourth/n-3) > .3 {
			t.Errorf("in %d: mean %.3f, variance %.3f, fourth moment %.3f; want 0, 1, 3", in, sum/n, squares/n, fourth/n)
		}
	}
	w := draw(8, 4, 3, 1)
	if !slices.Equal(w, draw(8, 4, 3, 1)) || !slices.Equal(w[:5], draw(5, 4, 3, 1)) {
		t.Error("one seed, two heads")
	}
	if slices.Equal(w, draw(8, 4, 4, 1)) || slices.Equal(w, draw(8, 4, 3, 0)) {
		t.Error("another seed or layer, the same head")
	}
}

func TestDropout(t *testing.T) {
	for hidden, want := range [][]float64{{.5}, {.25, .5}, {.25, .25, .5}} {
		if got := headgraph.UsualDrop(hidden); !slices.Equal(got, want) || headgraph.CheckDrop(got) != nil {
			t.Errorf("%d hidden layers: %v, want %v", hidden, got, want)
		}
	}
	for _, c := range []struct {
		drop  []float64
		wrong string
	}{{nil, ""}, {[]float64{0}, ""}, {[]float64{.999, .5}, ""}, {[]float64{.5, 1}, "dropout 1;"},
		{[]float64{-.1}, "dropout -0.1"},
		{[]float64{math.NaN()}, "dropout NaN"}} {
		if err := headgraph.CheckDrop(c.drop); (err == nil) != (c.wrong == "") ||
			err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%v: %v", c.drop, err)
		}
	}
}
