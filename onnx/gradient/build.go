package gradient

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/gradient/tape"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/shape"
	"finetune/onnx/surgery"
)

// Options say what Build differentiates and how.
type Options struct {
	// Trainable names the initializers that get a gradient. They become inputs
	// of the training graph, under their names.
	Trainable []string
	// Shapes overrides declared input shapes: image sizes must be fixed, the
	// batch may be -1.
	Shapes map[string][]int64
	// FrozenStats reports whether the BatchNormalization with the given scale
	// uses its running statistics, as in evaluation. Nil: those do whose scale
	// is not trainable.
	FrozenStats func(scale string) bool
	// StatMomentum is the share that a batch's statistics get in the running
	// ones, PyTorch's momentum; 0 for what each BatchNormalization says.
	StatMomentum float64
	// Block is the number of channels that ORT's CPU kernels keep together
	// (8 with AVX2, 16 with AVX-512; see onnx.BlockSize). With it convolutions run
	// in that layout, which is faster and works on such a machine only.
	// 0: standard operators only, for any machine and device.
	Block int64
	// OneDNN is a domain of package onednn, whose operators then train what they can;
	// Block is not used. "": none of them.
	OneDNN string
}

// Graph is a training graph and the names that enter and leave it.
type Graph struct {
	Model  *graph.Model
	Params []Param // in the order of Options.Trainable
	Stats  []Stat
	Masks  []Mask
	Memory Memory // of one run, an estimate
}

// Memory is the estimate of what a run of a training graph needs.
type Memory = tape.Memory

// Param is a trainable parameter: an input Name and an output Grad, the
// derivative of the loss, both of Shape.
type Param struct {
	Name, Grad string
	Shape      []int64
}

// Stat is a running statistic of a batch normalisation: an input Name and an
// output Next, its value after this batch, both of Shape.
type Stat struct {
	Name, Next string
	Shape      []int64
}

// Mask is an input that replaces a Dropout: 0 for a value that is dropped, 1/(1-Rate)
// for one that is kept. Shape begins with the batch, -1.
type Mask struct {
	Name  string  `json:"name"`
	Rate  float32 `json:"rate"`
	Shape []int64 `json:"shape"`
}

// Build returns the training graph of m. Its outputs are those of m, in training mode:
// dropout by masks, BatchNormalization by the statistics of the batch. Then follow the
// derivative of output loss for each trainable parameter, and the new running statistics.
// The loss must have one element. Nodes that no trainable parameter reaches are copied.
// An error names an operator between a trainable parameter and the loss that has no rule.
func Build(m *graph.Model, loss string, o Options) (*Graph, error) {
	b, err := newBuild(m, loss, o)
	if err != nil {
		return nil, err
	}
	if err := b.forward(); err != nil {
		return nil, err
	}
	if err := b.backward(); err != nil {
		return nil, err
	}
	return b.finish()
}

// Evaluation returns m with the named float32 initializers as inputs in their place, as
// WithInputs does. Its outputs are computed by the operators that o asks for.
func Evaluation(m *graph.Model, inputs []string, o Options) (*graph.Model, error) {
	if o.OneDNN == "" {
		return WithInputs(m, inputs), nil
	}
	o.Trainable, o.FrozenStats = inputs, func(string) bool { return true }
	b, err := newBuild(m, "", o)
	if err != nil {
		return nil, err
	}
	b.mode = evaluation
	if err := b.forward(); err != nil {
		return nil, err
	}
	g, err := b.finish()
	if err != nil {
		return nil, err
	}
	return g.Model, nil
}

// Modes of a build.
const (
	training   = "training"
	evaluation = "evaluation" // nothing is differentiated, and nothing dropped
)

// build is the state of one Build: the tape, and what differentiation needs.
type build struct {
	*tape.Tape
	m         *graph.Model
	o         Options
	loss      string
	mode      string // training or evaluation
	inits     map[string]*onnxpb.TensorProto
	values    map[string][]int64 // integers that follow from the shapes
	trainable map[string]bool
	moving    map[string]bool     // running statistics that become inputs
	needs     map[string]bool     // tensors that a trainable parameter reaches
	uses      map[string]int      // how many forward nodes and outputs read a tensor
	steps     []step              // forward nodes to differentiate, in order
	grads     map[string][]string // contributions to a tensor's derivative
	out       Graph
}

func newBuild(m *graph.Model, loss string, o Options) (*build, error) {
	shapes, values, err := shape.Infer(m, o.Shapes)
	if err != nil {
		return nil, err
	}
	b := &build{
		Tape: tape.New(shapes), values: values, m: m, o: o, loss: loss, mode: training, inits: m.Initializers(),
		trainable: map[string]bool{}, moving: map[string]bool{},
		needs: map[string]bool{}, uses: map[string]int{}, grads: map[string][]string{},
	}
	if n := m.OwnCall(); n != nil {
		return nil, failure.Data(fmt.Errorf("onnx: %s: operator %s (node %q) has no gradient rule; "+
			"replace its calls by what it does first (graph.Model.Inline)",
			b.where(), m.Op(n), n.GetName()))
	}
	if v := m.Opset(); v < 13 {
		return nil, failure.Data(fmt.Errorf("onnx: %s: operator set %d; "+
			"convert the model to 13 or later (onnx.version_converter)", b.where(), v))
	}
	for _, n := range m.Graph.Node {
		for _, name := range append(slices.Clip(n.Input), n.Output...) {
			b.Used[name] = true
		}
		for _, in := range graph.Reads(n) {
			b.uses[in]++
		}
	}
	for _, out := range m.Graph.Output {
		b.uses[out.GetName()]++
	}
	for _, name := range o.Trainable {
		t := b.inits[name]
		if t == nil || t.GetDataType() != graph.Float32 {
			return nil, failure.Data(fmt.Errorf("onnx: %s: %q is not a float32 initializer, so it cannot be trained; "+
				"see finetune inspect for the names", b.where(), name))
		}
		b.trainable[name], b.needs[name] = true, true
		b.out.Params = append(b.out.Params, Param{Name: name, Grad: "grad." + name, Shape: t.Dims})
	}
	if n := len(b.trainable); n == 0 || n < len(o.Trainable) {
		return nil, failure.Usage(fmt.Errorf("onnx: %s: the list of trainable parameters is empty or names one twice",
			b.where()))
	}
	return b, nil
}

// where names the model in errors.
func (b *build) where() string {
	if b.m.Path != "" {
		return b.m.Path
	}
	return b.m.Graph.GetName()
}

// badNode is an error about node n.
func (b *build) badNode(n *onnxpb.NodeProto, format string, a ...any) error {
	return failure.Data(fmt.Errorf("onnx: %s: operator %s (node %q): %w", b.where(), b.m.Op(n), n.GetName(),
		fmt.Errorf(format, a...)))
}

// finish lowers the tape and wraps it in a model.
func (b *build) finish() (*Graph, error) {
	g := &onnxpb.GraphProto{Name: proto.String(b.m.Graph.GetName() + " " + b.mode)}
	for _, in := range b.m.Graph.Input {
		if b.inits[in.GetName()] == nil {
			g.Input = append(g.Input, graph.ValueInfo(in.GetName(), in.GetType().GetTensorType().GetElemType(),
				b.Shape[in.GetName()]))
		}
	}
	floats := func(name string, shape []int64) *onnxpb.ValueInfoProto {
		return graph.ValueInfo(name, graph.Float32, shape)
	}
	for _, p := range b.out.Params {
		g.Input = append(g.Input, floats(p.Name, p.Shape))
	}
	for _, s := range b.out.Stats {
		g.Input = append(g.Input, floats(s.Name, s.Shape))
	}
	for _, k := range b.out.Masks {
		g.Input = append(g.Input, floats(k.Name, k.Shape))
	}
	for _, out := range b.m.Graph.Output {
		g.Output = append(g.Output, graph.ValueInfo(out.GetName(), out.GetType().GetTensorType().GetElemType(),
			b.Shape[out.GetName()]))
	}
	for _, p := range b.out.Params {
		if b.mode == training {
			g.Output = append(g.Output, floats(p.Grad, p.Shape))
		}
	}
	for _, s := range b.out.Stats {
		g.Output = append(g.Output, floats(s.Next, s.Shape))
	}
	fixed := map[string]bool{}
	for _, t := range append(slices.Clip(b.m.Graph.Initializer), b.Consts...) {
		fixed[t.GetName()] = !b.trainable[t.GetName()] && !b.moving[t.GetName()]
	}
	b.Nodes = surgery.WithoutDead(b.Nodes, g.Output)
	tape.Lower(b.Tape, tape.Target{Block: b.o.Block, Domain: b.o.OneDNN}, g.Output, fixed)
	if b.o.OneDNN != "" {
		b.Nodes = surgery.WithoutDead(b.Nodes, g.Output) // transposes that its products take over
	}
	g.Node = b.Nodes
	surgery.LeavesLast(g)
	b.keepInitializers(g)
	b.out.Memory = b.Memory(g)
	b.out.Model = &graph.Model{Path: b.m.Path, ModelProto: &onnxpb.ModelProto{
		IrVersion: b.m.IrVersion, ProducerName: proto.String("finetune"), OpsetImport: b.imports(), Graph: g,
	}}
	return &b.out, b.out.Model.Check()
}

// keepInitializers moves over what the nodes still read.
func (b *build) keepInitializers(g *onnxpb.GraphProto) {
	read := map[string]bool{}
	for _, n := range g.Node {
		for _, in := range graph.Reads(n) {
			read[in] = true
		}
	}
	for _, t := range append(slices.Clip(b.m.Graph.Initializer), b.Consts...) {
		if name := t.GetName(); read[name] && !b.trainable[name] && !b.moving[name] {
			g.Initializer = append(g.Initializer, t)
		}
	}
}

// imports are the operator sets of the model and of the nodes that were added.
func (b *build) imports() []*onnxpb.OperatorSetIdProto {
	sets := map[string]int64{}
	for _, n := range b.Nodes {
		if d := n.GetDomain(); !graph.IsONNX(d) {
			sets[d] = 1
		}
	}
	for _, s := range b.m.OpsetImport {
		sets[s.GetDomain()] = s.GetVersion()
	}
	var list []*onnxpb.OperatorSetIdProto
	for _, d := range slices.Sorted(maps.Keys(sets)) {
		list = append(list, &onnxpb.OperatorSetIdProto{Domain: proto.String(d), Version: proto.Int64(sets[d])})
	}
	return list
}

// WithInputs returns m with the named initializers as inputs in their place.
func WithInputs(m *graph.Model, names []string) *graph.Model {
	out := &graph.Model{ModelProto: proto.Clone(m.ModelProto).(*onnxpb.ModelProto), Path: m.Path}
	inits := m.Initializers()
	for _, name := range names {
		out.Graph.Input = append(out.Graph.Input, graph.ValueInfo(name, inits[name].GetDataType(), inits[name].Dims))
	}
	out.Graph.Initializer = slices.DeleteFunc(out.Graph.Initializer,
		func(t *onnxpb.TensorProto) bool { return slices.Contains(names, t.GetName()) })
	return out
}
