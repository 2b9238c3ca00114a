package bodies

import (
	"math"
	"strings"

	"finetune/internal/dims"
	"finetune/internal/rng"
	"finetune/onnx/weights"
)

// Seeded returns a state dict of made-up weights for tests: each tensor is drawn
// from the stream (seed, name), so that testdata/reference/bodies_logits.py
// makes the same without a file in between.
//
// Draws are uniform. Convolutions keep the variance of what enters them (He et
// al. 2015: bound sqrt(6/fan-in) after a ReLU, sqrt(3/fan-in) elsewhere), running
// statistics are near 0 and 1, and the last BatchNorm of a residual branch has a
// small scale, so that sums over many blocks stay in range.
func Seeded(name string, seed uint64) ([]weights.Tensor, error) {
	state, err := Parameters(name)
	if err != nil {
		return nil, err
	}
	byName := weights.ByName(state)
	for i, t := range state {
		lo, hi := span(t, byName)
		s := rng.New(seed, rng.Text(t.Name))
		data := make([]float32, dims.Product(t.Shape))
		for j := range data {
			data[j] = float32(s.Uniform(lo, hi))
		}
		state[i].Data = data
	}
	return state, nil
}

// span is the range from which a tensor's elements are drawn.
func span(t weights.Tensor, all map[string]weights.Tensor) (lo, hi float64) {
	layer, kind, dotted := cutLast(t.Name)
	if !dotted {
		kind = t.Name
	}
	switch {
	case len(t.Shape) == 4:
		fan := float64(t.Shape[1] * t.Shape[2] * t.Shape[3])
		gain := 6.0
		if strings.HasSuffix(layer, "_expand_conv") || layer == "_conv_head" || layer == "_conv_stem" ||
			layer == "conv1" {
			gain = 3
		}
		return -math.Sqrt(gain / fan), math.Sqrt(gain / fan)
	case len(t.Shape) == 2:
		bound := math.Sqrt(3 / float64(t.Shape[1]))
		return -bound, bound
	case kind == "running_var":
		return 0.75, 1.25
	case kind == "weight" && closesBranch(layer, all), kind == "gamma", kind == "lambda1",
		kind == "layer_scale":
		return 0.2, 0.4
	case kind == "weight":
		return 0.75, 1.25
	}
	return -0.1, 0.1 // biases and running means
}

// closesBranch reports whether a BatchNorm is the last before a residual sum.
func closesBranch(layer string, all map[string]weights.Tensor) bool {
	block, bn, ok := cutLast(layer)
	if !ok {
		return false
	}
	switch bn {
	case "bn2":
		_, longer := all[block+".bn3.weight"]
		return !longer
	case "bn3":
		return true
	case "_bn2":
		expand, ok := all[block+"._expand_conv.weight"]
		return ok && expand.Shape[1] == all[block+"._project_conv.weight"].Shape[0]
	}
	return false
}

func cutLast(s string) (before, after string, found bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
