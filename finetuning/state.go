package finetuning

import (
	"fmt"
	"maps"
	"slices"

	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/onnx/weights"
)

const stepsName = "optimizer.steps"

// State copies all that a resumed run needs: parameters, running statistics, the
// optimizer's buffers, named as in the checkpoint file, and the number of steps.
// State, Weights and Stats return an error only if a GPU cannot hand over its tensors.
func (t *Trainer) State() ([]weights.Tensor, error) {
	if err := t.fetch(); err != nil {
		return nil, err
	}
	var list []weights.Tensor
	for _, n := range t.stateNames() {
		list = append(list, weights.Tensor{Name: n.Name, Shape: n.Shape,
			Data: append([]float32(nil), t.tensors[n.Name].data...)})
	}
	return append(list, weights.Tensor{Name: stepsName, Shape: []int64{1}, Ints: []int64{int64(t.steps)}}), nil
}

// Weights copies what training changes, by its name in the network: the trainable
// parameters, and the running statistics that are updated. Names of the head begin
// with artifacts.HeadPrefix.
func (t *Trainer) Weights() (map[string][]float32, error) {
	return t.copies(slices.Concat(t.params(), t.stats()))
}

// Stats copies the running statistics that training updates.
func (t *Trainer) Stats() (map[string][]float32, error) { return t.copies(t.stats()) }

func (t *Trainer) copies(names []string) (map[string][]float32, error) {
	if err := t.fetch(); err != nil {
		return nil, err
	}
	all := make(map[string][]float32, len(names))
	for _, name := range names {
		all[name] = slices.Clone(t.tensors[name].data)
	}
	return all, nil
}

// Restore sets everything that State returned. Errors of kind failure.Data name a
// tensor that is missing or has another size; nothing is changed then. Tensors of
// other names are ignored.
func (t *Trainer) Restore(state []weights.Tensor) error { return t.fill(state, "state") }

// Load sets the named weights, for instance those of a head, and leaves the others.
// An error of kind failure.Data names a weight whose size does not fit.
func (t *Trainer) Load(values map[string][]float32) error {
	for name, v := range values {
		b := t.tensors[name]
		if b == nil || len(b.data) != len(v) {
			return failure.Data(fmt.Errorf("finetuning: %q with %s does not fit the network; was it trained on "+
				"another body or head?", name, plural.Count(len(v), "value")))
		}
	}
	return t.change(slices.Collect(maps.Keys(values)), func(name string, data []float32) { copy(data, values[name]) })
}

func (t *Trainer) fill(state []weights.Tensor, from string) error {
	have := weights.ByName(state)
	for _, n := range t.stateNames() {
		if v, ok := have[n.Name]; !ok || len(v.Data) != n.Len() {
			return failure.Data(fmt.Errorf("finetuning: %s: tensor %q is missing or not of shape %v; it belongs to other "+
				"artifacts, write them again with finetune artifacts", from, n.Name, n.Shape))
		}
	}
	if err := t.change(names(t.stateNames()),
		func(name string, data []float32) { copy(data, have[name].Data) }); err != nil {
		return err
	}
	if s, ok := have[stepsName]; ok && len(s.Ints) == 1 {
		t.steps = int(s.Ints[0])
	}
	return nil
}
