package gradient

import (
	"fmt"
	"math"
	"slices"

	"finetune/internal/cubic"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// resizeRule: along each axis a Resize is a product with a matrix that depends on the sizes alone; its derivative
// is the product with that matrix the other way round.
func resizeRule(b *build, n *onnxpb.NodeProto) ([]string, error) {
	x, dy := n.Input[0], b.dy(n)
	from, to := b.Shape[x], b.Shape[dy]
	if len(from) == 0 || len(from) != len(to) {
		return nil, fmt.Errorf("resizes shape %v to %v; export the model with its shapes inferred", from, to)
	}
	r, err := b.resampling(n)
	if err != nil {
		return nil, err
	}
	var axes []int64
	for i := range from {
		if from[i] == to[i] && (from[i] < 0 || r.scale(i, from[i], to[i]) == 1) {
			continue
		}
		if from[i] < 0 || to[i] < 0 {
			return nil, fmt.Errorf("resizes shape %v to %v; only axes of fixed size have a rule", from, to)
		}
		axes = append(axes, int64(i))
	}
	for _, axis := range axes {
		matrix := b.Floats([]int64{to[axis], from[axis]}, r.matrix(int(axis), from[axis], to[axis]))
		dy = b.along(dy, axis, matrix, from[axis])
	}
	return one(dy)
}

// along multiplies an axis of x by a matrix [old, new].
func (b *build) along(x string, axis int64, matrix string, size int64) string {
	rank := len(b.Shape[x])
	swap := make([]int64, rank)
	for i := range swap {
		swap[i] = int64(i)
	}
	swap[axis], swap[rank-1] = int64(rank-1), axis
	last := int(axis) == rank-1
	if !last {
		x = b.Transpose(x, swap...)
	}
	shape := slices.Clone(b.Shape[x])
	shape[rank-1] = size
	x = b.Op("MatMul", shape, []string{x, matrix})
	if !last {
		x = b.Transpose(x, swap...)
	}
	return x
}

// resampling is how a Resize computes a value from those around it.
type resampling struct {
	mode, place, nearest string
	a                    float64 // of the cubic
	inside               bool    // weights outside count as none
	scales               []float32
}

func (b *build) resampling(n *onnxpb.NodeProto) (resampling, error) {
	r := resampling{
		mode: graph.FindStr(n, "mode", "nearest"), place: graph.FindStr(n, "coordinate_transformation_mode", "half_pixel"),
		nearest: graph.FindStr(n, "nearest_mode", "round_prefer_floor"),
		a:       float64(graph.FindFloat(n, "cubic_coeff_a", -0.75)), inside: graph.FindInt(n, "exclude_outside", 0) == 1,
	}
	switch {
	case graph.FindInt(n, "antialias", 0) == 1:
		return r, fmt.Errorf("with antialias; only without has a rule")
	case r.place == "tf_crop_and_resize":
		return r, fmt.Errorf("crops too (tf_crop_and_resize); only without a crop has a rule")
	case graph.FindStr(n, "keep_aspect_ratio_policy", "stretch") != "stretch":
		return r, fmt.Errorf("keeps the aspect ratio; only stretching has a rule")
	}
	if len(n.Input) > 2 && n.Input[2] != "" {
		scales := b.constantFloats(n.Input[2])
		if axes := graph.FindInts(n, "axes"); axes != nil && len(axes) == len(scales) {
			all := slices.Repeat([]float32{1}, len(b.Shape[n.Input[0]]))
			for i, axis := range axes {
				all[b.Axis(n.Input[0], axis)] = scales[i]
			}
			scales = all
		}
		if r.scales = scales; scales == nil && (len(n.Input) < 4 || n.Input[3] == "") {
			return r, fmt.Errorf("scales %q are computed; only constant ones have a rule", n.Input[2])
		}
	}
	return r, nil
}

// scale is how many values one becomes along an axis.
func (r resampling) scale(axis int, from, to int64) float64 {
	if axis < len(r.scales) {
		return float64(r.scales[axis])
	}
	return float64(to) / float64(from)
}

// matrix holds in row i the weights of the old values in new value i.
func (r resampling) matrix(axis int, from, to int64) []float32 {
	scale := r.scale(axis, from, to)
	m := make([]float32, from*to)
	for i := range to {
		row := m[i*from : (i+1)*from]
		at := r.at(float64(i), scale, float64(from), float64(to))
		first, weights := r.weights(at)
		sum := 0.0
		for k, w := range weights {
			if j := first + int64(k); r.inside && (j < 0 || j >= from) {
				weights[k] = 0
			} else {
				sum += w
			}
		}
		for k, w := range weights {
			if r.inside {
				w /= sum
			}
			row[min(max(first+int64(k), 0), from-1)] += float32(w)
		}
	}
	return m
}

// at is the place among the old values that new value i is computed for.
func (r resampling) at(i, scale, from, to float64) float64 {
	switch r.place {
	case "asymmetric":
		return i / scale
	case "align_corners":
		if to == 1 {
			return 0
		}
		return i * (from - 1) / (to - 1)
	case "pytorch_half_pixel":
		if to == 1 {
			return 0
		}
	case "half_pixel_symmetric":
		whole := from * scale // as long as the scale makes it
		return from/2*(1-to/whole) + (i+.5)/scale - .5
	case "tf_half_pixel_for_nn":
		return (i + .5) / scale
	}
	return (i+.5)/scale - .5
}

// weights are those of the old values from first on.
func (r resampling) weights(at float64) (first int64, weights []float64) {
	low := math.Floor(at)
	t := at - low
	switch r.mode {
	case "linear":
		return int64(low), []float64{1 - t, t}
	case "cubic":
		list := make([]float64, 4)
		for k := range list {
			list[k] = cubic.Keys(1+t-float64(k), r.a)
		}
		return int64(low) - 1, list
	}
	switch r.nearest {
	case "floor":
		at = low
	case "ceil":
		at = math.Ceil(at)
	case "round_prefer_ceil":
		at = math.Floor(at + .5)
	default:
		at = math.Ceil(at - .5)
	}
	return int64(at), []float64{1}
}
