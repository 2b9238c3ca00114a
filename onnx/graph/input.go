package graph

import (
	"slices"
	"strings"

	"finetune/onnx/graph/onnxpb"
)

// Input describes an input or output of a model.
type Input struct {
	Name   string  `json:"name"`
	Elem   int32   `json:"elem"`             // element type, numbered as in ONNX: see Float32
	Type   string  `json:"type"`             // its name: "FLOAT"
	Shape  []int64 `json:"shape"`            // -1 where the size is open; nil if not stated
	Layout string  `json:"layout,omitempty"` // of an image: "NCHW", "NHWC", or "" if it cannot be told
}

// Inputs lists what a caller must feed, with the layout of images told from
// the graph: by which axis is 3 or 1 long, else by what the first convolution
// or a transposition makes of the input.
func (m *Model) Inputs() []Input {
	inits := m.Initializers()
	var list []Input
	for _, v := range m.Graph.Input {
		if inits[v.GetName()] == nil {
			in := inputOf(v)
			in.Layout = m.layout(in)
			list = append(list, in)
		}
	}
	return list
}

// Outputs lists the outputs of the main graph.
func (m *Model) Outputs() []Input {
	return listed(m.Graph.Output, inputOf)
}

func inputOf(v *onnxpb.ValueInfoProto) Input {
	elem := v.GetType().GetTensorType().GetElemType()
	return Input{Name: v.GetName(), Elem: elem, Type: elemName(elem), Shape: Declared(v)}
}

func listed[T, U any](list []T, f func(T) U) []U {
	out := make([]U, 0, len(list))
	for _, v := range list {
		out = append(out, f(v))
	}
	return out
}

// Image returns the one input that takes images, rank 4. Another number of
// such inputs is an error.
func (m *Model) Image() (Input, error) {
	var images []Input
	all := m.Inputs()
	for _, in := range all {
		if len(in.Shape) == 4 || in.Shape == nil {
			images = append(images, in)
		}
	}
	if len(images) != 1 || len(all) != 1 {
		return Input{}, m.Badf("its inputs are %v; a body takes one, an image batch of four dimensions", m.InputNames())
	}
	return images[0], nil
}

// ImageAmong is Image where other inputs are allowed, such as the text of a model of both.
func (m *Model) ImageAmong() (Input, error) {
	var images []Input
	for _, in := range m.Inputs() {
		if len(in.Shape) == 4 {
			images = append(images, in)
		}
	}
	if len(images) != 1 {
		return m.Image()
	}
	return images[0], nil
}

// Size is the height and width an image input asks for, -1 where open.
func (in Input) Size() (height, width int64) {
	switch {
	case len(in.Shape) != 4:
		return -1, -1
	case in.Layout == "NHWC":
		return in.Shape[1], in.Shape[2]
	}
	return in.Shape[2], in.Shape[3]
}

// Channels is the number of colours an image input of a layout asks for, -1 where open.
func (in Input) Channels(layout string) int64 {
	switch {
	case len(in.Shape) != 4:
		return -1
	case layout == "NHWC":
		return in.Shape[3]
	}
	return in.Shape[1]
}

// Batch is the number of images an input asks for, -1 where open.
func (in Input) Batch() int64 {
	if len(in.Shape) == 0 {
		return -1
	}
	return in.Shape[0]
}

func (m *Model) layout(in Input) string {
	if len(in.Shape) != 4 {
		return ""
	}
	colour := func(n int64) bool { return n == 3 || n == 1 }
	first, last := colour(in.Shape[1]), colour(in.Shape[3])
	switch {
	case first && !last:
		return "NCHW"
	case last && !first:
		return "NHWC"
	}
	return m.LayoutByUse(in.Name)
}

// LayoutByUse follows a tensor through elementwise operators to a convolution
// (NCHW) or to a transposition into that order (NHWC).
func (m *Model) LayoutByUse(name string) string {
	at := map[string]bool{name: true}
	nodes, _ := m.Sorted() // none where they have no order
	for _, n := range nodes {
		if len(n.Output) == 0 || !at[FirstInput(n)] {
			continue
		}
		switch m.Op(n).Standard() {
		case "Conv", "MaxPool", "BatchNormalization":
			return "NCHW"
		case "Transpose":
			if slices.Equal(FindInts(n, "perm"), []int64{0, 3, 1, 2}) {
				return "NHWC"
			}
			return ""
		case "Add", "Sub", "Mul", "Div", "Cast", "Identity", "QuantizeLinear", "DequantizeLinear":
			at[n.Output[0]] = true
		}
	}
	return ""
}

// Sample is the shape of one image for this input, 224 by 224 where open.
func (in Input) Sample() []int64 {
	dims := slices.Clone(in.Shape)
	if len(dims) != 4 {
		return dims
	}
	typical := []int64{1, 3, 224, 224}
	if in.Layout == "NHWC" {
		typical = []int64{1, 224, 224, 3}
	}
	for i := range dims {
		if dims[i] < 0 {
			dims[i] = typical[i]
		}
	}
	return dims
}

// BatchName is what the graph calls its open batch dimension, "N" if nothing.
func (m *Model) BatchName() string {
	for _, in := range m.Graph.Input {
		if d := in.GetType().GetTensorType().GetShape().GetDim(); len(d) > 0 && d[0].GetDimParam() != "" {
			return d[0].GetDimParam()
		}
	}
	return "N"
}

// OutputElem is the element type of a node's output, as far as its operator tells.
func OutputElem(n *onnxpb.NodeProto, op Op, output int, types map[string]int32) int32 {
	in := func(i int) int32 {
		if i < len(n.Input) {
			return types[n.Input[i]]
		}
		return 0
	}
	if op == (Op{Domain: Contrib, Name: op.Name}) && strings.HasSuffix(op.Name, "QuantizeLinear") {
		op.Domain = "" // these are as ONNX's
	}
	switch op := op.Standard(); {
	case op == "Cast":
		return int32(FindInt(n, "to", 0))
	case op == "Shape", op == "Size", op == "ArgMax", op == "ArgMin", op == "MaxPool" && output == 1:
		return Int64
	case op == "DequantizeLinear", op == "Where":
		return in(1)
	case op == "QuantizeLinear":
		if in(2) != 0 {
			return in(2)
		}
		return Uint8
	case op == "Constant":
		if t := Find(n, "value").GetT(); t != nil {
			return t.GetDataType()
		}
		if Find(n, "value_int") != nil || Find(n, "value_ints") != nil {
			return Int64
		}
		return Float32
	case slices.Contains([]string{"Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "Not", "And", "Or"}, op):
		return Bool
	}
	return in(0)
}

// Declared is the shape a graph states for a tensor; nil if it states none.
func Declared(v *onnxpb.ValueInfoProto) []int64 {
	shape := v.GetType().GetTensorType().GetShape()
	if shape == nil {
		return nil
	}
	dims := make([]int64, len(shape.Dim))
	for i, d := range shape.Dim {
		dims[i] = -1
		if v, ok := d.Value.(*onnxpb.TensorShapeProto_Dimension_DimValue); ok && v.DimValue >= 0 {
			dims[i] = v.DimValue
		}
	}
	return dims
}

// FirstInput is the tensor n reads first, "" if none or no node.
func FirstInput(n *onnxpb.NodeProto) string {
	if len(n.GetInput()) == 0 {
		return ""
	}
	return n.Input[0]
}
