package quantize

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
)

// Range is what the values of a tensor span.
type Range struct{ Lo, Hi float32 }

// maxWeight is the largest quantised weight. 7 bits of 8: processors without
// VNNI add two products of uint8 and int8 in 16 bits, and 2·255·64 is the most
// that does not overflow there. The file gives the same results on all of them.
const maxWeight = 64

// plan is which nodes become integer ones and which tensors are 8 bits wide.
type plan struct {
	*editor
	integer map[*onnxpb.NodeProto]bool
	fused   map[*onnxpb.NodeProto]*onnxpb.NodeProto // Relu or Clip -> the node it follows
	tensors []string                                // in the order of the graph
}

// Activations names the tensors of m whose ranges Int8 needs.
func Activations(m *graph.Model) []string { return newPlan(edit(m)).tensors }

// newPlan chooses convolutions with constant weights, sums of two maps and
// maximum poolings, each with the Relu or Clip behind it. Their inputs and
// outputs are quantised.
func newPlan(e *editor) *plan {
	p := &plan{editor: e, integer: map[*onnxpb.NodeProto]bool{}, fused: map[*onnxpb.NodeProto]*onnxpb.NodeProto{}}
	wanted := map[string]bool{}
	shapes, _ := shape.Shapes(e.model, nil) // what is not known stays as it is
	for _, n := range e.g.Node {
		if !e.suits(n, shapes) {
			continue
		}
		p.integer[n] = true
		inputs := n.Input[:1]
		if e.operator(n) == "Add" {
			inputs = n.Input
		}
		for _, in := range inputs {
			wanted[in] = true
		}
		out := n.Output[0]
		if act := e.follower(n); act != nil {
			p.fused[act] = n
			out = act.Output[0]
		}
		wanted[out] = true
	}
	for _, in := range e.g.Input {
		if wanted[in.GetName()] {
			p.tensors = append(p.tensors, in.GetName())
		}
	}
	for _, n := range e.g.Node {
		for _, out := range n.Output {
			if wanted[out] && !e.isOutput(out) {
				p.tensors = append(p.tensors, out)
			}
		}
	}
	return p
}

func (e *editor) suits(n *onnxpb.NodeProto, shapes map[string][]int64) bool {
	op := e.operator(n)
	if len(n.Input) < arity[op] || len(n.Output) != 1 {
		return false
	}
	switch op {
	case "Conv":
		t := e.inits[n.Input[1]]
		return t != nil && len(t.GetDims()) == 4 && t.GetDims()[0] > 0 && t.GetDataType() == graph.Float32 &&
			(len(n.Input) < 3 || n.Input[2] == "" || e.inits[n.Input[2]] != nil)
	case "Add": // not of sizes, which exporters compute too, nor of a constant
		return len(shapes[n.Input[0]]) == 4 && len(shapes[n.Input[1]]) == 4 && e.maker[n.Input[0]] != nil &&
			e.maker[n.Input[1]] != nil
	case "MaxPool":
		return len(n.Input) == 1
	}
	return false
}

// arity is the least number of inputs; a damaged model may have fewer.
var arity = map[string]int{"Conv": 2, "Add": 2, "MaxPool": 1}

// follower is the Relu, or Clip from 0, that alone reads a node's output. Where
// the output is quantised, the smallest and the largest integer do its work.
func (e *editor) follower(n *onnxpb.NodeProto) *onnxpb.NodeProto {
	readers := e.uses[n.Output[0]]
	if len(readers) != 1 || e.isOutput(n.Output[0]) || e.operator(n) == "MaxPool" {
		return nil
	}
	switch r := readers[0]; e.operator(r) {
	case "Relu":
		return r
	case "Clip":
		if len(r.Input) == 3 {
			if lo, hi := e.floats(r.Input[1]), e.floats(r.Input[2]); len(lo) == 1 && lo[0] == 0 && len(hi) == 1 {
				return r
			}
		}
	}
	return nil
}

// scale is the quantisation of a tensor: real = factor*(integer-zero).
type scale struct {
	factor float32
	zero   uint8
}

// scaleOf spans r, and 0 in any case, with 256 values.
func scaleOf(r Range) scale {
	lo, hi := min(float64(r.Lo), 0), max(float64(r.Hi), 0)
	if hi-lo < 1e-12 {
		return scale{1, 0}
	}
	factor := float32((hi - lo) / 255)
	zero := math.RoundToEven(-lo / float64(factor))
	return scale{factor, uint8(min(max(zero, 0), 255))}
}

// Int8 returns m with 8-bit convolutions, sums and maximum poolings. ranges has
// a value for each of Activations(m). Activations are uint8 a tensor, weights
// int8 a channel, biases int32.
// Source of the form: ONNX Runtime, "Quantize ONNX models", tensor-oriented QDQ.
func Int8(m *graph.Model, ranges map[string]Range) (*graph.Model, error) {
	if m.Opset() < 13 {
		return nil, failure.Usage(fmt.Errorf("quantize: %s: operator set %d has no weights quantised by channel; "+
			"export the body with operator set 13 or newer", m.Path, m.Opset()))
	}
	if err := rewritable(m); err != nil {
		return nil, err
	}
	p := newPlan(edit(m))
	scales, err := p.scales(ranges)
	if err != nil {
		return nil, err
	}
	p.dropActivations()
	nodes := p.g.Node
	p.g.Node = nil
	renamed := map[string]string{} // a tensor -> its dequantised copy
	for _, in := range p.g.Input {
		if s, ok := scales[in.GetName()]; ok {
			renamed[in.GetName()] = p.pair(in.GetName(), s)
		}
	}
	for _, n := range nodes {
		for i, in := range n.Input {
			if r, ok := renamed[in]; ok {
				n.Input[i] = r
			}
		}
		if p.integer[n] && p.operator(n) == "Conv" && strings.HasSuffix(n.Input[0], dequantised) {
			if err := p.weights(n, scales[original(n.Input[0])].factor); err != nil {
				return nil, err
			}
		}
		p.g.Node = append(p.g.Node, n)
		for _, out := range n.Output {
			if s, ok := scales[out]; ok {
				renamed[out] = p.pair(out, s)
			}
		}
	}
	return p.finish()
}

// scales turns ranges into scales. A pooling keeps its input's.
func (p *plan) scales(ranges map[string]Range) (map[string]scale, error) {
	scales := map[string]scale{}
	for _, name := range p.tensors {
		r, ok := ranges[name]
		if !ok {
			return nil, fmt.Errorf("quantize: %s: tensor %q has no range; observe the same model", p.model.Path, name)
		}
		n := p.maker[name]
		if n != nil && p.integer[n] && p.operator(n) == "MaxPool" {
			if s, ok := scales[n.Input[0]]; ok { // an output of the model has none
				scales[name] = s
				continue
			}
		}
		if n != nil && p.fused[n] != nil {
			r.Lo = 0
			if hi := n.Input[len(n.Input)-1]; p.operator(n) == "Clip" {
				r.Hi = min(r.Hi, p.floats(hi)[0])
			}
		}
		scales[name] = scaleOf(r)
	}
	return scales, nil
}

// dropActivations lets the node before a Relu or Clip give its output.
func (p *plan) dropActivations() {
	for act, n := range p.fused {
		if !p.isOutput(act.Output[0]) {
			n.Output[0] = act.Output[0]
		}
	}
	p.g.Node = slices.DeleteFunc(p.g.Node, func(n *onnxpb.NodeProto) bool {
		return p.fused[n] != nil &&
			!p.isOutput(n.Output[0])
	})
}

const dequantised = "/dequantised"

func original(name string) string { return strings.TrimSuffix(name, dequantised) }

// pair appends QuantizeLinear and DequantizeLinear of a tensor and names the result.
func (p *plan) pair(name string, s scale) string {
	factor := p.add(graph.FloatTensor(name+"/scale", nil, []float32{s.factor}))
	zero := p.add(bytesTensor(name+"/zero", graph.Uint8, nil, []byte{s.zero}))
	p.node("QuantizeLinear", name+"/quantised", []string{name, factor, zero})
	return p.node("DequantizeLinear", name+dequantised, []string{name + "/quantised", factor, zero})
}

func (p *plan) node(op, output string, inputs []string, attrs ...graph.Attr) string {
	p.g.Node = append(p.g.Node, &onnxpb.NodeProto{Name: proto.String(output), OpType: proto.String(op), Input: inputs,
		Output: []string{output}, Attribute: attrs})
	return output
}

// weights replaces the weight and the bias of a convolution by integers whose
// input has the given scale. The bias has the scale of the products.
func (p *plan) weights(n *onnxpb.NodeProto, input float32) error {
	t := p.inits[n.Input[1]]
	w := p.floats(n.Input[1])
	channels := int(t.GetDims()[0])
	var bias []float32
	if len(n.Input) > 2 && n.Input[2] != "" {
		if bias = p.floats(n.Input[2]); len(bias) != channels {
			return failure.Data(fmt.Errorf("quantize: %s: node %q: a bias of %s for %s", p.model.Path,
				n.GetName(), plural.Count(len(bias), "value"), plural.Count(channels, "channel")))
		}
	}
	scales, q := make([]float32, channels), make([]byte, len(w))
	each := len(w) / channels
	for c := range channels {
		part := w[c*each : (c+1)*each]
		scales[c] = max(largest(part)/maxWeight, 1e-12)
		if bias != nil { // weights so small beside their bias, 0 say, do not matter, but the bias has to fit in 32 bits
			scales[c] = max(scales[c], float32(math.Abs(float64(bias[c]))/float64(input)/math.MaxInt32))
		}
		for i, v := range part {
			q[c*each+i] = byte(int8(clampRound(float64(v)/float64(scales[c]), maxWeight)))
		}
	}
	name, perChannel := n.Output[0]+"/int8 weight", []int64{int64(channels)}
	n.Input[1] = p.node("DequantizeLinear", name, []string{
		p.add(bytesTensor(name+"/values", graph.Int8, t.GetDims(), q)),
		p.add(graph.FloatTensor(name+"/scale", perChannel, scales)),
		p.add(bytesTensor(name+"/zero", graph.Int8, perChannel, make([]byte, channels)))}, graph.Int("axis", 0))
	if bias == nil {
		return nil
	}
	raw, products := make([]byte, 0, 4*channels), make([]float32, channels)
	for c, v := range bias {
		products[c] = scales[c] * input
		i := int32(clampRound(float64(v)/float64(products[c]), math.MaxInt32))
		raw = append(raw, byte(i), byte(i>>8), byte(i>>16), byte(i>>24))
	}
	name = n.Output[0] + "/int32 bias"
	n.Input[2] = p.node("DequantizeLinear", name, []string{
		p.add(bytesTensor(name+"/values", graph.Int32, perChannel, raw)),
		p.add(graph.FloatTensor(name+"/scale", perChannel, products)),
		p.add(bytesTensor(name+"/zero", graph.Int32, perChannel, make([]byte, 4*channels)))}, graph.Int("axis", 0))
	return nil
}

func largest(v []float32) float32 {
	m := float32(0)
	for _, x := range v {
		m = max(m, float32(math.Abs(float64(x))))
	}
	return m
}

func clampRound(v, limit float64) float64 { return max(-limit, min(math.RoundToEven(v), limit)) }

func bytesTensor(name string, elem int32, shape []int64, raw []byte) *onnxpb.TensorProto {
	return &onnxpb.TensorProto{Name: proto.String(name), DataType: proto.Int32(elem), Dims: slices.Clone(shape),
		RawData: raw}
}
