package surgery

import (
	"fmt"
	"slices"
	"strings"

	"finetune/internal/dims"
	"finetune/internal/plural"
	"finetune/onnx/graph"
)

// Kind is what the features of a network are made of.
type Kind string

// The kinds. C are the channels, T the tokens, of which the first Prefix stand for no patch.
const (
	Map    Kind = "map"    // [N, C, H, W] or [N, H, W, C]: maximum ‖ mean over the pixels, 2C numbers
	Tokens Kind = "tokens" // [N, T, C]: the first token ‖ the mean of the patches, 2C; without a prefix the mean, C
	Vector Kind = "vector" // [N, C]: as it is
)

// Cut is where the features of a network end and what they are.
type Cut struct {
	Kind     Kind    `json:"kind"`
	Tensor   string  `json:"tensor"`
	Shape    []int64 `json:"shape"` // for one photograph of the declared size; the batch is -1
	Channels int64   `json:"channels"`
	Width    int64   `json:"width"`            // numbers that a head gets
	Prefix   int64   `json:"prefix"`           // tokens before those of the patches: class and register tokens
	Layout   string  `json:"layout,omitempty"` // of a map: NCHW or NHWC; of tokens: "NTC" or "NCT"
}

// Layouts of what is cut at.
const (
	ChannelsFirst = "NCHW"
	ChannelsLast  = "NHWC"
	TokensFirst   = "NTC"
	TokensLast    = "NCT"
)

// At tells what kind of features a tensor holds. Errors, of kind failure.Data, say why
// it holds none and name tensors that do.
func At(m *graph.Model, tensor string) (Cut, error) {
	flat, err := m.Inline()
	if err != nil {
		return Cut{}, err
	}
	f, err := FlowOf(flat)
	if err != nil {
		return Cut{}, err
	}
	if f.maker[tensor] == nil {
		return Cut{}, m.Badf("no node makes tensor %q; %s", tensor, f.advice())
	}
	c, why := f.cutAt(tensor)
	if why == "" {
		why = f.worthless(tensor)
	}
	if why != "" {
		return Cut{}, m.Badf("tensor %q %v %s; %s", tensor, f.Dims[tensor], why, f.advice())
	}
	return c, nil
}

// cutAt is a tensor as features, or why it cannot be.
func (f *Flow) cutAt(tensor string) (Cut, string) {
	x := f.Dims[tensor]
	if len(x) == 0 {
		return Cut{}, "has no known shape, need [N, C, H, W], [N, T, C] or [N, C]; export the model with a fixed size, or " +
			"with its shapes inferred"
	}
	c := Cut{Tensor: tensor, Shape: slices.Clone(x)}
	c.Shape[0] = -1
	switch last := len(x) - 1; len(x) {
	case 4:
		c.Kind, c.Layout, c.Channels = Map, ChannelsFirst, x[1]
		if f.channelAxis(tensor) == last {
			c.Layout, c.Channels = ChannelsLast, x[last]
		}
		c.Width = 2 * c.Channels
	case 3:
		c.Kind, c.Layout, c.Channels = Tokens, TokensFirst, x[last]
		if f.channelAxis(tensor) == 1 {
			c.Layout, c.Channels = TokensLast, x[1]
		}
		if dims.Product(x[1:]) == c.Channels { // of one token: a vector
			c.Kind, c.Width, c.Layout = Vector, c.Channels, ""
			break
		}
		if c.Layout == TokensFirst {
			var ok bool
			if c.Prefix, ok = f.prefix(tensor); !ok {
				return c, "has tokens that are no grid of patches with up to 16 tokens before it"
			}
		}
		if c.Width = c.Channels; c.Prefix > 0 {
			c.Width *= 2
		}
	case 2:
		c.Kind, c.Channels, c.Width = Vector, x[1], x[1]
	default:
		return c, "is neither a map [N, C, H, W] nor tokens [N, T, C] nor a vector [N, C]"
	}
	switch {
	case c.Channels < 1:
		return c, "has an unknown number of channels; export the model with a fixed size, or with its shapes inferred"
	case f.image != "" && x[0] >= 0 && len(f.Dims[f.image]) > 0 && x[0] != f.Dims[f.image][0]:
		return c, "does not begin with the batch: windows or heads are in front"
	}
	return c, ""
}

// worthless says why what is pooled of a tensor would tell nothing of a photograph, "" if it may. A network of
// few layers is believed.
func (f *Flow) worthless(tensor string) string {
	deepest := f.deepest()
	switch {
	case !f.data[tensor]:
		return "does not depend on the image"
	case f.attention(tensor):
		return "holds attention, what each token takes of the others: no features"
	case deepest < 4:
		return ""
	case f.layers[tensor] == 0:
		return "holds the picture's own colours: no layer with weights stands before it"
	case f.layers[tensor] == 1 && f.linear[tensor]:
		return "is one layer of weights away from the pixels, a patch embedding: no features yet"
	}
	return ""
}

// deepest is how many layers with weights the network has, one behind the other.
func (f *Flow) deepest() int {
	n := 0
	for _, d := range f.layers {
		n = max(n, d)
	}
	return n
}

// found is the cut that FindCut describes, of no tensor where there is none.
func (f *Flow) found() (Cut, error) {
	for _, c := range f.poolings() {
		if !f.separates(c.nodes) {
			continue
		}
		cut, why := f.cutAt(c.tensor)
		if why == "" && cut.Kind == Map {
			return cut, nil
		}
		return Cut{}, fmt.Errorf("the last global pooling is node %s, but the number of channels of its input %q is "+
			"unknown; export the model with a fixed size, or with its shapes inferred", graph.Label(c.nodes[0]), c.tensor)
	}
	var best Cut
	at := -1
	for _, out := range f.Model.Graph.Output {
		if out.GetName() == "image_embeds" {
			if c, why := f.cutAt(out.GetName()); why == "" && f.alone(c.Tensor) {
				return c, nil
			}
		}
		list := f.separators(out.GetName())
		for i, t := range slices.Backward(list) {
			c, why := f.cutAt(t)
			if why != "" || f.worthless(t) != "" || !f.alone(t) || !f.ends(c) {
				continue
			}
			if v, ok := f.attended(list[i+1:]); ok {
				c = v
			}
			if place := f.place(c.Tensor); place > at {
				best, at = c, place
			}
			break
		}
	}
	return best, nil
}

// ends reports whether a cut is one that a network which has no global pooling may end in.
func (f *Flow) ends(c Cut) bool {
	return c.Kind == Tokens && f.layers[c.Tensor] > 1 && f.made(c.Tensor) != "Slice" || // of which the class token is cut
		c.Kind == Map && c.Layout == ChannelsLast && f.made(c.Tensor) == "LayerNormalization"
}

// attended is the vector that attention makes of the tokens before later, separators in their order: the last
// one, or the one before a classifier.
func (f *Flow) attended(later []string) (Cut, bool) {
	if len(later) == 0 || !f.softens(later[len(later)-1], f.place(later[0])) {
		return Cut{}, false
	}
	for i, t := range slices.Backward(later) {
		c, why := f.cutAt(t)
		classifier := f.made(t) == "Softmax" || f.made(t) == "Sigmoid" || f.made(t) == "Gemm" ||
			i > 0 && f.made(t) == "Add" && f.made(later[i-1]) == "MatMul" || f.made(t) == "MatMul"
		if why == "" && c.Kind == Vector && !classifier && !f.attention(t) {
			return c, true
		}
	}
	return Cut{}, false
}

// softens reports whether a Softmax that a product takes stands between place from and tensor.
func (f *Flow) softens(tensor string, from int) bool {
	needed := map[string]bool{tensor: true}
	for i, n := range slices.Backward(f.Nodes) {
		if i < from {
			break
		}
		if !slices.ContainsFunc(n.Output, func(o string) bool { return needed[o] }) {
			continue
		}
		if f.Model.Op(n).Standard() == "MatMul" && len(n.Input) > 1 && f.attention(n.Input[0]) {
			return true
		}
		for _, in := range graph.Reads(n) {
			needed[in] = true
		}
	}
	return false
}

// place is the position of the node that makes a tensor.
func (f *Flow) place(tensor string) int { return slices.Index(f.Nodes, f.maker[tensor]) }

// alone reports whether a tensor needs no input of the model but the image.
func (f *Flow) alone(tensor string) bool {
	if f.image == "" {
		return true
	}
	g := pruned(f.Model.Graph, f.Nodes, []string{tensor})
	return len(g.Input) == 1
}

// advice names tensors that a user may cut at: through which everything passes, and which hold features.
func (f *Flow) advice() string {
	var list []string
	seen := map[string]bool{}
	deepest := f.deepest()
	for _, out := range f.Model.Graph.Output {
		for _, t := range slices.Backward(f.separators(out.GetName())) {
			c, why := f.cutAt(t)
			early := f.linear[t] && f.layers[t] < min(2, deepest)
			if seen[t] || why != "" || f.worthless(t) != "" || early || !f.alone(t) || len(list) == 5 {
				continue
			}
			seen[t] = true
			list = append(list, fmt.Sprintf("%s (%s)", t, c))
		}
	}
	if len(list) == 0 {
		return "no tensor of known shape has everything pass through it: export the network up to its features alone"
	}
	return "name the tensor to cut at with --cut, one of: " + strings.Join(list, ", ")
}

// String is a cut in words: its kind, its shape and what a head gets of it.
func (c Cut) String() string {
	shape := strings.Trim(strings.ReplaceAll(fmt.Sprint(c.Shape[1:]), " ", " × "), "[]")
	text := fmt.Sprintf("%s %s", c.Kind, shape)
	switch {
	case c.Layout == ChannelsLast:
		text += ", channels last"
	case c.Kind == Tokens && c.Prefix > 0:
		text += fmt.Sprintf(", %d before the patches", c.Prefix)
	}
	return fmt.Sprintf("%s, %s", text, plural.Count(c.Width, "feature"))
}
