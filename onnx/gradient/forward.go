package gradient

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// forward puts the model's nodes on the tape. What a trainable parameter
// reaches becomes a step to differentiate; BatchNormalization, Dropout and
// global max pooling are rewritten first.
func (b *build) forward() error {
	nodes, err := b.m.Sorted()
	if err != nil {
		return err
	}
	folds, fused := b.foldable(nodes), b.fusible(nodes)
	for _, n := range nodes {
		switch kind := b.m.Op(n).Standard(); {
		case fused.inner[n]:
			// waits for the last of its chain
		case fused.last[n] != nil:
			if err := b.fusedNorm(fused.last[n]); err != nil {
				return err
			}
		case b.o.OneDNN != "" && b.oneDNN(n):
		case kind == "Dropout":
			b.dropout(n)
		case kind == "BatchNormalization" && (b.reached(n) || folds[n.Input[0]] != nil):
			if err := b.batchNorm(n, folds[n.Input[0]]); err != nil {
				return err
			}
		case kind == "Conv" && folds[n.Output[0]] != nil:
			// waits for its BatchNormalization
		case kind == "GlobalMaxPool" && b.reached(n):
			if err := b.globalMaxPool(n); err != nil {
				return err
			}
		default:
			b.step(proto.Clone(n).(*onnxpb.NodeProto), nil)
		}
	}
	return nil
}

// reached reports whether a trainable parameter reaches an input of n.
func (b *build) reached(n *onnxpb.NodeProto) bool {
	return !whole(n) && slices.ContainsFunc(graph.Reads(n), func(in string) bool { return b.needs[in] })
}

// whole reports whether what n makes is whole numbers or truths, which have no derivative.
func whole(n *onnxpb.NodeProto) bool {
	switch graph.OpOf(n).Standard() {
	case "Shape", "Size", "IsNaN", "IsInf", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual", "ArgMax",
		"ArgMin", "NonZero":
		return true
	case "Cast":
		return !graph.IsFloat(int32(graph.FindInt(n, "to", 0)))
	}
	return false
}

// step puts a forward node on the tape and, if it is reached, among the steps,
// with a rule of its own unless that is nil.
func (b *build) step(n *onnxpb.NodeProto, own rule) {
	b.Nodes = append(b.Nodes, n)
	if !b.reached(n) {
		return
	}
	b.steps = append(b.steps, step{n, own})
	for _, out := range n.Output {
		b.needs[out] = true
	}
}

// do is op for a forward node: what it computes is differentiated.
func (b *build) do(kind string, shape []int64, inputs []string, attrs ...graph.Attr) string {
	out := b.Op(kind, shape, inputs, attrs...)
	b.step(b.takeLast(), nil)
	return out
}

// takeLast takes the node that was added last off the tape.
func (b *build) takeLast() *onnxpb.NodeProto {
	last := len(b.Nodes) - 1
	n := b.Nodes[last]
	b.Nodes = b.Nodes[:last]
	return n
}

// foldable finds the convolutions that a BatchNormalization alone reads and
// that are emitted with it, by their output: with the batch's statistics the
// running mean is subtracted by the bias, with frozen ones everything is folded
// into the filter. Where only the filter is constant folding would cost its
// gradient, so such a pair stays apart.
func (b *build) foldable(nodes []*onnxpb.NodeProto) map[string]*onnxpb.NodeProto {
	conv, folds := map[string]*onnxpb.NodeProto{}, map[string]*onnxpb.NodeProto{}
	for _, n := range nodes {
		switch b.m.Op(n).Standard() {
		case "Conv":
			conv[n.Output[0]] = n
		case "BatchNormalization":
			if c := conv[n.Input[0]]; c != nil && b.uses[n.Input[0]] == 1 &&
				(b.batchStats(n) && b.o.OneDNN == "" || !b.batchStats(n) && b.trainable[c.Input[1]]) {
				folds[c.Output[0]] = c
			}
		}
	}
	return folds
}

// dropout replaces a Dropout by a product with a mask that is an input. Before
// the first trainable parameter, and at rate 0, it is the identity.
func (b *build) dropout(n *onnxpb.NodeProto) {
	x, y := n.Input[0], n.Output[0]
	rate := float32(0.5) // the operator's default
	if len(n.Input) > 1 && n.Input[1] != "" {
		if v := b.constantFloats(n.Input[1]); len(v) == 1 {
			rate = v[0]
		}
	}
	if !b.needs[x] || rate == 0 || b.mode == evaluation {
		b.step(&onnxpb.NodeProto{OpType: proto.String("Identity"), Name: n.Name, Input: []string{x},
			Output: []string{y}}, nil)
		return
	}
	mask := "mask." + y
	b.Used[mask], b.Shape[mask] = true, b.Shape[x]
	b.out.Masks = append(b.out.Masks, Mask{Name: mask, Rate: rate, Shape: b.Shape[x]})
	b.step(&onnxpb.NodeProto{OpType: proto.String("Mul"), Name: n.Name, Input: []string{x, mask}, Output: []string{y}},
		nil)
}

// globalMaxPool becomes a MaxPool over the whole map, whose indices say where
// the maximum was; as in PyTorch one place alone gets the gradient.
func (b *build) globalMaxPool(n *onnxpb.NodeProto) error {
	x := b.Shape[n.Input[0]]
	if len(x) < 3 || slices.Contains(x[2:], -1) {
		return b.badNode(n, "shape %v; only maps of fixed size have a rule", x)
	}
	b.step(&onnxpb.NodeProto{
		OpType: proto.String("MaxPool"), Name: n.Name, Input: n.Input, Output: n.Output,
		Attribute: []graph.Attr{graph.Ints("kernel_shape", x[2:]...)},
	}, nil)
	return nil
}
