package gradient_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/gradient"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// ours are the names of operators that this package treats in some way of its own: those with a rule, those that are
// rewritten, and those that exist only inside it.
func ours() []string {
	names := []string{"Dropout", "BatchNormalization", "GlobalMaxPool", "Affine", "BatchNorm", "ChannelSum",
		"ConvGradInput", "ConvGradFilter"}
	for op := range gradient.Rules() {
		if !slices.Contains(names, op.Name) {
			names = append(names, op.Name)
		}
	}
	slices.Sort(names)
	return names
}

// stranger is an operator of another domain between two of ours. Its output has the shape of its first input.
func stranger(op string) (*graph.Model, *onnxpb.NodeProto) {
	b := graph.NewBuilder("stranger", 17)
	x := b.Node("Mul", "x",
		[]string{b.Input("image", graph.Float32, "N", 16, 4, 4), b.Init("s", []int64{1, 16, 4, 4}, make([]float32, 256))})
	in := []string{x}
	for _, name := range []string{"a", "b", "c", "d"} {
		in = append(in, b.Init(name, []int64{16}, make([]float32, 16)))
	}
	b.NodeN("another."+op, in, []string{"y"})
	b.Output(b.Node("Reshape", "loss",
		[]string{b.Node("ReduceSum", "sum", []string{"y"}, i("keepdims", 0)), b.Ints("one", []int64{1}, []int64{1})}),
		graph.Float32, 1)
	m := b.Model()
	m.Graph.ValueInfo = append(m.Graph.ValueInfo,
		&onnxpb.ValueInfoProto{Name: proto.String("y"), Type: proto.Clone(m.Graph.Input[0].Type).(*onnxpb.TypeProto)})
	return m, m.Graph.Node[1]
}

// TestOperatorsOfOtherDomains: a name says nothing without its domain. A node of another domain, of the one that this
// package once kept for itself, or that calls a function of the model, is told by its domain and gets no rule of ours.
func TestOperatorsOfOtherDomains(t *testing.T) {
	for _, op := range ours() {
		for _, domain := range []string{"another", "finetune", "com.microsoft", "com.microsoft.nchwc"} {
			if gradient.Rules()[graph.Op{Domain: domain, Name: op}] != nil {
				continue
			}
			m, n := stranger(op)
			n.Domain = proto.String(domain)
			m.OpsetImport = append(m.OpsetImport,
				&onnxpb.OperatorSetIdProto{Domain: proto.String(domain), Version: proto.Int64(1)})
			_, err := gradient.Build(m, "loss", gradient.Options{Trainable: []string{"s"}})
			want := fmt.Sprintf(`operator %s of domain %q (node "y") has no gradient rule`, op, domain)
			if err == nil || failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), want) {
				t.Errorf("%s of %s: %v, want %q", op, domain, err, want)
			}
		}
		for _, domain := range []string{"", "ai.onnx"} {
			m, n := stranger(op)
			n.Domain = proto.String("ai.onnx")
			m.Functions = []*onnxpb.FunctionProto{{Name: proto.String(op), Domain: proto.String(domain)}}
			_, err := gradient.Build(m, "loss", gradient.Options{Trainable: []string{"s"}})
			want := fmt.Sprintf(`operator %s, a function of the model's own in domain "ai.onnx" (node `, op)
			if err == nil || failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), want) {
				t.Errorf("function %q.%s: %v, want %q", domain, op, err, want)
			}
		}
	}
}

// TestOneVersionOfTheStandardOperators: ONNX's own operators have two names for their domain; whichever the model and
// its nodes use, the training graph imports them once.
func TestOneVersionOfTheStandardOperators(t *testing.T) {
	for _, model := range []string{"", "ai.onnx"} {
		for _, nodes := range []string{"", "ai.onnx"} {
			b := graph.NewBuilder("named", 17)
			b.Output(b.Node("Exp", "loss", []string{b.Init("s", []int64{1}, []float32{1})}), graph.Float32, 1)
			m := b.Model()
			m.OpsetImport[0].Domain, m.Graph.Node[0].Domain = proto.String(model), proto.String(nodes)
			g, err := gradient.Build(m, "loss", gradient.Options{Trainable: []string{"s"}})
			if err != nil {
				t.Fatal(err)
			}
			if list := g.Model.OpsetImport; len(list) != 1 || list[0].GetDomain() != model || list[0].GetVersion() != 17 {
				t.Errorf("a model of %q with nodes of %q imports %v", model, nodes, list)
			}
		}
	}
}

// TestStrangersAreCopied: where no trainable parameter reaches it, such a node stays as it is, in both layouts, and
// costs
// the memory of its output.
func TestStrangersAreCopied(t *testing.T) {
	for _, op := range append(ours(), "Identity", "Constant", "Shape", "Reshape", "Slice", "Transpose") {
		for _, block := range []int64{0, 16} {
			m, n := stranger(op)
			n.Input[0] = "image"
			m.Graph.Node[2].Input[0], m.Graph.Node[0].Input[0] = "x", "y"
			m.Graph.Node[0], m.Graph.Node[1] = m.Graph.Node[1], m.Graph.Node[0]
			want := proto.Clone(n)
			g, err := gradient.Build(m, "loss", gradient.Options{Trainable: []string{"s"}, Block: block})
			if err != nil {
				t.Errorf("%s: %v", op, err)
				continue
			}
			at := slices.IndexFunc(g.Model.Graph.Node, func(n *onnxpb.NodeProto) bool { return n.GetOutput()[0] == "y" })
			if at < 0 || !proto.Equal(g.Model.Graph.Node[at], want) {
				t.Errorf("%s in blocks of %d is not copied: %v", op, block, g.Model.Graph.Node)
			}
			if each := g.Memory.PerImage; each < 4*(256+256+256) { // the image, what the stranger makes of it, the product
				t.Errorf("%s: %d bytes an image", op, each)
			}
		}
	}
}

// TestGraphsInsideNodes: what a graph inside a node takes from around it is read, in both layouts: kept, counted, and
// where a
// trainable parameter reaches it the node needs a rule.
func TestGraphsInsideNodes(t *testing.T) {
	build := func(captured string) *graph.Model {
		b := graph.NewBuilder("branches", 17)
		b.Init("c", []int64{16, 1, 1}, make([]float32, 16))
		x := b.Node("Mul", "x",
			[]string{b.Input("image", graph.Float32, "N", 16, 4, 4), b.Init("s", []int64{1, 16, 4, 4}, make([]float32, 256))})
		y := b.Node("Conv", "y", []string{x, b.Init("w", []int64{16, 16, 1, 1}, make([]float32, 256))})
		z := b.Node("BatchNormalization", "z",
			[]string{y, b.Init("ga", []int64{16}, make([]float32, 16)), b.Init("be", []int64{16}, make([]float32, 16)),
				b.Init("mean", []int64{16}, make([]float32, 16)), b.Init("var", []int64{16}, make([]float32, 16))})
		branch := func(name string) *onnxpb.GraphProto {
			return &onnxpb.GraphProto{Name: proto.String(name), Output: []*onnxpb.ValueInfoProto{{Name: proto.String(name)}},
				Node: []*onnxpb.NodeProto{{OpType: proto.String("Mul"), Input: []string{captured, "c"}, Output: []string{name}}}}
		}
		either := b.Node("If", "either", []string{b.Input("flag", graph.Bool)}, graph.Graph("then_branch", branch("yes")),
			graph.Graph("else_branch", branch("no")))
		sum := b.Node("Add", "sum", []string{z, either})
		b.Output(b.Node("Reshape", "loss",
			[]string{b.Node("ReduceSum", "all", []string{sum}, i("keepdims", 0)), b.Ints("one", []int64{1}, []int64{1})}),
			graph.Float32, 1)
		return b.Model()
	}
	for _, block := range []int64{0, 16} {
		for captured, trainable := range map[string][]string{"image": {"s", "w", "ga"}, "x": {"w", "ga"}, "y": {"ga"}} {
			g, err := gradient.Build(build(captured), "loss", gradient.Options{Trainable: trainable, Block: block})
			if err != nil {
				t.Errorf("%s, block %d: %v", captured, block, err)
			} else if g.Model.Initializers()["c"] == nil {
				t.Errorf("%s, block %d: the constant of the branches is gone", captured, block)
			}
		}
		_, err := gradient.Build(build("x"), "loss", gradient.Options{Trainable: []string{"s"}, Block: block})
		if err == nil || !strings.Contains(err.Error(), `operator If (node "either") has no gradient rule`) {
			t.Errorf("block %d: %v", block, err)
		}
	}
}
