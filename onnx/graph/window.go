package graph

import (
	"fmt"
	"slices"

	"finetune/internal/plural"
	"finetune/onnx/graph/onnxpb"
)

// Window is the geometry of a convolution or a pooling: one number for each spatial axis.
type Window struct {
	Kernel, Strides, Dilations []int64
	Pads                       []int64 // zeros before each axis, then behind each; a negative number cuts
	Group                      int64
	Auto                       string // how the operator finds the padding itself; NOTSET: it does not
	ceil                       bool   // a last window may end behind the padding
}

// maxWindow is far above every real kernel, stride or padding, and far below where their products overflow.
const maxWindow = 1 << 20

// WindowOf reads the geometry of node n. Kernel is its size where no attribute
// says it: that of a convolution's filter.
func WindowOf(n *onnxpb.NodeProto, kernel []int64) (Window, error) {
	kernel = FindInts(n, "kernel_shape", kernel...)
	axes := len(kernel)
	w := Window{
		Kernel:    kernel,
		Strides:   FindInts(n, "strides", slices.Repeat([]int64{1}, axes)...),
		Dilations: FindInts(n, "dilations", slices.Repeat([]int64{1}, axes)...),
		Pads:      FindInts(n, "pads", make([]int64, 2*axes)...),
		Group:     FindInt(n, "group", 1),
		Auto:      FindStr(n, "auto_pad", "NOTSET"),
		ceil:      FindInt(n, "ceil_mode", 0) != 0,
	}
	if !w.sound() {
		return Window{}, fmt.Errorf("kernel %v, strides %v, dilations %v, %s, pads %v are no window; "+
			"export the model again",
			w.Kernel, w.Strides, w.Dilations, plural.Count(w.Group, "group"), w.Pads)
	}
	if !slices.Contains([]string{"NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"}, w.Auto) {
		return Window{}, fmt.Errorf("auto_pad %q is unknown; export the model with explicit pads", w.Auto)
	}
	return w, nil
}

// sound reports whether there is a number for each axis, and each within reason.
func (w Window) sound() bool {
	axes := len(w.Kernel)
	if axes == 0 || len(w.Strides) != axes || len(w.Dilations) != axes || len(w.Pads) != 2*axes || w.Group < 1 {
		return false
	}
	outside := func(v int64) bool { return v < 1 || v >= maxWindow }
	for _, list := range [][]int64{w.Kernel, w.Strides, w.Dilations} {
		if slices.ContainsFunc(list, outside) {
			return false
		}
	}
	return !slices.ContainsFunc(w.Pads, func(v int64) bool { return v <= -maxWindow || v >= maxWindow })
}

// Reach is how many pixels of axis i outputs of the given number see, from the first to the last.
func (w Window) Reach(i int, outputs int64) int64 {
	return (outputs-1)*w.Strides[i] + (w.Kernel[i]-1)*w.Dilations[i] + 1
}

// Out is the size of the output along axis i for an input of the given size; -1
// if that is unknown or too small.
func (w Window) Out(i int, size int64) int64 {
	if size < 0 {
		return -1
	}
	stride, begin, end := w.Strides[i], w.Pads[i], w.Pads[len(w.Kernel)+i]
	switch w.Auto {
	case "SAME_UPPER", "SAME_LOWER":
		return (size + stride - 1) / stride
	case "VALID":
		begin, end = 0, 0
	}
	free := size + begin + end - w.Reach(i, 1)
	if free < 0 {
		return -1
	}
	out := free/stride + 1
	if w.ceil && free%stride != 0 && out*stride < size+begin { // no window may start in the end padding
		out++
	}
	return out
}

// Between is w with the padding that carries an input of the given sizes to the
// output, spelt out. To the end it is what the output needs, which may be less
// than what the operator was given, even negative.
func (w Window) Between(in, out []int64) Window {
	axes := len(w.Kernel)
	pads := make([]int64, 2*axes)
	for i := range axes {
		missing := w.Reach(i, out[i]) - in[i]
		switch total := max(missing, 0); w.Auto {
		case "NOTSET":
			pads[i] = w.Pads[i]
		case "SAME_UPPER":
			pads[i] = total / 2
		case "SAME_LOWER":
			pads[i] = total - total/2
		}
		pads[axes+i] = missing - pads[i]
	}
	w.Pads, w.Auto, w.ceil = pads, "NOTSET", false
	return w
}

// Attrs are the window as attributes of a Conv.
func (w Window) Attrs() []Attr {
	return []Attr{Ints("kernel_shape", w.Kernel...), Ints("strides", w.Strides...), Ints("dilations", w.Dilations...),
		Ints("pads", w.Pads...), Int("group", w.Group)}
}
