// Package tape holds the nodes of a training graph while they are written: with the shape of every
// tensor, with operators that exist only until it is said how they are computed, and with what
// lowers these to operators that ONNX Runtime has.
package tape

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Tape collects the nodes of the training graph in an order that runs, with
// the shape of every tensor on it.
type Tape struct {
	Nodes   []*onnxpb.NodeProto
	pseudos map[*onnxpb.NodeProto]pseudo // those of them that lowering rewrites
	Consts  []*onnxpb.TensorProto
	Shape   map[string][]int64 // -1 is a dimension known only at run time
	known   map[string]string  // content of a constant -> its name
	Used    map[string]bool
	elem    map[string]int64 // bytes of an element, where not 4
	next    int
}

// New is an empty tape beside a model whose tensors have the given shapes.
func New(shapes map[string][]int64) *Tape {
	t := &Tape{pseudos: map[*onnxpb.NodeProto]pseudo{}, Shape: shapes, known: map[string]string{},
		Used: map[string]bool{}, elem: map[string]int64{}}
	for name := range shapes {
		t.Used[name] = true
	}
	return t
}

// Axis counts an axis of x from the first, where a model may count it from behind.
func (t *Tape) Axis(x string, axis int64) int64 {
	if axis < 0 {
		axis += int64(len(t.Shape[x]))
	}
	return axis
}

// Name makes a tensor name that starts with prefix and is not used yet.
func (t *Tape) Name(prefix string) string {
	for {
		t.next++
		if n := fmt.Sprintf("%s.%d", prefix, t.next); !t.Used[n] {
			t.Used[n] = true
			return n
		}
	}
}

// Op adds a node with one output of the given shape and returns its name.
// An operator of another domain is named in full ("com.microsoft.FusedMatMul").
func (t *Tape) Op(kind string, shape []int64, inputs []string, attrs ...graph.Attr) string {
	out := t.Name(kind[strings.LastIndexByte(kind, '.')+1:])
	t.OpTo(kind, out, shape, inputs, attrs...)
	return out
}

// OpTo is op for an output whose name is given.
func (t *Tape) OpTo(kind, out string, shape []int64, inputs []string, attrs ...graph.Attr) *onnxpb.NodeProto {
	n := &onnxpb.NodeProto{Input: inputs, Output: []string{out}, Attribute: attrs, Name: proto.String(out)}
	if i := strings.LastIndexByte(kind, '.'); i >= 0 {
		n.Domain, kind = proto.String(kind[:i]), kind[i+1:]
	}
	n.OpType = proto.String(kind)
	t.Used[out] = true
	if _, ok := t.Shape[out]; !ok {
		t.Shape[out] = shape
	}
	t.Nodes = append(t.Nodes, n)
	return n
}

// Ints is a constant int64 vector.
func (t *Tape) Ints(v ...int64) string {
	return t.Constant(fmt.Sprint("i", v), graph.IntTensor("", []int64{int64(len(v))}, v))
}

// Scalar is a constant float32 of shape [].
func (t *Tape) Scalar(v float32) string {
	return t.Constant(fmt.Sprint("f", v), graph.FloatTensor("", nil, []float32{v}))
}

// Floats is a constant float32 tensor.
func (t *Tape) Floats(shape []int64, v []float32) string {
	return t.Constant(fmt.Sprint("t", shape, v), graph.FloatTensor("", shape, v))
}

// Constant adds value, or finds the equal one that is there already.
func (t *Tape) Constant(key string, value *onnxpb.TensorProto) string {
	if n, ok := t.known[key]; ok {
		return n
	}
	n := t.Name("const")
	value.Name = proto.String(n)
	t.known[key], t.Shape[n] = n, value.Dims
	t.Consts = append(t.Consts, value)
	return n
}

// Short forms of operators that rules use often follow. Binary ones expect operands
// whose broadcast shape is the first one's.

// Mul multiplies.
func (t *Tape) Mul(a, b string) string { return t.Op("Mul", t.Shape[a], []string{a, b}) }

// Add adds.
func (t *Tape) Add(a, b string) string { return t.Op("Add", t.Shape[a], []string{a, b}) }

// Sub subtracts.
func (t *Tape) Sub(a, b string) string { return t.Op("Sub", t.Shape[a], []string{a, b}) }

// Div divides.
func (t *Tape) Div(a, b string) string { return t.Op("Div", t.Shape[a], []string{a, b}) }

// Unary adds an operator that leaves the shape of x.
func (t *Tape) Unary(kind, x string, attrs ...graph.Attr) string {
	return t.Op(kind, t.Shape[x], []string{x}, attrs...)
}

// Reshape gives x a constant shape; at most one dimension may be -1.
func (t *Tape) Reshape(x string, shape ...int64) string {
	if slices.Equal(t.Shape[x], shape) && !slices.Contains(shape, -1) {
		return x
	}
	return t.Op("Reshape", shape, []string{x, t.Ints(shape...)})
}

// ReshapeLike gives x the shape that the tensor like has when the graph runs.
func (t *Tape) ReshapeLike(x, like string) string {
	return t.Op("Reshape", t.Shape[like], []string{x, t.RunShape(like)})
}

// RunShape is the shape of x as a tensor, a constant where possible.
func (t *Tape) RunShape(x string) string {
	s := t.Shape[x]
	if !slices.Contains(s, -1) {
		return t.Ints(s...)
	}
	return t.Op("Shape", []int64{int64(len(s))}, []string{x})
}

// Transpose arranges the axes of x in the order perm.
func (t *Tape) Transpose(x string, perm ...int64) string {
	shape := make([]int64, len(perm))
	for i, p := range perm {
		shape[i] = t.Shape[x][p]
	}
	return t.Op("Transpose", shape, []string{x}, graph.Ints("perm", perm...))
}

// Pad adds zeros around x, or cuts where a number is negative; first all
// beginnings, then all ends, one number an axis.
func (t *Tape) Pad(x string, pads ...int64) string {
	if !slices.ContainsFunc(pads, func(p int64) bool { return p != 0 }) {
		return x
	}
	shape := slices.Clone(t.Shape[x])
	for i := range shape {
		if shape[i] >= 0 {
			shape[i] += pads[i] + pads[len(shape)+i]
		}
	}
	return t.Op("Pad", shape, []string{x, t.Ints(pads...)})
}

// Slice takes [start, end) of one axis in steps.
func (t *Tape) Slice(x string, axis, start, end, step int64) string {
	shape := slices.Clone(t.Shape[x])
	shape[axis] = (end - start + step - 1) / step
	return t.Op("Slice", shape, []string{x, t.Ints(start), t.Ints(end), t.Ints(axis), t.Ints(step)})
}

// Sum adds over axes and drops them.
func (t *Tape) Sum(x string, axes ...int64) string {
	var shape []int64
	for i, d := range t.Shape[x] {
		if !slices.Contains(axes, int64(i)) {
			shape = append(shape, d)
		}
	}
	return t.Op("ReduceSum", shape, []string{x, t.Ints(axes...)}, graph.Int("keepdims", 0))
}
