package gradient

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"finetune/onnx/gradient/tape"
	"finetune/onnx/graph"
)

// A graph in which nodes wait for each other has no gradient, and is told.
func TestGradientOfACircle(t *testing.T) {
	b := graph.NewBuilder("circle", 17)
	y := b.Node("Mul", "y", []string{b.Input("x", graph.Float32, 2), b.Init("s", []int64{2}, []float32{1, 1})})
	b.Output(b.Node("ReduceMean", "loss", []string{y}, graph.Int("keepdims", 0)), graph.Float32)
	m := b.Model()
	if _, err := Build(m, "loss", Options{Trainable: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	m.Graph.Node[0].Input[0] = "loss"
	g, err := Build(m, "loss", Options{Trainable: []string{"s"}})
	if err == nil || !strings.Contains(err.Error(), "its own output") || g != nil {
		t.Errorf("%v, %v", g, err)
	}
}

// A derivative is summed over the axes along which its tensor was broadcast; one that does not fit even so is told.
func TestSumsOverBroadcastAxes(t *testing.T) {
	for _, c := range []struct {
		from, to []int64 // to is nil where the shape is not known
		sums     bool
		err      string
	}{
		{[]int64{2, 3}, []int64{2, 3}, false, ""}, {[]int64{2, 3}, []int64{3}, true, ""},
		{[]int64{2, 3}, []int64{1, 3}, true, ""}, {[]int64{2, 3}, []int64{2, 1}, true, ""},
		{[]int64{2, 3}, []int64{}, true, ""}, {[]int64{4, 2, 5, 6}, []int64{2, 1, 1}, true, ""},
		{[]int64{4, 2, 5, 6}, []int64{1, 2, 1, 1}, true, ""}, {[]int64{4, 2, 5, 6}, []int64{1, 2, 5, 1}, true, ""},
		{[]int64{-1, 3}, []int64{2, 3}, false, ""}, {[]int64{2, 3}, []int64{-1, 3}, false, ""},
		{[]int64{-1, 3}, []int64{1, 3}, true, ""}, {[]int64{1, 3}, []int64{1, 3}, false, ""},
		{[]int64{0, 3}, []int64{0, 3}, false, ""},
		{[]int64{2, 3}, []int64{2, 4}, false, "of shape [2 4] a derivative of shape [2 3]"},
		{[]int64{2, 3}, []int64{3, 3}, false, "a derivative of shape"}, {[]int64{3}, []int64{2, 3}, false, "a derivative"},
		{[]int64{0, 3}, []int64{2, 3}, false, "a derivative"}, {[]int64{2, 3}, []int64{0, 3}, false, "a derivative"},
		{[]int64{1, 3}, []int64{2, 3}, false, "a derivative"},
		{[]int64{2, 3}, nil, false, `shape of its input "to" is not known`}, {nil, nil, false, ""},
	} {
		shapes := map[string][]int64{}
		if c.from != nil {
			shapes["grad"] = c.from
		}
		if c.to != nil {
			shapes["to"] = c.to
		}
		b := &build{Tape: tape.New(shapes)}
		got, err := b.sumTo("grad", "to")
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || got != "" {
				t.Errorf("%v to %v: %q, %v; want %q", c.from, c.to, got, err, c.err)
			}
			continue
		}
		if err != nil || (got != "grad") != c.sums {
			t.Errorf("%v to %v: %q, %v", c.from, c.to, got, err)
		}
		if c.sums && !slices.Equal(b.Shape[got], c.to) {
			t.Errorf("%v to %v: %s", c.from, c.to, fmt.Sprint(b.Shape[got]))
		}
	}
}
