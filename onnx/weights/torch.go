package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"finetune/internal/plural"
)

// storage is a flat array that tensors are views of.
type storage struct {
	key   string
	dtype dtype
	numel int64
}

// view is a tensor as the pickle describes it: element [i, j, ...] lies at
// offset + i*stride[0] + j*stride[1] + ... of its storage.
type view struct {
	storage       storage
	offset        int64
	shape, stride []int64
}

// storages gives the raw bytes of a storage.
type storages interface {
	read(s storage) ([]byte, error)
	order() binary.ByteOrder
}

const (
	orderedDict      = global("collections.OrderedDict")
	rebuildTensor    = global("torch._utils._rebuild_tensor_v2")
	rebuildParameter = global("torch._utils._rebuild_parameter")
)

func newMachine(data []byte) *machine {
	return &machine{data: data, knows: known, call: construct,
		persistent: func(id any) (any, error) { return storageOf(id) }}
}

func known(g global) bool {
	if g == orderedDict || g == rebuildTensor || g == rebuildParameter {
		return true
	}
	_, ok := storageType(g)
	return ok
}

func storageType(g global) (dtype, bool) {
	name, ok := strings.CutPrefix(string(g), "torch.")
	d, found := findType(name)
	return d, ok && found && d.torch == name
}

// construct stands in for the few functions that a state dict calls.
func construct(g global, args tuple) (any, error) {
	switch {
	case g == orderedDict && len(args) == 0:
		return &dict{}, nil
	case g == orderedDict && len(args) == 1: // as Python 2 writes it: a list of [key, value]
		return dictOfPairs(args[0])
	case g == rebuildParameter && len(args) >= 1:
		if v, ok := args[0].(view); ok {
			return v, nil
		}
	case g == rebuildTensor && len(args) >= 4:
		s, ok1 := args[0].(storage)
		offset, ok2 := args[1].(int64)
		shape, ok3 := int64s(args[2])
		stride, ok4 := int64s(args[3])
		if ok1 && ok2 && ok3 && ok4 {
			v := view{s, offset, shape, stride}
			return v, v.check()
		}
	}
	return nil, fmt.Errorf("unexpected arguments (%d)", len(args))
}

func dictOfPairs(v any) (any, error) {
	pairs, ok := v.(*list)
	if !ok {
		return nil, fmt.Errorf("built from a %T", v)
	}
	d := &dict{}
	for _, p := range pairs.items {
		kv, ok := p.(*list)
		if !ok || len(kv.items) != 2 {
			return nil, errors.New("built from something else than pairs")
		}
		d.keys, d.values = append(d.keys, kv.items[0]), append(d.values, kv.items[1])
	}
	return d, nil
}

func int64s(v any) ([]int64, bool) {
	t, ok := v.(tuple)
	if !ok || len(t) > maxDims {
		return nil, false
	}
	out := make([]int64, len(t))
	for i, x := range t {
		if out[i], ok = x.(int64); !ok {
			return nil, false
		}
	}
	return out, true
}

// check makes sure that every element of the view lies in its storage and that
// the view is no larger than it (a tensor expanded by stride 0 would be).
func (v view) check() error {
	n, err := elements(v.shape)
	if err != nil {
		return err
	}
	if len(v.shape) != len(v.stride) || v.offset < 0 || n > v.storage.numel {
		return fmt.Errorf("shape %v, strides %v, offset %d do not fit a storage of %s", v.shape, v.stride,
			v.offset, plural.Count(v.storage.numel, "element"))
	}
	if n == 0 {
		return nil
	}
	last := v.offset
	for i, d := range v.shape {
		// d and the stride are held below 2^28 and last below 2^30, so nothing overflows
		if s := v.stride[i]; s < 0 || s > maxElements || last > v.storage.numel {
			return fmt.Errorf("strides %v and offset %d leave the storage of %s", v.stride, v.offset,
				plural.Count(v.storage.numel, "element"))
		}
		last += (d - 1) * v.stride[i]
	}
	if last >= v.storage.numel {
		return fmt.Errorf("strides %v and offset %d leave the storage of %s", v.stride, v.offset,
			plural.Count(v.storage.numel, "element"))
	}
	return nil
}

// storageOf resolves a persistent id: ("storage", type, key, place, elements)
// and, in the older format, a sixth member for views of storages.
func storageOf(id any) (storage, error) {
	t, ok := id.(tuple)
	if !ok || len(t) < 5 || t[0] != "storage" {
		return storage{}, errors.New("a reference to something else than a storage")
	}
	g, ok1 := t[1].(global)
	key, ok2 := t[2].(string)
	numel, ok3 := t[4].(int64)
	d, ok4 := storageType(g)
	if !ok1 || !ok2 || !ok3 || !ok4 {
		return storage{}, errors.New("a storage without type, key or size")
	}
	if numel < 0 || numel > maxElements {
		return storage{}, fmt.Errorf("storage %q has %s, at most %d are read", key, plural.Count(numel, "element"),
			maxElements)
	}
	if len(t) > 5 && t[5] != nil {
		return storage{}, fmt.Errorf("storage %q is a view of another (PyTorch before 0.4); "+
			"load and save it with a newer PyTorch", key)
	}
	return storage{key, d, numel}, nil
}

func (d *dict) get(key string) any {
	for i, k := range d.keys {
		if k == key {
			return d.values[i]
		}
	}
	return nil
}

type namedView struct {
	name string
	view view
}

func readState(value any, s storages) ([]Tensor, error) {
	views, err := findState(value, 0)
	if err != nil {
		return nil, err
	}
	return readViews(views, s)
}

// wrappers are the keys under which training scripts keep the state dict.
var wrappers = []string{"state_dict", "model_state_dict", "model", "net", "module", "weights"}

// findState returns the tensors of a state dict: the value itself if it holds
// tensors, or the dict that it keeps under one of the usual keys.
func findState(value any, depth int) ([]namedView, error) {
	d, ok := value.(*dict)
	if !ok {
		return nil, fmt.Errorf("holds a %s, not a state dict; "+
			"save the weights with torch.save(model.state_dict(), FILE)", kindOf(value))
	}
	var views []namedView
	var shapes [][]int64
	seen := map[string]bool{}
	for i, v := range d.values {
		name, ok := d.keys[i].(string)
		t, isTensor := v.(view)
		if !ok || !isTensor {
			continue
		}
		if seen[name] {
			return nil, fmt.Errorf("tensor %q stands there twice", name)
		}
		seen[name] = true
		views, shapes = append(views, namedView{name, t}), append(shapes, t.shape)
	}
	if len(views) > maxTensors {
		return nil, fmt.Errorf("%s, at most %d are read", plural.Count(len(views), "tensor"), maxTensors)
	}
	if len(views) > 0 {
		return views, fit(shapes)
	}
	for _, w := range wrappers {
		if inner, ok := d.get(w).(*dict); ok && depth < 4 {
			return findState(inner, depth+1)
		}
	}
	return nil, fmt.Errorf("no tensors at the top or under any of %s; "+
		"save the weights with torch.save(model.state_dict(), FILE)", strings.Join(wrappers, ", "))
}

func kindOf(v any) string {
	switch v.(type) {
	case nil:
		return "None"
	case view:
		return "single tensor"
	case *list, tuple:
		return "list"
	}
	return "plain value"
}

func readViews(views []namedView, s storages) ([]Tensor, error) {
	tensors := make([]Tensor, 0, len(views))
	for _, v := range views {
		raw, err := s.read(v.view.storage)
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", v.name, err)
		}
		t := Tensor{Name: v.name, Shape: slices.Clone(v.view.shape)}
		v.view.storage.dtype.into(&t, v.view.gather(raw), s.order())
		tensors = append(tensors, t)
	}
	return tensors, nil
}

// gather copies the view's elements out of its storage, row-major.
func (v view) gather(raw []byte) []byte {
	size := v.storage.dtype.size
	n, _ := elements(v.shape)
	if n == 0 {
		return nil
	}
	if v.contiguous() {
		return raw[v.offset*size:][:n*size]
	}
	out := make([]byte, 0, n*size)
	index := make([]int64, len(v.shape))
	for range n {
		at := v.offset
		for d, i := range index {
			at += i * v.stride[d]
		}
		out = append(out, raw[at*size:(at+1)*size]...)
		for d := len(index) - 1; d >= 0; d-- {
			if index[d]++; index[d] < v.shape[d] {
				break
			}
			index[d] = 0
		}
	}
	return out
}

func (v view) contiguous() bool {
	step := int64(1)
	for d := len(v.shape) - 1; d >= 0; d-- {
		if v.shape[d] != 1 && v.stride[d] != step {
			return false
		}
		step *= v.shape[d]
	}
	return true
}
