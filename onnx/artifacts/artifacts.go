package artifacts

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"finetune/internal/dims"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/onnx/gradient"
	"finetune/onnx/graph"
	"finetune/onnx/headgraph"
	"finetune/onnx/onednn"
	"finetune/onnx/plain"
	"finetune/onnx/shape"
	"finetune/onnx/surgery"
	"finetune/onnx/weights"
)

// The files, and the names that are not made from others.
const (
	TrainingFile   = "training_model.onnx"
	EvalFile       = "eval_model.onnx"
	OptimizerFile  = "optimizer_model.onnx"
	CheckpointFile = "checkpoint.safetensors"

	PrefixFile = "prefix_model.onnx" // only with Options.Prefix

	Logits       = "logits"
	HeadPrefix   = "head." // of the head's parameters, and the name of its group without the dot
	MetadataName = "finetune.artifacts"

	SGD   = "sgd"
	AdamW = "adamw"
)

// Group is a run of layers that trains at one rate.
type Group struct {
	Name       string   `json:"name"`
	Parameters []string `json:"parameters"` // trainable initializers
}

// Options say what to write.
type Options struct {
	Body      *graph.Model // its image input to graph.FeaturesName, [N, 2*channels]
	Head      Head
	Multi     bool         // labels may hold together: binary cross-entropy
	Groups    []Group      // of the body, input side first; the head is added as the last
	FreezeTo  int          // groups before this one do not train; len(Groups) leaves the head alone
	FreezeBN  bool         // the body's batch normalisations keep their running statistics
	Momentum  float64      // gradient.Options.StatMomentum
	Size      int          // height and width of the images
	Prefix    *graph.Model // what makes the body's input of an image, where that starts behind frozen layers
	Row       []int64      // with Prefix: shape of the body's input for one image
	Optimizer string       // SGD or AdamW, "" for SGD
	NoDecay   []string     // parameters that weight decay leaves alone
	Decoupled bool         // SGD: take the decay off the weights instead of adding it to the gradient
	Block     int64        // gradient.Options.Block
	OneDNN    string       // gradient.Options.OneDNN
}

// frozen says whether the running statistics of the normalisations stay as they are, those of the head or of the body.
func (o Options) frozen(head bool) bool { return head && o.Head.Mean != nil || !head && o.FreezeBN }

// Manifest lists what the files hold. It is JSON in the training model's metadata.
type Manifest struct {
	// name of the input that the photographs, or what the prefix makes of them, enter
	Image string `json:"image"`
	Size  int    `json:"size"`
	// shape of that input for one photograph where a prefix stands before it
	Row       []int64         `json:"row,omitempty"`
	Classes   int             `json:"classes"`
	Multi     bool            `json:"multi"`
	Optimizer string          `json:"optimizer"`
	Decoupled bool            `json:"decoupled,omitempty"`
	Block     int64           `json:"block"`
	OneDNN    string          `json:"onednn,omitempty"` // domain of the operators that are not ONNX Runtime's
	Groups    []Group         `json:"groups"`           // that train, the head last
	Frozen    int             `json:"frozen"`           // groups before them that do not
	Params    []Named         `json:"params"`
	NoDecay   []string        `json:"no_decay,omitempty"` // of Params, those that weight decay leaves alone
	Stats     []Named         `json:"stats"`
	Masks     []gradient.Mask `json:"masks"`
	Memory    gradient.Memory `json:"memory"` // of a training step, an estimate
}

// Named is a tensor's name and shape.
type Named struct {
	Name  string  `json:"name"`
	Shape []int64 `json:"shape"`
}

// Len is the number of elements.
func (n Named) Len() int {
	return int(dims.Product(n.Shape))
}

// OwnFile reports whether a file of an artifacts' folder is one that Write makes.
func OwnFile(name string) bool {
	return slices.Contains([]string{TrainingFile, EvalFile, OptimizerFile, CheckpointFile, PrefixFile}, name)
}

// Write makes the four files in folder dir, which it creates. The initial
// values are those of the body's and the head's initializers.
func Write(dir string, o Options) (Manifest, error) {
	p, err := newPlan(o)
	if err != nil {
		return Manifest{}, err
	}
	optimizer, err := p.optimizer()
	if err != nil {
		return Manifest{}, err
	}
	eval, err := p.eval()
	if err != nil {
		return Manifest{}, err
	}
	text, err := json.Marshal(p.manifest)
	if err != nil {
		return Manifest{}, err
	}
	p.training.Model.SetMeta(MetadataName, string(text))
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return Manifest{}, fmt.Errorf("artifacts: %w", err)
	}
	models := map[string]*graph.Model{TrainingFile: p.training.Model, EvalFile: eval, OptimizerFile: optimizer}
	if o.Prefix != nil {
		models[PrefixFile] = o.Prefix
	}
	for name, m := range models {
		if err := m.AddChecksum(); err != nil {
			return Manifest{}, err
		}
		if err := m.Write(filepath.Join(dir, name)); err != nil {
			return Manifest{}, err
		}
	}
	state, err := p.state()
	if err != nil {
		return Manifest{}, err
	}
	return p.manifest, durable.Write(filepath.Join(dir, CheckpointFile), func(w io.Writer) error {
		return weights.WriteSafetensors(w, state, nil)
	})
}

// ReadManifest reads the manifest out of dir's training model.
func ReadManifest(dir string) (Manifest, error) {
	path := filepath.Join(dir, TrainingFile)
	m, err := graph.Read(path)
	if err != nil {
		return Manifest{}, err
	}
	var manifest Manifest
	text, ok := m.Meta(MetadataName)
	if !ok {
		return manifest, failure.Data(fmt.Errorf("artifacts: %s: no %s in its metadata; "+
			"write the folder again with finetune artifacts", path, MetadataName))
	}
	if err := json.Unmarshal([]byte(text), &manifest); err != nil {
		return manifest, failure.Data(fmt.Errorf("artifacts: %s: %s in its metadata: %w; "+
			"write the folder again with finetune artifacts", path, MetadataName, err))
	}
	return manifest, nil
}

// plan is the network with its loss, and the training graph made of it.
type plan struct {
	o        Options
	network  *graph.Model
	training *gradient.Graph
	shapes   map[string][]int64 // of its input
	manifest Manifest
}

func newPlan(o Options) (*plan, error) {
	o.Head = o.Head.withDefaults()
	if o.Optimizer == "" {
		o.Optimizer = SGD
	}
	if o.Optimizer != SGD && o.Optimizer != AdamW {
		return nil, failure.Usage(fmt.Errorf("artifacts: optimizer %q; use %s or %s", o.Optimizer, SGD, AdamW))
	}
	if o.FreezeTo < 0 || o.FreezeTo > len(o.Groups) {
		return nil, failure.Usage(fmt.Errorf("artifacts: freeze to group %d; "+
			"the body has groups 0 to %d, and %d leaves the head alone", o.FreezeTo, len(o.Groups)-1, len(o.Groups)))
	}
	if err := o.Head.check(); err != nil {
		return nil, failure.Usage(err)
	}
	var err error
	if o.Body, err = plain.Model(o.Body); err != nil {
		return nil, err
	}
	p := &plan{o: o}
	names, err := p.join()
	if err != nil {
		return nil, err
	}
	groups := append(slices.Clone(o.Groups[o.FreezeTo:]), Group{Name: "head", Parameters: names})
	input, shape, err := o.input()
	if err != nil {
		return nil, err
	}
	p.shapes = map[string][]int64{input: shape}
	var trainable []string
	for _, g := range groups {
		trainable = append(trainable, g.Parameters...)
	}
	p.training, err = gradient.Build(p.network, gradient.Objective, gradient.Options{
		Trainable: trainable, Block: o.Block, OneDNN: o.OneDNN, Shapes: p.shapes,
		StatMomentum: o.Momentum,
		FrozenStats:  func(scale string) bool { return o.frozen(slices.Contains(names, scale)) },
	})
	if err != nil {
		return nil, err
	}
	p.manifest = Manifest{
		Image: input, Size: o.Size, Row: o.Row, Classes: o.Head.Classes, Multi: o.Multi, Optimizer: o.Optimizer,
		Decoupled: o.Decoupled, Block: o.Block, OneDNN: o.OneDNN,
		Groups: groups, Frozen: o.FreezeTo, Masks: p.training.Masks, Memory: p.training.Memory,
	}
	for _, t := range p.training.Params {
		p.manifest.Params = append(p.manifest.Params, Named{t.Name, t.Shape})
		if slices.Contains(o.NoDecay, t.Name) {
			p.manifest.NoDecay = append(p.manifest.NoDecay, t.Name)
		}
	}
	for _, t := range p.training.Stats {
		p.manifest.Stats = append(p.manifest.Stats, Named{t.Name, t.Shape})
	}
	return p, nil
}

// input is the name and shape of the body's input, the batch open.
func (o Options) input() (name string, shape []int64, err error) {
	if o.Prefix != nil {
		return o.Body.Inputs()[0].Name, append([]int64{-1}, o.Row...), nil
	}
	image, err := o.Body.Image()
	if image.Layout == "NHWC" {
		return image.Name, []int64{-1, int64(o.Size), int64(o.Size), 3}, err
	}
	return image.Name, []int64{-1, 3, int64(o.Size), int64(o.Size)}, err
}

// join makes the network with its loss and returns the head's trainable names.
func (p *plan) join() ([]string, error) {
	shapes, err := shape.Shapes(p.o.Body, nil)
	if err != nil {
		return nil, err
	}
	rows := shapes[surgery.FeaturesName]
	if len(rows) != 2 || rows[1] < 1 {
		return nil, failure.Data(fmt.Errorf("artifacts: %s: output %q has shape %v, need [N, features]; "+
			"cut the body with graph.Features", p.o.Body.Path, surgery.FeaturesName, rows))
	}
	features := rows[1]
	head, names := headgraph.Training(p.o.Head.layers(features), Logits, p.o.Body.Opset())
	network, err := surgery.Join(p.o.Body, head, map[string]string{headgraph.Rows: surgery.FeaturesName}, HeadPrefix)
	if err != nil {
		return nil, err
	}
	for i := range names {
		names[i] = HeadPrefix + names[i]
	}
	loss := gradient.WithCrossEntropy
	if p.o.Multi {
		loss = gradient.WithBinaryCrossEntropy
	}
	p.network, err = loss(network, Logits)
	return names, err
}

// eval is the network with what moves as inputs. What is said of a network is said of its float32 form.
func (p *plan) eval() (*graph.Model, error) {
	o := gradient.Options{Shapes: p.shapes}
	if p.o.OneDNN != "" {
		o.OneDNN = onednn.Float32
	}
	return gradient.Evaluation(p.network, append(namesOf(p.manifest.Params), namesOf(p.manifest.Stats)...), o)
}

func namesOf(list []Named) []string {
	names := make([]string, len(list))
	for i, n := range list {
		names[i] = n.Name
	}
	return names
}

// Input is the shape of what enters the models for one photograph.
func (m Manifest) Input() Named {
	if m.Row != nil {
		return Named{m.Image, m.Row}
	}
	return Named{m.Image, []int64{3, int64(m.Size), int64(m.Size)}}
}

// state is the content of the checkpoint.
func (p *plan) state() ([]weights.Tensor, error) {
	inits := p.network.Initializers()
	var list []weights.Tensor
	for _, n := range append(slices.Clone(p.manifest.Params), p.manifest.Stats...) {
		v, err := graph.FloatsOf(inits[n.Name])
		if err != nil {
			return nil, err
		}
		list = append(list, weights.Tensor{Name: n.Name, Shape: n.Shape, Data: v})
	}
	for _, slot := range p.manifest.Slots() {
		for _, n := range p.manifest.Params {
			list = append(list, weights.Tensor{Name: slot + n.Name, Shape: n.Shape, Data: make([]float32, n.Len())})
		}
	}
	return list, nil
}

// Slots are the prefixes of the optimizer's buffers, one buffer a parameter.
func (m Manifest) Slots() []string {
	if m.Optimizer == AdamW {
		return []string{"momentum.", "variance."}
	}
	return []string{"momentum."}
}
