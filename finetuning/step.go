package finetuning

import (
	"fmt"
	"math"

	"finetune/internal/dims"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/gradient"
)

// Rates are what the optimizer takes for one step.
type Rates struct {
	Rates []float64 // learning rate of each group of Groups
	// Decay is the weight decay of each group; nil for none. SGD adds Decay*p to the gradient
	// of a parameter p, unless it is decoupled. AdamW subtracts rate*Decay*p from p.
	Decay    []float64
	Momentum float64 // SGD's momentum, AdamW's beta1
	Beta2    float64 // AdamW; 0 is 0.999
	Clip     float64 // largest global norm of the gradient, 0 for no limit
}

// Labels are those of a batch: Classes, or for several labels an image Hot, 0 or 1
// for each class, row-major [n, classes].
type Labels struct {
	Classes []int64
	Hot     []float32
}

// Step trains on one batch. images are preprocessed photographs, float32
// [n, 3, size, size], or the output of a frozen prefix, [n, Manifest.Row...].
// Step returns the mean loss of the batch and its logits [n, classes], both before
// the update and with dropout. A batch of more than MicroBatch images runs in equal
// parts, and their gradients are added; batch normalisation then uses the statistics
// of each part. Errors of kind failure.Usage: fewer than two images, or rates that do
// not fit the groups. After an error the parameters are those before the step, unless
// the update itself failed.
func (t *Trainer) Step(images []float32, labels Labels, r Rates) (loss float64, logits []float32, err error) {
	n, err := t.batch(images, labels)
	if err != nil {
		return 0, nil, err
	}
	if n < 2 {
		return 0, nil, failure.Usage(fmt.Errorf("finetuning: a batch of %s; batch normalisation needs two images or "+
			"more, so join it to another batch", plural.Count(n, "image")))
	}
	if len(r.Rates) != len(t.groups) || r.Decay != nil && len(r.Decay) != len(t.groups) {
		return 0, nil, failure.Usage(fmt.Errorf("finetuning: %s and %s for layer groups %v; give one each",
			plural.Count(len(r.Rates), "rate"), plural.Count(len(r.Decay), "decay"), t.groups))
	}
	logits = make([]float32, n*t.Manifest.Classes)
	parts := t.parts(n)
	masks := t.takeMasks(n)
	total := t.weight(labels, 0, n)
	for k, part := range parts {
		scale := t.weight(labels, part.lo, part.hi) / total
		l, err := t.gradients(images, labels, part, scale, masks, logits)
		if err != nil {
			return 0, nil, err
		}
		loss += scale * l
		if len(parts) > 1 {
			if err := t.accumulate(k, len(parts)); err != nil {
				return 0, nil, err
			}
		}
	}
	if math.IsNaN(loss) || math.IsInf(loss, 0) {
		return loss, logits, nil // the caller decides; the parameters stay finite
	}
	if err := t.apply(r); err != nil {
		return 0, nil, err
	}
	t.steps++
	return loss, logits, nil
}

// span is images lo to hi of a batch.
type span struct{ lo, hi int }

// Runs is the number of parts in which a batch of n images runs. It is as small as
// MicroBatch allows without a part of a single image.
func (t *Trainer) Runs(n int) int {
	k := 1
	if t.o.MicroBatch > 0 {
		k = (n + t.o.MicroBatch - 1) / t.o.MicroBatch
	}
	return max(1, min(k, n/2))
}

// parts splits n images into equal parts, one for each run.
func (t *Trainer) parts(n int) []span {
	k := t.Runs(n)
	list := make([]span, k)
	for i := range list {
		list[i] = span{i * n / k, (i + 1) * n / k}
	}
	return list
}

// weight is what a part's mean loss is divided by: with class weights their
// sum over the labels, else the number of images.
func (t *Trainer) weight(labels Labels, lo, hi int) float64 {
	if t.Manifest.Multi {
		return float64(hi - lo)
	}
	sum := 0.0
	for _, y := range labels.Classes[lo:hi] {
		sum += float64(t.o.ClassWeights[y])
	}
	return sum
}

// batch checks a batch and returns its size.
func (t *Trainer) batch(images []float32, labels Labels) (int, error) {
	input := t.Manifest.Input()
	size := input.Len()
	n := len(images) / size
	have := len(labels.Classes)
	if t.Manifest.Multi {
		have = len(labels.Hot) / t.Manifest.Classes
	}
	if n*size != len(images) || n != have || n == 0 {
		return 0, failure.Usage(fmt.Errorf("finetuning: %s, not those of %s of shape %v", plural.Count(len(images), "value"),
			plural.Count(have, "image"), input.Shape))
	}
	for i, y := range labels.Classes {
		if y < 0 || y >= int64(t.Manifest.Classes) {
			return 0, failure.Usage(fmt.Errorf("finetuning: image %d has label %d of %s", i, y,
				plural.Count(t.Manifest.Classes, "class")))
		}
	}
	return n, nil
}

// masks draws the dropout masks of a batch, named by seed, mask and step, so
// that they depend neither on the parts nor on where a run was resumed.
func (t *Trainer) masks(n, step int) [][]float32 {
	all := make([][]float32, len(t.Manifest.Masks))
	for i, m := range t.Manifest.Masks {
		all[i] = make([]float32, n*row(m))
		s := rng.New(t.o.Seed, rng.Text(m.Name), uint64(step))
		keep := 1 - float64(m.Rate)
		for j := range all[i] {
			if s.Float64() < keep {
				all[i][j] = float32(1 / keep)
			}
		}
	}
	return all
}

// row is the number of values a mask has for each image.
func row(m gradient.Mask) int {
	return int(dims.Product(m.Shape[1:]))
}

// gradients runs the training model on one part, writes its logits and leaves
// gradients and running statistics in their buffers.
func (t *Trainer) gradients(images []float32, labels Labels, p span, scale float64, masks [][]float32,
	logits []float32) (float64, error) {
	var loss float64
	err := withTensors(func(c *temporary) error {
		in := t.inputs(c, images, labels, p, float32(scale))
		for i, m := range t.Manifest.Masks {
			shape := append([]int64{int64(p.hi - p.lo)}, m.Shape[1:]...)
			in = append(in, c.floats(masks[i][p.lo*row(m):p.hi*row(m)], shape...))
		}
		mean := []float32{0}
		into := t.buffers(prefixed("grad.", t.params()), t.stats()) // statistics in place: the next value over the old
		err := t.run(c, t.training, in, []*onnx.Tensor{c.floats(mean, 1), t.logits(c, p, logits)}, into, nil)
		if err == nil {
			loss = float64(mean[0])
		}
		return err
	})
	return loss, err
}

// inputs are the tensors of batchNames, parameters and statistics for one part.
func (t *Trainer) inputs(c *temporary, images []float32, labels Labels, p span, scale float32) []*onnx.Tensor {
	m, n := t.Manifest, int64(p.hi-p.lo)
	input := m.Input()
	size := input.Len()
	in := []*onnx.Tensor{c.floats(images[p.lo*size:p.hi*size], append([]int64{n}, input.Shape...)...)}
	if m.Multi {
		in = append(in, c.floats(labels.Hot[p.lo*m.Classes:p.hi*m.Classes], n, int64(m.Classes)))
	} else {
		in = append(in, c.ints(labels.Classes[p.lo:p.hi], n))
	}
	in = append(in, c.floats([]float32{scale}))
	in = append(in, t.fixed...)
	for _, b := range t.buffers(t.params(), t.stats()) {
		in = append(in, b.value())
	}
	return in
}

// logits views the part of all logits that belongs to p.
func (t *Trainer) logits(c *temporary, p span, all []float32) *onnx.Tensor {
	classes := t.Manifest.Classes
	return c.floats(all[p.lo*classes:p.hi*classes], int64(p.hi-p.lo), int64(classes))
}

// accumulate adds the gradients of part k to the sum and after the last part
// puts the sum in their place.
func (t *Trainer) accumulate(k, parts int) error {
	if t.device != nil {
		return t.accumulateThere(k, parts)
	}
	if t.sum == nil {
		t.sum = map[string][]float32{}
		for _, p := range t.Manifest.Params {
			t.sum[p.Name] = make([]float32, p.Len())
		}
	}
	for name, sum := range t.sum {
		g := t.tensors["grad."+name].data
		switch k {
		case 0:
			copy(sum, g)
		case parts - 1:
			for i, v := range sum {
				g[i] += v
			}
		default:
			for i, v := range g {
				sum[i] += v
			}
		}
	}
	return nil
}

// scalar is an input of the optimizer model.
type scalar struct {
	name  string
	value float64
}

func (t *Trainer) scalars(r Rates) []scalar {
	list := []scalar{{"clip", r.Clip}}
	if t.Manifest.Optimizer == artifacts.AdamW {
		beta2 := r.Beta2
		if beta2 == 0 {
			beta2 = 0.999
		}
		list = append(list, scalar{"beta1", r.Momentum}, scalar{"beta2", beta2}, scalar{"epsilon", 1e-8},
			scalar{"step", float64(t.steps + 1)})
	} else {
		list = append(list, scalar{"momentum", r.Momentum})
	}
	for i, g := range t.groups {
		decay := 0.0
		if r.Decay != nil {
			decay = r.Decay[i]
		}
		list = append(list, scalar{"rate." + g, r.Rates[i]}, scalar{"decay." + g, decay})
	}
	return list
}

// apply runs the optimizer model, whose outputs replace its inputs in place.
func (t *Trainer) apply(r Rates) error {
	return withTensors(func(c *temporary) error {
		var in []*onnx.Tensor
		var into []*buffer
		for _, s := range t.scalars(r) {
			in = append(in, c.floats([]float32{float32(s.value)}))
		}
		for _, p := range t.Manifest.Params {
			in, into = append(in, t.tensors[p.Name].value(), t.tensors["grad."+p.Name].value()), append(into, t.tensors[p.Name])
			for _, slot := range t.Manifest.Slots() {
				b := t.tensors[slot+p.Name]
				in, into = append(in, b.value()), append(into, b)
			}
		}
		norm := []float32{0}
		err := t.run(c, t.update, in, nil, into, []*onnx.Tensor{c.floats(norm, 1)})
		if err == nil {
			t.norm = float64(norm[0])
		}
		return err
	})
}

// Predict returns logits [n, classes] in evaluation mode: with running statistics and
// without dropout. It runs at most MicroBatch images at a time.
func (t *Trainer) Predict(images []float32) ([]float32, error) {
	n := len(images) / t.Manifest.Input().Len()
	none := Labels{Classes: make([]int64, n), Hot: make([]float32, n*t.Manifest.Classes)}
	if t.Manifest.Multi {
		none.Classes = nil
	}
	if _, err := t.batch(images, none); err != nil {
		return nil, err
	}
	logits := make([]float32, n*t.Manifest.Classes)
	step := n
	if t.o.MicroBatch > 0 {
		step = t.o.MicroBatch
	}
	for lo := 0; lo < n; lo += step {
		p := span{lo, min(lo+step, n)}
		err := withTensors(func(c *temporary) error {
			return c.run(t.eval, t.inputs(c, images, none, p, 1), []*onnx.Tensor{t.logits(c, p, logits)})
		})
		if err != nil {
			return nil, err
		}
	}
	return logits, nil
}
