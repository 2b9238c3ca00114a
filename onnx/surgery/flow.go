package surgery

import (
	"slices"
	"strings"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Flow is a graph and the way of the image's colours through it. A shape is no colour:
// what Shape and Size make is not on that way.
type Flow struct {
	*view
	image  string
	layout string          // of the image
	data   map[string]bool // depends on the image's colours
	layers map[string]int  // layers with weights on the longest way from the image
	linear map[string]bool // made of colours without an activation: a patch embedding, a normalised picture
}

// weighted reports whether n multiplies what it gets by weights: the layers that a network is counted in.
func weighted(op graph.Op) bool {
	for _, name := range []string{"Conv", "MatMul", "Gemm"} {
		if !op.Local && strings.Contains(op.Name, name) {
			return true
		}
	}
	return false
}

// linearOps leave what is linear in the colours linear, or scale it.
var linearOps = map[string]bool{}

func init() {
	for _, op := range []string{"Add", "BatchNormalization", "Cast", "Concat", "Conv", "DequantizeLinear", "Div", "Expand",
		"Flatten", "Gather", "Gemm", "Identity", "LayerNormalization", "MatMul", "Mul", "Pad", "QuantizeLinear", "Reshape",
		"Resize", "Slice", "Split", "Squeeze", "Sub", "Transpose", "Unsqueeze", "Where"} {
		linearOps[op] = true
	}
}

// flow follows the image: the one input of rank 4, or all inputs where that is not one.
func (v *view) flow() *Flow {
	f := &Flow{view: v, data: map[string]bool{}, layers: map[string]int{}, linear: map[string]bool{}}
	if in, err := v.Model.ImageAmong(); err == nil {
		f.image, f.layout = in.Name, in.Layout
		f.data[in.Name], f.linear[in.Name] = true, true
	} else {
		for _, name := range v.Model.InputNames() {
			f.data[name], f.linear[name] = true, true
		}
	}
	for _, n := range v.Nodes {
		f.pass(n)
	}
	return f
}

// pass follows the colours through one node.
func (f *Flow) pass(n *onnxpb.NodeProto) {
	op := f.Model.Op(n)
	if op.Standard() == "Shape" || op.Standard() == "Size" {
		return
	}
	count, depth, linear := 0, 0, linearOps[op.Standard()]
	for _, in := range graph.Reads(n) {
		if f.data[in] {
			count++
			depth = max(depth, f.layers[in])
			linear = linear && f.linear[in]
		}
	}
	if count == 0 {
		return
	}
	if weighted(op) && (count == 1 || strings.Contains(op.Name, "Attention")) {
		depth++
	}
	linear = linear && (count == 1 || !slices.Contains([]string{"Mul", "MatMul", "Div"}, op.Standard()))
	for _, out := range n.Output {
		f.data[out], f.layers[out], f.linear[out] = true, depth, linear
	}
}

// separators are the tensors that everything between the image and tensor out passes through,
// the image's side first, out last.
func (f *Flow) separators(out string) []string {
	relevant := map[string]bool{out: true}
	for _, n := range slices.Backward(f.Nodes) {
		if slices.ContainsFunc(n.Output, func(o string) bool { return relevant[o] && f.data[o] }) {
			for _, in := range graph.Reads(n) {
				relevant[in] = relevant[in] || f.data[in]
			}
		}
	}
	var order []string
	last := map[string]int{} // the last of order that reads a tensor
	for _, in := range f.Model.InputNames() {
		last[in] = -1
	}
	for _, n := range f.Nodes {
		for _, o := range n.Output {
			if !relevant[o] || !f.data[o] {
				continue
			}
			for _, in := range graph.Reads(n) {
				if relevant[in] {
					last[in] = len(order)
				}
			}
			order = append(order, o)
		}
	}
	reach := -1
	for _, in := range f.Model.InputNames() {
		reach = max(reach, last[in])
	}
	var list []string
	for i, t := range order {
		if reach <= i { // no edge passes t by
			list = append(list, t)
		}
		reach = max(reach, last[t])
	}
	return list
}

// channelAxis is the axis of a tensor's channels, told from the operators that made it; 0 where they do not tell.
func (f *Flow) channelAxis(tensor string) int {
	for range len(f.Nodes) {
		n := f.maker[tensor]
		x := f.Dims[tensor]
		if tensor == f.image && len(x) == 4 {
			return map[string]int{"NHWC": 3, "NCHW": 1}[f.layout]
		}
		if n == nil || len(x) < 3 {
			return 0
		}
		op := f.Model.Op(n)
		last := len(x) - 1
		switch name := op.Name; {
		case op.Local:
			return 0
		case strings.Contains(name, "Conv"), strings.HasSuffix(name, "Pool"), name == "BatchNormalization",
			name == "InstanceNormalization", name == "GroupNormalization", name == "Resize", name == "DepthToSpace",
			name == "SpaceToDepth":
			return 1
		case weighted(op), name == "SkipLayerNormalization", name == "BiasGelu", name == "MultiHeadAttention":
			return last
		case name == "LayerNormalization":
			if a := graph.FindInt(n, "axis", -1); a == -1 || int(a) == last {
				return last
			}
			return 0
		case name == "Transpose":
			return f.permuted(n)
		case name == "Reshape", name == "Squeeze", name == "Unsqueeze":
			return f.reshaped(n)
		}
		if tensor = f.sameRank(n, len(x)); tensor == "" {
			return 0
		}
	}
	return 0
}

// sameRank is the first input of n that holds colours and has a rank.
func (f *Flow) sameRank(n *onnxpb.NodeProto, rank int) string {
	for _, in := range n.Input {
		if f.data[in] && len(f.Dims[in]) == rank {
			return in
		}
	}
	return ""
}

// permuted is where a Transpose puts the channels.
func (f *Flow) permuted(n *onnxpb.NodeProto) int {
	perm := graph.FindInts(n, "perm")
	from := f.channelAxis(graph.FirstInput(n))
	if from == 0 {
		return 0
	}
	return max(slices.Index(perm, int64(from)), 0)
}

// reshaped is where a Reshape leaves the channels: in front or behind, as long as before.
func (f *Flow) reshaped(n *onnxpb.NodeProto) int {
	source := graph.FirstInput(n)
	x, y := f.In(n, 0), f.Dims[n.Output[0]]
	if len(x) < 2 || len(y) < 3 {
		return 0
	}
	before := f.channelAxis(source)
	switch {
	case before == 1 && x[1] == y[1]:
		return 1
	case before > 1 && before == len(x)-1 && x[before] == y[len(y)-1]:
		return len(y) - 1
	case before == 0 && len(x) != len(y) && x[len(x)-1] == y[len(y)-1]: // windows or rows arranged anew
		return len(y) - 1
	}
	return 0
}

// attention reports whether tensor holds attention: scores or weights of tokens for tokens.
func (f *Flow) attention(tensor string) bool {
	scale := func(op string) bool {
		return slices.Contains([]string{"Add", "Cast", "Div", "Dropout", "Identity", "IsNaN", "Mul", "Reshape", "Sub",
			"Where"}, op)
	}
	for t, i := tensor, 0; i < 8 && len(f.Dims[t]) > 2; i++ { // from a Softmax to here
		op := f.made(t)
		if op == "Softmax" {
			return true
		}
		if !scale(op) {
			break
		}
		n := f.maker[t]
		at := slices.IndexFunc(n.Input, func(in string) bool { return f.data[in] && f.made(in) != "IsNaN" })
		if at < 0 {
			break
		}
		t = n.Input[at]
	}
	if f.made(tensor) != "MatMul" && !scale(f.made(tensor)) { // from here to a Softmax
		return false
	}
	now := []string{tensor}
	for range 6 {
		var next []string
		for _, n := range f.Nodes {
			if !slices.ContainsFunc(n.Input, func(in string) bool { return slices.Contains(now, in) }) {
				continue
			}
			switch op := f.Model.Op(n).Standard(); {
			case op == "Softmax" && len(f.Dims[tensor]) > 2:
				return true
			case scale(op):
				next = append(next, n.Output...)
			}
		}
		now = next
	}
	return false
}

// grids are the heights and widths of the convolutions before tensor, whose pixels are its tokens.
func (f *Flow) grids(tensor string) [][2]int64 {
	needed := map[string]bool{tensor: true}
	var list [][2]int64
	for _, n := range slices.Backward(f.Nodes) {
		if !slices.ContainsFunc(n.Output, func(o string) bool { return needed[o] }) {
			continue
		}
		for _, in := range graph.Reads(n) {
			needed[in] = true
		}
		if x := f.Dims[n.Output[0]]; strings.Contains(n.GetOpType(), "Conv") && len(x) == 4 && x[2] > 0 && x[3] > 0 {
			list = append(list, [2]int64{x[2], x[3]})
		}
	}
	return list
}

// mostPrefix is the largest number of class and register tokens that is believed.
const mostPrefix = 16

// prefix counts the tokens of tensor [N, T, C] that stand for no patch: T less the grid of the patches, which
// stages may have halved. Without a grid T less a square is it. False where no count fits.
func (f *Flow) prefix(tensor string) (int64, bool) {
	tokens := f.Dims[tensor][1]
	best := int64(mostPrefix + 1)
	grids := f.grids(tensor)
	for _, g := range grids {
		for h, w := g[0], g[1]; h*w > 1; h, w = (h+1)/2, (w+1)/2 {
			if p := tokens - h*w; p >= 0 && p < best {
				best = p
			}
		}
	}
	if len(grids) == 0 {
		for _, p := range []int64{0, 1, 5, 2, 4, 8} {
			if isSquare(tokens - p) {
				return p, true
			}
		}
	}
	return best, best <= mostPrefix
}

func isSquare(n int64) bool {
	for i := int64(2); i*i <= n; i++ {
		if i*i == n {
			return true
		}
	}
	return false
}

// FlowOf surveys a graph and follows its image.
func FlowOf(m *graph.Model) (*Flow, error) {
	v, err := survey(m)
	if err != nil {
		return nil, err
	}
	return v.flow(), nil
}

// Colours reports whether a tensor depends on the image's colours; a shape does not.
func (f *Flow) Colours(tensor string) bool { return f.data[tensor] }

// Layers counts the layers with weights on the longest way from the image to a tensor.
func (f *Flow) Layers(tensor string) int { return f.layers[tensor] }

// Maker is the node that makes a tensor, nil where none does.
func (f *Flow) Maker(tensor string) *onnxpb.NodeProto { return f.maker[tensor] }
