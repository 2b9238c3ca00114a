package headgraph

import (
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Odd measures how far Rows, float32 or float16 [batch, features], lie from a plane, in units
// of threshold: Oddness, float32. mean is a point of the plane, axes [rank, features] are
// float16. Only operators that are the same in every version are used: sums are products.
func Odd(mean []float32, axes *onnxpb.TensorProto, threshold float32, opset int64) *graph.Model {
	b := graph.NewBuilder("odd", opset)
	features := int64(len(mean))
	ones := make([]float32, features)
	for i := range ones {
		ones[i] = 1
	}
	float := func(name, x string) string {
		return b.Node("Cast", name, []string{x}, graph.Int("to", int64(graph.Float32)))
	}
	node := func(op, name string, x ...string) string { return b.Node(op, name, x) }
	x := float("rows32", b.Input(Rows, graph.Float32, "batch", features))
	column := b.Init("ones", []int64{features, 1}, ones)
	least := b.Init("least", nil, []float32{1e-12})
	length := node("Max", "length", node("Sqrt", "", node("MatMul", "", node("Mul", "", x, x), column)), least)
	x = node("Sub", "centred", node("Div", "unit", x, length), b.Init("mean", []int64{features}, mean))
	whole := node("MatMul", "whole", node("Mul", "", x, x), column)
	across := b.Node("Transpose", "across", []string{float("axes32", b.InitTensor(axes))}, graph.Ints("perm", 1, 0))
	along := node("MatMul", "along", x, across)
	rank := axes.Dims[0]
	within := node("MatMul", "within", node("Mul", "", along, along), b.Init("axes/ones", []int64{rank, 1}, ones[:rank]))
	zero := b.Init("zero", nil, []float32{0})
	rest := node("Sqrt", "distance", node("Max", "", node("Sub", "", whole, within), zero))
	b.Output(node("Div", Oddness, rest, b.Init("threshold", nil, []float32{threshold})), graph.Float32, "batch", 1)
	return b.Model()
}
