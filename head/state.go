package head

import "fmt"

// Tensor is a named array, row-major, as stored in a safetensors file.
type Tensor struct {
	Name  string
	Shape []int64
	Data  []float32
}

// State returns copies of the weights and BatchNorm statistics, named as in PyTorch's
// nn.Sequential of the same layers, whose load_state_dict(strict=False) accepts them.
func (h *Head) State() []Tensor { return copies(h.tensors()...) }

// Restore copies tensors, in any order, into h. An error names each tensor that is
// missing or has another shape. Tensors of other names are ignored.
func (h *Head) Restore(from []Tensor) error { return restore(h.tensors(), from) }

// tensors are views of the weights and running statistics.
func (h *Head) tensors() []Tensor {
	var list []Tensor
	for i, p := range h.parameters() {
		list = append(list, p)
		if i%4 == 1 { // after BatchNorm's bias
			prefix, norm := p.Name[:len(p.Name)-len("bias")], &h.blocks[i/4].norm
			list = append(list, Tensor{prefix + "running_mean", p.Shape, norm.Mean},
				Tensor{prefix + "running_var", p.Shape, norm.Var})
		}
	}
	return list
}

// State returns copies of the optimizer's buffers and the number of steps. With
// Head.State that is all that a resumed run needs. optimizer.step holds the number as
// thousands and remainder, because float32 represents both exactly.
func (t *Trainer) State() []Tensor {
	steps := []float32{float32(t.steps / 1000), float32(t.steps % 1000)}
	return copies(append(t.tensors(), Tensor{"optimizer.step", []int64{2}, steps})...)
}

// Restore copies tensors made by State into t. Errors are those of Head.Restore; the
// state of another optimizer lacks some buffers.
func (t *Trainer) Restore(from []Tensor) error {
	steps := make([]float32, 2)
	if err := restore(append(t.tensors(), Tensor{"optimizer.step", []int64{2}, steps}), from); err != nil {
		return err
	}
	t.steps = int(steps[0])*1000 + int(steps[1])
	return nil
}

// tensors are views of the optimizer's buffers.
func (t *Trainer) tensors() []Tensor {
	var list []Tensor
	for _, s := range t.update.state() {
		for i, p := range t.head.parameters() {
			list = append(list, Tensor{"optimizer." + s.name + "." + p.Name, p.Shape, s.buffers[i]})
		}
	}
	return list
}

func copies(list ...Tensor) []Tensor {
	for i := range list {
		list[i].Shape = append([]int64(nil), list[i].Shape...)
		list[i].Data = append([]float32(nil), list[i].Data...)
	}
	return list
}

// restore copies data by name from one list into the other's views.
func restore(into, from []Tensor) error {
	byName := make(map[string]Tensor, len(from))
	for _, t := range from {
		byName[t.Name] = t
	}
	for _, t := range into {
		f, ok := byName[t.Name]
		if !ok {
			return fmt.Errorf("head: tensor %s: missing from the saved state; was it saved by a head of other layers, or "+
				"another optimizer?", t.Name)
		}
		if len(f.Data) != len(t.Data) {
			return fmt.Errorf("head: tensor %s: saved with shape %v, this head has %v; build the head from the saved "+
				"configuration", t.Name, f.Shape, t.Shape)
		}
	}
	for _, t := range into {
		copy(t.Data, byName[t.Name].Data)
	}
	return nil
}
