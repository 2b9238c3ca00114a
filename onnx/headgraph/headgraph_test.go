package headgraph_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/batchnorm"
	"finetune/onnx/graph"
	"finetune/onnx/headgraph"
)

// seeded are layers of the given sizes, no number of which is 0 or 1.
func seeded(sizes ...int) []headgraph.Layer {
	s := rng.New(7)
	draws := func(n int) []float32 {
		v := make([]float32, n)
		for i := range v {
			v[i] = float32(s.Uniform(.2, 1.5))
		}
		return v
	}
	var layers []headgraph.Layer
	for i, out := range sizes[1:] {
		in := sizes[i]
		l := headgraph.Layer{Drop: .25, Weight: draws(in * out), Bias: draws(out),
			Norm: batchnorm.Norm{Gamma: draws(in), Beta: draws(in), Mean: draws(in), Variance: draws(in),
				Epsilon: .125}}
		for j := range l.Weight {
			l.Weight[j] -= .8
		}
		layers = append(layers, l)
	}
	return layers
}

func run(t *testing.T, m *graph.Model, rows []float32, width int64, output string, classes int64) []float32 {
	t.Helper()
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.OpenBytes("head", data, []string{headgraph.Rows}, []string{output}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	n := int64(len(rows)) / width
	out := make([]float32, n*classes)
	x, err := onnx.Float32(rows, n, width)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	y, err := onnx.Float32(out, n, classes)
	if err != nil {
		t.Fatal(err)
	}
	defer y.Close()
	if err := s.Run([]*onnx.Tensor{x}, []*onnx.Tensor{y}); err != nil {
		t.Fatal(err)
	}
	return out
}

// TestBothFormsAgree: what predicts gives the probabilities of what trains, dropout being the identity outside
// training.
func TestBothFormsAgree(t *testing.T) {
	onnxtest.Start(t)
	rows := make([]float32, 3*6)
	for i := range rows {
		rows[i] = float32(math.Sin(float64(i)))
	}
	for _, sizes := range [][]int{{6, 3}, {6, 5, 3}, {6, 5, 4, 2}} {
		for _, multi := range []bool{false, true} {
			classes := sizes[len(sizes)-1]
			layers := seeded(sizes...)
			m, _ := headgraph.Training(layers, "logits", 17)
			logits := run(t, m, rows, 6, "logits", int64(classes))
			predict := headgraph.Inference(layers, multi, 17)
			p := run(t, predict, rows, 6, headgraph.Probabilities, int64(classes))
			logp := run(t, predict, rows, 6, headgraph.LogProbabilities, int64(classes))
			for i := range logits {
				want := 1 / (1 + math.Exp(-float64(logits[i])))
				if !multi {
					sum := 0.0
					for _, v := range logits[i/classes*classes : (i/classes+1)*classes] {
						sum += math.Exp(float64(v))
					}
					want = math.Exp(float64(logits[i])) / sum
				}
				if math.Abs(float64(p[i])-want) > 1e-5 || math.Abs(float64(logp[i])-math.Log(want)) > 1e-4 {
					t.Errorf("sizes %v, multi %v: probability %g and its logarithm %g, the logits say %g", sizes, multi, p[i], logp[i],
						want)
				}
			}
		}
	}
}

// TestTrainableNames: as in nn.Sequential, where a dropout of rate 0 does not count.
func TestTrainableNames(t *testing.T) {
	layers := seeded(6, 5, 3)
	layers[1].Drop = 0
	m, names := headgraph.Training(layers, "logits", 17)
	want := []string{"0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias", "5.weight", "5.bias"}
	if !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
	inits := m.Initializers()
	for _, name := range append(names, "0.running_mean", "4.running_var", "1.rate") {
		if inits[name] == nil {
			t.Errorf("no tensor %s", name)
		}
	}
	for _, n := range m.Graph.Node { // 0.9 of what was: a tenth of each batch, as in PyTorch
		if n.GetOpType() == "BatchNormalization" && (graph.FindFloat(n, "momentum", 0) != .9 ||
			graph.FindFloat(n, "epsilon", 0) != .125) {
			t.Errorf("attributes %v", n.Attribute)
		}
	}
	if got := fmt.Sprint(inits["2.weight"].Dims, inits["5.weight"].Dims); got != "[5 6] [3 5]" {
		t.Errorf("weights %s", got)
	}
}
