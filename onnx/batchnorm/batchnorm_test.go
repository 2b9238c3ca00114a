package batchnorm

import (
	"math"
	"testing"
)

var norm = Norm{Gamma: []float32{2, -.5}, Beta: []float32{1, 3}, Mean: []float32{.25, -4}, Variance: []float32{4, 1e-6},
	Epsilon: .125}

// normed is what n makes of a value of channel c.
func normed(n Norm, c int, x float64) float64 {
	return float64(n.Gamma[c])*(x-float64(n.Mean[c]))/math.Sqrt(float64(n.Variance[c])+n.Epsilon) + float64(n.Beta[c])
}

func check(t *testing.T, what string, got, want float64) {
	t.Helper()
	if math.Abs(got-want) > 1e-5*(1+math.Abs(want)) { // of float32 weights
		t.Errorf("%s: %g, want %g", what, got, want)
	}
}

// Three numbers enter two channels, which are normalised.
func TestIntoPrevious(t *testing.T) {
	weight, bias, x := []float32{1, 2, 3, -1, .5, 0}, []float32{.5, -2}, []float64{.1, -.2, .3}
	w, b := norm.IntoPrevious(weight, bias)
	for c := range 2 {
		before, after := float64(bias[c]), float64(b[c])
		for i, v := range x {
			before += float64(weight[c*3+i]) * v
			after += float64(w[c*3+i]) * v
		}
		check(t, "behind", after, normed(norm, c, before))
	}
}

// Two channels are normalised and enter three numbers.
func TestIntoNext(t *testing.T) {
	weight, bias, x := []float32{1, 2, 3, -1, .5, 0}, []float32{.5, -2, 0}, []float64{.1, -.2}
	w, b := norm.IntoNext(weight, bias)
	for o := range 3 {
		before, after := float64(bias[o]), float64(b[o])
		for c, v := range x {
			before += float64(weight[o*2+c]) * normed(norm, c, v)
			after += float64(w[o*2+c]) * v
		}
		check(t, "before", after, before)
	}
}

// The default of ONNX's BatchNormalization and of PyTorch's BatchNorm2d.
func TestEpsilon(t *testing.T) {
	if Epsilon != 1e-5 {
		t.Error(Epsilon)
	}
}

func TestChannels(t *testing.T) {
	if norm.Channels() != 2 || (Norm{}).Channels() != 0 {
		t.Error(norm.Channels())
	}
	for i := range 3 {
		n := norm
		*[]*[]float32{&n.Beta, &n.Mean, &n.Variance}[i] = []float32{1}
		if n.Channels() != -1 {
			t.Errorf("list %d is shorter: %d channels", i, n.Channels())
		}
	}
}
