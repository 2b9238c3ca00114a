// Package finetuning trains a whole network by running the files that
// onnx/artifacts writes, with a learning rate for each layer group.
//
// A Trainer holds parameters, running statistics and the optimizer's buffers in
// Go memory; ONNX Runtime reads them there and writes their new values in place.
// On a GPU they stay in its memory from step to step (resident.go).
// Equal seeds, batches and rates give equal bytes, also across State and Restore.
package finetuning

import (
	"fmt"
	"path/filepath"
	"runtime/debug"
	"slices"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/gradient"
	"finetune/onnx/graph"
	"finetune/onnx/weights"
)

// Options of a Trainer.
type Options struct {
	Seed       uint64 // names the dropout masks
	Threads    int    // of ONNX Runtime, 0 for one a core
	Device     string // one of onnx.Devices; "" is cpu
	MicroBatch int    // most images in one run; a larger batch accumulates gradients. 0 for no limit
	// ClassWeights are the weights of the classes in the loss, [classes]; nil for ones.
	ClassWeights   []float32
	LabelSmoothing float32
	NoTF32         bool // on a GPU: no TF32
	// resident keeps tensors in the device's memory on a CPU too; for tests.
	resident bool
}

// Trainer runs the artifacts of one folder. One goroutine at a time.
type Trainer struct {
	Manifest artifacts.Manifest

	o        Options
	steps    int
	norm     float64            // of the last step's gradients, before clipping
	tensors  map[string]*buffer // by name: parameters, statistics, optimizer's buffers, gradients
	groups   []string
	training *onnx.Session
	eval     *onnx.Session
	update   *onnx.Session
	sum      map[string][]float32 // accumulated gradients, made when a batch is first split
	fixed    []*onnx.Tensor       // inputs that do not change: class weights, smoothing
	device   *device              // nil: everything is in Go memory
}

// buffer is Go memory and the tensor that views it.
type buffer struct {
	data     []float32
	tensor   *onnx.Tensor
	resident *onnx.Tensor // in the device's memory and newer than data; nil: data counts
}

// Open loads the four files that package artifacts wrote into dir. Call onnx.Start
// before. Owned by the caller: the Trainer, freed by Close. Errors of kind
// failure.Data: a file is missing, a file does not fit the others, or the training
// model was written for another kind of CPU. Of kind failure.Usage: options out of bounds.
func Open(dir string, o Options) (*Trainer, error) {
	m, err := artifacts.ReadManifest(dir)
	if err != nil {
		return nil, err
	}
	if err := checkMachine(dir, m); err != nil {
		return nil, err
	}
	if o.ClassWeights == nil {
		o.ClassWeights = slices.Repeat([]float32{1}, m.Classes)
	}
	if len(o.ClassWeights) != m.Classes || o.MicroBatch < 0 || !(o.LabelSmoothing >= 0 && o.LabelSmoothing < 1) {
		return nil, failure.Usage(fmt.Errorf("finetuning: %s for %s, micro-batch %d, label smoothing %v; give one weight "+
			"a class, a micro-batch of 0 or more, and a smoothing from 0 to below 1",
			plural.Count(len(o.ClassWeights), "class weight"), plural.Count(m.Classes, "class"), o.MicroBatch,
			o.LabelSmoothing))
	}
	t := &Trainer{Manifest: m, o: o, tensors: map[string]*buffer{}}
	for _, g := range m.Groups {
		t.groups = append(t.groups, g.Name)
	}
	if err := t.open(dir); err != nil {
		t.Close()
		return nil, err
	}
	return t, nil
}

// checkMachine compares the layout that the training model was written for
// with what this machine's library has.
func checkMachine(dir string, m artifacts.Manifest) error {
	if m.OneDNN != "" {
		path, err := onnx.OneDNN()
		if err == nil && path == "" {
			err = failure.Data(fmt.Errorf("finetuning: %s: written for oneDNN, which is not here; run `finetune fetch onednn`, "+
				"or write the file again with finetune artifacts", filepath.Join(dir, artifacts.TrainingFile)))
		}
		return err
	}
	if m.Block == 0 {
		return nil
	}
	have, err := onnx.BlockSize()
	if err != nil {
		return err
	}
	if have != m.Block {
		return failure.Data(fmt.Errorf("finetuning: %s: written for CPU kernels with blocks of %s, this machine "+
			"has %d; write it again here with finetune artifacts", filepath.Join(dir, artifacts.TrainingFile),
			plural.Count(m.Block, "channel"), have))
	}
	return nil
}

func (t *Trainer) open(dir string) error {
	resident := t.o.resident || onnx.Accelerated(t.o.Device)
	for _, n := range t.stateNames() {
		if err := t.allocate(n.Name, n, false); err != nil {
			return err
		}
	}
	for _, p := range t.Manifest.Params {
		if err := t.allocate("grad."+p.Name, p, resident); err != nil {
			return err
		}
	}
	for _, name := range []string{artifacts.EvalFile, artifacts.OptimizerFile} { // as ReadManifest the training model
		if _, err := graph.Read(filepath.Join(dir, name)); err != nil { // ONNX Runtime does not look at the checksum
			return err
		}
	}
	path := filepath.Join(dir, artifacts.CheckpointFile)
	state, _, err := weights.ReadSafetensors(path)
	if err != nil {
		return err
	}
	if err := t.fill(state, path); err != nil {
		return err
	}
	state = nil
	debug.FreeOSMemory() // the file's copy would else add to the peak of the first step
	scalars := map[string]float32{gradient.LabelSmoothing: t.o.LabelSmoothing}
	for _, name := range []string{gradient.ClassWeights, gradient.LabelSmoothing} {
		data, shape := t.o.ClassWeights, []int64{int64(t.Manifest.Classes)}
		if v, ok := scalars[name]; ok {
			data, shape = []float32{v}, nil
		}
		tensor, err := onnx.Float32(data, shape...)
		if err != nil {
			return err
		}
		t.fixed = append(t.fixed, tensor)
	}
	options := onnx.Options{Threads: t.o.Threads, Device: onnx.ForTraining(t.o.Device), Spin: true, Finish: true,
		NoTF32: t.o.NoTF32, Resident: resident}
	if resident {
		if t.device, err = t.newDevice(options); err != nil {
			return err
		}
	}
	in, out := t.trainingNames()
	trains := options
	trains.OneDNN = t.Manifest.OneDNN != ""
	trains.Spin = !trains.OneDNN // oneDNN has threads of its own, which have the processor then
	if t.training, err = onnx.OpenFile(filepath.Join(dir, artifacts.TrainingFile), in, out, trains); err != nil {
		return err
	}
	in, out = t.evalNames()
	if t.eval, err = onnx.OpenFile(filepath.Join(dir, artifacts.EvalFile), in, out, trains); err != nil {
		return err
	}
	in, out = t.updateNames()
	t.update, err = onnx.OpenFile(filepath.Join(dir, artifacts.OptimizerFile), in, out, trains)
	return err
}

// allocate makes the Go memory of a tensor, unless it only lives on the device.
func (t *Trainer) allocate(name string, n artifacts.Named, elsewhere bool) (err error) {
	b := &buffer{}
	t.tensors[name] = b
	if elsewhere {
		return nil
	}
	b.data = make([]float32, n.Len())
	b.tensor, err = onnx.Float32(b.data, n.Shape...)
	return err
}

// stateNames are the tensors of a checkpoint.
func (t *Trainer) stateNames() []artifacts.Named {
	list := append(slices.Clone(t.Manifest.Params), t.Manifest.Stats...)
	for _, slot := range t.Manifest.Slots() {
		for _, p := range t.Manifest.Params {
			list = append(list, artifacts.Named{Name: slot + p.Name, Shape: p.Shape})
		}
	}
	return list
}

// Close frees sessions and tensors. Twice is fine.
func (t *Trainer) Close() {
	for _, b := range t.tensors {
		b.tensor.Close()
		b.resident.Close()
	}
	for _, f := range t.fixed {
		f.Close()
	}
	t.device.close()
	for _, s := range []*onnx.Session{t.training, t.eval, t.update} {
		s.Close()
	}
	t.tensors, t.fixed = nil, nil
}

// Groups names the layer groups that train, input side first, the head last.
func (t *Trainer) Groups() []string { return slices.Clone(t.groups) }

// Norm is the global norm of the last step's gradients, before clipping.
func (t *Trainer) Norm() float64 { return t.norm }

// Steps is the number of steps taken, including those before a restored State.
func (t *Trainer) Steps() int { return t.steps }
