package gradient

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// tape collects the nodes of the training graph in an order that runs, with
// the shape of every tensor on it.
type tape struct {
	nodes   []*onnxpb.NodeProto
	pseudos map[*onnxpb.NodeProto]pseudo // those of them that lowering rewrites
	consts  []*onnxpb.TensorProto
	shape   map[string][]int64 // -1 is a dimension known only at run time
	known   map[string]string  // content of a constant -> its name
	used    map[string]bool
	next    int
}

func newTape(shapes map[string][]int64) *tape {
	t := &tape{pseudos: map[*onnxpb.NodeProto]pseudo{}, shape: shapes, known: map[string]string{},
		used: map[string]bool{}}
	for name := range shapes {
		t.used[name] = true
	}
	return t
}

// axis counts an axis of x from the first, where a model may count it from behind.
func (t *tape) axis(x string, axis int64) int64 {
	if axis < 0 {
		axis += int64(len(t.shape[x]))
	}
	return axis
}

// name makes a tensor name that starts with prefix and is not used yet.
func (t *tape) name(prefix string) string {
	for {
		t.next++
		if n := fmt.Sprintf("%s.%d", prefix, t.next); !t.used[n] {
			t.used[n] = true
			return n
		}
	}
}

// op adds a node with one output of the given shape and returns its name.
// An operator of another domain is named in full ("com.microsoft.FusedMatMul").
func (t *tape) op(kind string, shape []int64, inputs []string, attrs ...graph.Attr) string {
	out := t.name(kind[strings.LastIndexByte(kind, '.')+1:])
	t.opTo(kind, out, shape, inputs, attrs...)
	return out
}

// opTo is op for an output whose name is given.
func (t *tape) opTo(kind, out string, shape []int64, inputs []string, attrs ...graph.Attr) *onnxpb.NodeProto {
	n := &onnxpb.NodeProto{Input: inputs, Output: []string{out}, Attribute: attrs, Name: proto.String(out)}
	if i := strings.LastIndexByte(kind, '.'); i >= 0 {
		n.Domain, kind = proto.String(kind[:i]), kind[i+1:]
	}
	n.OpType = proto.String(kind)
	t.used[out] = true
	if _, ok := t.shape[out]; !ok {
		t.shape[out] = shape
	}
	t.nodes = append(t.nodes, n)
	return n
}

// ints is a constant int64 vector.
func (t *tape) ints(v ...int64) string {
	return t.constant(fmt.Sprint("i", v), graph.IntTensor("", []int64{int64(len(v))}, v))
}

// scalar is a constant float32 of shape [].
func (t *tape) scalar(v float32) string {
	return t.constant(fmt.Sprint("f", v), graph.FloatTensor("", nil, []float32{v}))
}

// floats is a constant float32 tensor.
func (t *tape) floats(shape []int64, v []float32) string {
	return t.constant(fmt.Sprint("t", shape, v), graph.FloatTensor("", shape, v))
}

// constant adds value, or finds the equal one that is there already.
func (t *tape) constant(key string, value *onnxpb.TensorProto) string {
	if n, ok := t.known[key]; ok {
		return n
	}
	n := t.name("const")
	value.Name = proto.String(n)
	t.known[key], t.shape[n] = n, value.Dims
	t.consts = append(t.consts, value)
	return n
}

// Short forms of operators that rules use often. Binary ones expect operands
// whose broadcast shape is the first one's.
func (t *tape) mul(a, b string) string { return t.op("Mul", t.shape[a], []string{a, b}) }
func (t *tape) add(a, b string) string { return t.op("Add", t.shape[a], []string{a, b}) }
func (t *tape) sub(a, b string) string { return t.op("Sub", t.shape[a], []string{a, b}) }
func (t *tape) div(a, b string) string { return t.op("Div", t.shape[a], []string{a, b}) }

func (t *tape) unary(kind, x string, attrs ...graph.Attr) string {
	return t.op(kind, t.shape[x], []string{x}, attrs...)
}

// reshape gives x a constant shape; at most one dimension may be -1.
func (t *tape) reshape(x string, shape ...int64) string {
	if slices.Equal(t.shape[x], shape) && !slices.Contains(shape, -1) {
		return x
	}
	return t.op("Reshape", shape, []string{x, t.ints(shape...)})
}

// reshapeLike gives x the shape that the tensor like has when the graph runs.
func (t *tape) reshapeLike(x, like string) string {
	return t.op("Reshape", t.shape[like], []string{x, t.runShape(like)})
}

// runShape is the shape of x as a tensor, a constant where possible.
func (t *tape) runShape(x string) string {
	s := t.shape[x]
	if !slices.Contains(s, -1) {
		return t.ints(s...)
	}
	return t.op("Shape", []int64{int64(len(s))}, []string{x})
}

func (t *tape) transpose(x string, perm ...int64) string {
	shape := make([]int64, len(perm))
	for i, p := range perm {
		shape[i] = t.shape[x][p]
	}
	return t.op("Transpose", shape, []string{x}, graph.Ints("perm", perm...))
}

// pad adds zeros around x, or cuts where a number is negative; first all
// beginnings, then all ends, one number an axis.
func (t *tape) pad(x string, pads ...int64) string {
	if !slices.ContainsFunc(pads, func(p int64) bool { return p != 0 }) {
		return x
	}
	shape := slices.Clone(t.shape[x])
	for i := range shape {
		if shape[i] >= 0 {
			shape[i] += pads[i] + pads[len(shape)+i]
		}
	}
	return t.op("Pad", shape, []string{x, t.ints(pads...)})
}

// slice takes [start, end) of one axis in steps.
func (t *tape) slice(x string, axis, start, end, step int64) string {
	shape := slices.Clone(t.shape[x])
	shape[axis] = (end - start + step - 1) / step
	return t.op("Slice", shape, []string{x, t.ints(start), t.ints(end), t.ints(axis), t.ints(step)})
}

// sum adds over axes and drops them.
func (t *tape) sum(x string, axes ...int64) string {
	var shape []int64
	for i, d := range t.shape[x] {
		if !slices.Contains(axes, int64(i)) {
			shape = append(shape, d)
		}
	}
	return t.op("ReduceSum", shape, []string{x, t.ints(axes...)}, graph.Int("keepdims", 0))
}
