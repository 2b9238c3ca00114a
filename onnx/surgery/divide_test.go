package surgery_test

import (
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// TestCheckDivisors: integers may be divided by constants without zeros, floats by anything.
func TestCheckDivisors(t *testing.T) {
	ints := func(v ...int64) func(b *graph.Builder, x string) string {
		return func(b *graph.Builder, x string) string { return b.Ints("", []int64{int64(len(v))}, v) }
	}
	whole := func(b *graph.Builder, x string) string {
		return b.Node("Cast", "", []string{x}, graph.Int("to", int64(graph.Int64)))
	}
	for _, c := range []struct {
		name    string
		op      string
		left    func(b *graph.Builder, x string) string
		divisor func(b *graph.Builder, x string) string
		sound   bool
	}{
		{"by a constant", "Div", whole, ints(2, 3), true},
		{"by a constant with a zero", "Div", whole, ints(2, 0), false},
		{"rest of a constant", "Mod", whole, ints(7), true},
		{"rest of zero", "Mod", whole, ints(0), false},
		{"by what is computed", "Div", whole, whole, false},
		{"by a constant node", "Div", whole, func(b *graph.Builder, x string) string {
			return b.Node("Constant", "", nil, graph.Ints("value_ints", 4, 5))
		}, true},
		{"by a constant node of zero", "Div", whole, func(b *graph.Builder, x string) string {
			return b.Node("Constant", "", nil, graph.Int("value_int", 0))
		}, false},
		{"floats by what is computed", "Div", func(b *graph.Builder, x string) string { return x },
			func(b *graph.Builder, x string) string {
				return b.Node("Sub", "", []string{x, x})
			}, true},
		{"floats by a constant zero", "Div", func(b *graph.Builder, x string) string { return x },
			func(b *graph.Builder, x string) string {
				return b.Init("", nil, []float32{0})
			}, true},
		{"another operator", "Mul", whole, ints(0), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := graph.NewBuilder("divides", 17)
			x := b.Input("x", graph.Float32, "N", 2)
			y := b.Node(c.op, "quotient", []string{c.left(b, x), c.divisor(b, x)})
			b.Output(b.Node("Cast", "y", []string{y}, graph.Int("to", int64(graph.Float32))), graph.Float32, "N", 2)
			err := surgery.CheckDivisors(b.Model())
			if c.sound != (err == nil) {
				t.Errorf("sound is %v: %v", c.sound, err)
			}
			if err != nil && (failure.KindOf(err) != failure.DataKind ||
				!strings.Contains(err.Error(), `"quotient" (`+c.op+`)`)) {
				t.Errorf("%v: want bad data that names the node", err)
			}
		})
	}
}
