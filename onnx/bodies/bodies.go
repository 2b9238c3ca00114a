// Package bodies builds the image networks that finetune knows, finds the one a
// user names, and keeps what is known about each in a file beside it.
//
// Architectures are written node by node with graph.Builder and filled from a
// state dict (package weights): ResNet18, 34 and 50 as in torchvision,
// EfficientNet-Lite0, 1 and 2 as in efficientnet_lite_pytorch, vision
// transformers as in timm. Initializers have the names of the state dict; those of
// transformers become timm's. BatchNormalization stays a node of its own: full
// fine-tuning trains it, and ONNX Runtime folds it for inference.
//
// The whole network is there, classifier included (output "logits"); Spec.Cut
// names the last feature map, which is where a new head begins.
package bodies

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"finetune/internal/dims"
	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/hub"
	"finetune/onnx/weights"
)

const opset = 17

// architecture is a network that can be built.
type architecture struct {
	build    func(n *net, image string) (cut string, channels int64) // ends with n.classifier
	size     int                                                     // of the images it was trained on
	mean     [3]float32
	std      [3]float32
	groups   []Group
	licence  string
	source   string
	released []string // file names of published weights
	vit      *vit     // of a vision transformer, whose build is its own
	prepared hub.Preprocessing
}

// Names lists the architectures, sorted.
func Names() []string { return slices.Sorted(maps.Keys(architectures)) }

func find(name string) (architecture, error) {
	a, ok := architectures[name]
	if !ok {
		return a, failure.Usage(fmt.Errorf("bodies: %s: not a known network; "+
			"use one of %s, or the path of an .onnx file", name, strings.Join(Names(), ", ")))
	}
	return a, nil
}

// Build makes the network called name and fills it from state, which must hold
// exactly its tensors: float, of the right shapes. num_batches_tracked is passed
// over, and the classifier may have any number of classes or be left out. All names
// may begin alike, as with "backbone.".
//
// The model takes "image" float32 [N, 3, height, width], normalised as the Spec
// says, and gives "logits" [N, classes], or without a classifier the mean of its last
// feature map. Spec.Digest is left empty: it belongs
// to a file.
//
// Errors: an unknown name is failure.Usage; tensors that are missing, unknown or
// misshapen are named in an error that is failure.Data.
func Build(name string, state []weights.Tensor) (*graph.Model, Spec, error) {
	a, err := find(name)
	if err != nil {
		return nil, Spec{}, err
	}
	n, state := newNet(name, nil), unprefixed(a, state)
	if a.vit != nil {
		state, n.hub = a.vit.adapt(state)
	}
	n.state = weights.ByName(state)
	cut, channels := a.run(n)
	if err := n.misfit(); err != nil {
		return nil, Spec{}, failure.Data(fmt.Errorf("bodies: %s: %w", name, err))
	}
	spec := Spec{
		Name: name, Size: a.size, Mean: a.mean, Std: a.std, Layout: NCHW, Cut: cut, Channels: channels,
		Groups: a.groups, Licence: a.licence, Source: a.source,
		Resize: a.prepared.Resize, Resample: a.prepared.Resample, Squash: a.prepared.Squash, Floor: a.prepared.Floor,
	}
	if a.vit != nil {
		spec.Kind, spec.Prefix = a.vit.kind()
	}
	return n.b.Model(), spec, nil
}

func (a architecture) run(n *net) (cut string, channels int64) {
	if a.vit != nil { // positions are of one size
		return a.vit.build(n, n.b.Input("image", graph.Float32, "N", 3, a.vit.size, a.vit.size))
	}
	image := n.b.Input("image", graph.Float32, "N", 3, "height", "width")
	return a.build(n, image)
}

// Parameters lists the tensors of the network called name, without contents,
// in the order of its layers.
func Parameters(name string) ([]weights.Tensor, error) {
	a, err := find(name)
	if err != nil {
		return nil, err
	}
	n := newNet(name, nil)
	a.run(n)
	return n.params, nil
}

// net is a network being built. It asks a state dict for the parameters and
// notes what does not fit.
type net struct {
	b      *graph.Builder
	state  map[string]weights.Tensor
	hub    bool             // state had the names of transformers
	params []weights.Tensor // asked for so far: names and shapes

	missing, misshapen []string
	numberless         []string // with weights that are no numbers
}

// unprefixed takes what all names begin with, as "backbone.", off a state dict, if
// the network has no part of that name.
func unprefixed(a architecture, state []weights.Tensor) []weights.Tensor {
	n := newNet("", nil)
	a.run(n)
	for len(state) > 0 {
		prefix, _, found := strings.Cut(state[0].Name, ".")
		begins := func(t weights.Tensor) bool { return strings.HasPrefix(t.Name, prefix+".") }
		if !found || slices.ContainsFunc(n.params, begins) ||
			slices.ContainsFunc(state, func(t weights.Tensor) bool { return !begins(t) }) {
			break
		}
		state = slices.Clone(state)
		for i := range state {
			state[i].Name = state[i].Name[len(prefix)+1:]
		}
	}
	return state
}

func newNet(name string, state []weights.Tensor) *net {
	return &net{b: graph.NewBuilder(name, opset), state: weights.ByName(state)}
}

func (n *net) param(name string, shape ...int64) string {
	n.params = append(n.params, weights.Tensor{Name: name, Shape: shape})
	t, ok := n.state[name]
	switch {
	case !ok:
		n.missing = append(n.missing, name)
		return name
	case t.Ints != nil || t.Bytes != nil:
		n.misshapen = append(n.misshapen, name+" holds integers")
		return name
	case !slices.Equal(t.Shape, shape) || int64(len(t.Data)) != dims.Product(shape):
		n.misshapen = append(n.misshapen, fmt.Sprintf("%s is %v instead of %v", name, t.Shape, shape))
		return name
	}
	if i := slices.IndexFunc(t.Data, func(v float32) bool { return v-v != 0 }); i >= 0 {
		n.numberless = append(n.numberless, fmt.Sprintf("%s holds %g", name, t.Data[i]))
	}
	return n.b.Init(name, shape, t.Data)
}

// misfit says which tensors of the state dict do not belong, nil if all do.
func (n *net) misfit() error {
	asked := map[string]bool{}
	for _, p := range n.params {
		asked[p.Name] = true
	}
	var unknown []string
	for _, name := range slices.Sorted(maps.Keys(n.state)) {
		if !asked[name] && !strings.HasSuffix(name, "num_batches_tracked") {
			unknown = append(unknown, name)
		}
	}
	var parts []string
	for _, p := range []struct {
		what  string
		names []string
	}{{"missing", n.missing}, {"wrong", n.misshapen}, {"unknown", unknown}} {
		if len(p.names) > 0 {
			parts = append(parts, p.what+" "+some(p.names))
		}
	}
	if parts == nil && n.numberless != nil {
		return fmt.Errorf("weights that are not numbers, probably from a training that diverged: %s; use another "+
			"checkpoint", some(n.numberless))
	}
	if parts == nil {
		return nil
	}
	return fmt.Errorf("the state dict is that of another network: %s", strings.Join(parts, "; "))
}

func some(names []string) string {
	const show = 4
	if len(names) <= show {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:show], ", "), len(names)-show)
}

// pads are top, left, bottom, right, as ONNX orders them.
type pads [4]int64

func same(p int64) pads { return pads{p, p, p, p} }

// conv is a convolution without bias: weight [out, in/groups, k, k].
func (n *net) conv(name, x string, in, out, k, stride, groups int64, p pads) string {
	w := n.param(name+".weight", out, in/groups, k, k)
	return n.b.Node("Conv", name, []string{x, w}, graph.Ints("kernel_shape", k, k),
		graph.Ints("strides", stride, stride),
		graph.Ints("pads", p[:]...), graph.Ints("dilations", 1, 1), graph.Int("group", groups))
}

// batchNorm is in inference form; momentum 0.9 is ONNX's word for PyTorch's 0.1.
func (n *net) batchNorm(name, x string, channels int64, eps, momentum float32) string {
	in := []string{x}
	for _, p := range []string{"weight", "bias", "running_mean", "running_var"} {
		in = append(in, n.param(name+"."+p, channels))
	}
	return n.b.Node("BatchNormalization", name, in, graph.Float("epsilon", eps), graph.Float("momentum", momentum))
}

// classifier averages the feature map over space and ends the network with a
// linear layer, whose number of classes the state dict decides.
func (n *net) classifier(name, x string, channels int64) {
	classes := n.classesOf(name)
	x = n.b.Node("GlobalAveragePool", "avgpool", []string{x})
	x = n.b.Node("Flatten", "flatten", []string{x}, graph.Int("axis", 1))
	_, weight := n.state[name+".weight"]
	// weights kept as a body, whose end is its features
	if _, bias := n.state[name+".bias"]; len(n.state) > 0 && !weight && !bias {
		n.b.Output(x, graph.Float32, "N", channels)
		return
	}
	w, b := n.param(name+".weight", classes, channels), n.param(name+".bias", classes)
	n.b.Node("Gemm", "logits", []string{x, w, b}, graph.Int("transB", 1))
	n.b.Output("logits", graph.Float32, "N", classes)
}

// classesOf is how many classes the classifier called name has in the state dict.
func (n *net) classesOf(name string) int64 {
	if t, ok := n.state[name+".weight"]; ok && len(t.Shape) == 2 && t.Shape[0] > 0 {
		return t.Shape[0]
	}
	return 1000
}
