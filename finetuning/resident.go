package finetuning

import (
	"slices"

	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/graph"
)

// device is what a Trainer needs whose tensors stay in a GPU's memory: a step
// takes the batch there and brings loss, logits and norm back, nothing else.
// A tensor goes there when a run first takes it and comes back when somebody
// asks for it.
type device struct {
	fetch *onnx.Session      // copies every tensor of stateNames
	add   *onnx.Session      // adds gradients
	sums  map[string]*buffer // by parameter
	newer bool               // than Go memory
	masks chan drawn         // of the step to come, being drawn; nil: nobody draws
}

// drawn are dropout masks that were drawn ahead.
type drawn struct {
	n, step int
	masks   [][]float32
}

// takeMasks are the masks of this step for n images. For a device those of the
// next step are drawn while it computes, so that it need not wait for them.
func (t *Trainer) takeMasks(n int) [][]float32 {
	if t.device == nil {
		return t.masks(n, t.steps)
	}
	var got drawn
	if t.device.masks != nil {
		got = <-t.device.masks
	}
	if got.n != n || got.step != t.steps {
		got.masks = t.masks(n, t.steps)
	}
	ready := make(chan drawn, 1)
	t.device.masks = ready
	go func(step int) { ready <- drawn{n, step, t.masks(n, step)} }(t.steps + 1)
	return got.masks
}

// Memory returns a buffer of n floats for batches, in pinned memory, from which the
// device copies directly. On a processor nothing is copied, and it returns nil. Owned
// by the caller, who closes it before the Trainer.
func (t *Trainer) Memory(n int) (*onnx.Host, error) {
	if t.device == nil {
		return nil, nil
	}
	return t.training.Floats(n)
}

func (t *Trainer) newDevice(o onnx.Options) (*device, error) {
	d := &device{sums: map[string]*buffer{}}
	for _, p := range t.Manifest.Params {
		d.sums[p.Name] = &buffer{}
	}
	state, params := names(t.stateNames()), t.params()
	copied, added := graph.NewBuilder("fetch", 17), graph.NewBuilder("add", 17)
	each(copied, "Identity", t.stateNames(), "host.", "")
	each(added, "Add", t.Manifest.Params, "total.", "sum.", "")
	var err error
	if d.fetch, err = openBuilt(copied, state, prefixed("host.", state), o); err != nil {
		return d, err
	}
	d.add, err = openBuilt(added, slices.Concat(prefixed("sum.", params), params), prefixed("total.", params), o)
	return d, err
}

// each applies op to every tensor: inputs are its name behind each of in, the
// output its name behind out.
func each(b *graph.Builder, op string, list []artifacts.Named, out string, in ...string) {
	for _, n := range list {
		shape := make([]any, len(n.Shape))
		for i, d := range n.Shape {
			shape[i] = d
		}
		var inputs []string
		for _, prefix := range in {
			inputs = append(inputs, b.Input(prefix+n.Name, graph.Float32, shape...))
		}
		b.Output(b.Node(op, out+n.Name, inputs), graph.Float32, shape...)
	}
}

func openBuilt(b *graph.Builder, in, out []string, o onnx.Options) (*onnx.Session, error) {
	data, err := b.Model().Bytes()
	if err != nil {
		return nil, err
	}
	return onnx.OpenBytes("helper of the trainer", data, in, out, o)
}

func (d *device) close() {
	if d == nil {
		return
	}
	for _, b := range d.sums {
		b.resident.Close()
	}
	d.fetch.Close()
	d.add.Close()
}

// value is the tensor that holds the buffer's values.
func (b *buffer) value() *onnx.Tensor {
	if b.resident != nil {
		return b.resident
	}
	return b.tensor
}

// buffers are those of the names, in order.
func (t *Trainer) buffers(lists ...[]string) []*buffer {
	var out []*buffer
	for _, name := range slices.Concat(lists...) {
		out = append(out, t.tensors[name])
	}
	return out
}

// run runs s; its outputs are first, what goes into buffers, last, in that order.
func (t *Trainer) run(c *temporary, s *onnx.Session, in, first []*onnx.Tensor, into []*buffer,
	last []*onnx.Tensor) error {
	out := slices.Clone(first)
	for _, b := range into {
		if t.device == nil {
			out = append(out, b.tensor)
		} else {
			out = append(out, b.resident) // nil at first: made in the device's memory
		}
	}
	out = append(out, last...)
	if err := c.run(s, in, out); err != nil || t.device == nil {
		return err
	}
	for i, b := range into {
		b.resident = out[len(first)+i]
	}
	t.device.newer = true
	return nil
}

// fetch brings Go memory up to date.
func (t *Trainer) fetch() error {
	if t.device == nil || !t.device.newer {
		return nil
	}
	var in, out []*onnx.Tensor
	for _, b := range t.buffers(names(t.stateNames())) {
		in, out = append(in, b.value()), append(out, b.tensor)
	}
	if err := t.device.fetch.Run(in, out); err != nil {
		return err
	}
	t.device.newer = false
	return nil
}

// change has Go memory written by f, which concerns the named tensors alone.
func (t *Trainer) change(list []string, f func(name string, data []float32)) error {
	if err := t.fetch(); err != nil {
		return err
	}
	for _, name := range list {
		b := t.tensors[name]
		f(name, b.data)
		b.resident.Close()
		b.resident = nil
	}
	return nil
}

// accumulateThere is accumulate in the device's memory.
func (t *Trainer) accumulateThere(k, parts int) error {
	var sums, grads []*buffer
	var in []*onnx.Tensor
	for _, name := range t.params() {
		sums, grads = append(sums, t.device.sums[name]), append(grads, t.tensors["grad."+name])
	}
	if k == 0 {
		for i, b := range sums {
			b.resident, grads[i].resident = grads[i].resident, b.resident
		}
		return nil
	}
	for _, b := range slices.Concat(sums, grads) {
		in = append(in, b.value())
	}
	into := sums
	if k == parts-1 {
		into = grads
	}
	return t.run(&temporary{}, t.device.add, in, nil, into, nil)
}
