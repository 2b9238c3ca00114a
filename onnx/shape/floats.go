package shape

import (
	"math"

	"finetune/internal/dims"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// Exporters compute some sizes in floating point: the side of a square of patches by a root, a range of places up to a
// height, what a scale makes of a width.

// maxFloats is the longest float tensor whose value is followed.
const maxFloats = 16

// binaryFloats and unaryFloats are the operators of floats.
var binaryFloats = map[string]func(x, y float64) float64{
	"Add": func(x, y float64) float64 { return x + y },
	"Sub": func(x, y float64) float64 { return x - y },
	"Mul": func(x, y float64) float64 { return x * y },
	"Div": func(x, y float64) float64 { return x / y },
	"Pow": math.Pow,
	"Min": math.Min,
	"Max": math.Max,
}

var unaryFloats = map[string]func(x float64) float64{
	"Sqrt": math.Sqrt, "Floor": math.Floor, "Ceil": math.Ceil, "Round": math.RoundToEven,
	"Neg": func(x float64) float64 { return -x }, "Reciprocal": func(x float64) float64 { return 1 / x },
}

// learnFloats records the value of a small constant of float32.
func (s *Inferer) learnFloats(name string, t *onnxpb.TensorProto) {
	if n := dims.Product(t.GetDims()); t.GetDataType() != graph.Float32 || n < 0 || n > maxFloats {
		return
	}
	if v, err := graph.FloatsOf(t); err == nil {
		list := make([]float64, len(v))
		for i, x := range v {
			list[i] = float64(x)
		}
		s.real[name] = list
	}
}

// reals follows the floats of node n, whose shape is known, and turns them into integers where a Cast does.
func (s *Inferer) reals(n *onnxpb.NodeProto) {
	if len(n.Output) != 1 || len(n.Input) == 0 {
		return
	}
	out, x := n.Output[0], s.real[n.Input[0]]
	count := dims.Product(s.Dims[out])
	if s.Dims[out] == nil || count < 0 || count > maxFloats {
		return
	}
	var v []float64
	switch op := s.Model.Op(n).Standard(); op {
	case "Cast":
		s.cast(n, out, x)
		return
	case "Identity", "Reshape", "Squeeze", "Unsqueeze":
		v = x
	case "Concat":
		for _, in := range n.Input {
			v = append(v, s.real[in]...)
		}
	default:
		if f := unaryFloats[op]; f != nil {
			for _, a := range x {
				v = append(v, rounded(f(a)))
			}
		} else if f := binaryFloats[op]; f != nil && len(n.Input) == 2 {
			v = pairs(x, s.real[n.Input[1]], f)
		}
	}
	if v != nil && int64(len(v)) == count {
		s.real[out] = v
	}
}

// pairs computes f of each x and y, one of which may be a single number for all.
func pairs(x, y []float64, f func(x, y float64) float64) []float64 {
	if len(x) != len(y) && len(x) != 1 && len(y) != 1 {
		return nil
	}
	var v []float64
	for i := range max(len(x), len(y)) {
		if len(x) == 0 || len(y) == 0 {
			return nil
		}
		v = append(v, rounded(f(x[min(i, len(x)-1)], y[min(i, len(y)-1)])))
	}
	return v
}

// rounded is x as float32 holds it: what decides where a result is nearly whole.
func rounded(x float64) float64 { return float64(float32(x)) }

// cast makes floats of integers, or integers of floats, which loses what is behind the point.
func (s *Inferer) cast(n *onnxpb.NodeProto, out string, x []float64) {
	switch to := int32(graph.FindInt(n, "to", 0)); {
	case to == graph.Float32 && x != nil:
		s.real[out] = x
	case to == graph.Float32 || to == graph.Float64:
		if v := s.value(n, 0); v != nil {
			for _, i := range v {
				s.real[out] = append(s.real[out], rounded(float64(i)))
			}
		}
	case (to == graph.Int64 || to == graph.Int32) && x != nil:
		v := make([]int64, len(x))
		for i, r := range x {
			if math.IsNaN(r) || math.Abs(r) > math.MaxInt32 {
				return
			}
			v[i] = int64(r)
		}
		s.ints[out] = v
	}
}

// rangeOfFloats is the length of a Range between floats, -1 where it is not known.
func (s *Inferer) rangeOfFloats(n *onnxpb.NodeProto) int64 {
	if len(n.Input) != 3 {
		return -1
	}
	from, to, by := s.real[n.Input[0]], s.real[n.Input[1]], s.real[n.Input[2]]
	if len(from) != 1 || len(to) != 1 || len(by) != 1 {
		return -1
	}
	count := math.Ceil((to[0] - from[0]) / by[0])
	if math.IsNaN(count) || count > math.MaxInt32 {
		return -1
	}
	return int64(max(count, 0))
}
