package headgraph_test

import (
	"math"
	"testing"

	"finetune/audit"
	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/onnx/graph"
	"finetune/onnx/headgraph"
	"finetune/onnx/quantize"
)

// TestOddnessOfTheGraph: the graph says of rows what the plane says, in every version of the operators.
func TestOddnessOfTheGraph(t *testing.T) {
	onnxtest.Start(t)
	const features = 24
	s := rng.New(5)
	var train [][]float32
	for range 60 {
		row := make([]float32, features)
		for j := range row {
			row[j] = float32(math.Abs(s.Normal()) * float64(1+j%5))
		}
		train = append(train, row)
	}
	p, err := audit.NewPlane(train, nil)
	if err != nil {
		t.Fatal(err)
	}
	shape := []int64{int64(len(p.Axes)) / features, features}
	axes, err := quantize.HalfTensor("axes", graph.FloatTensor("axes", shape, p.Axes))
	if err != nil {
		t.Fatal(err)
	}
	rows := [][]float32{train[3], make([]float32, features), train[5]}
	for j := range rows[2] {
		rows[2][j] *= float32(1 - j%3)
	}
	var flat []float32
	for _, r := range rows {
		flat = append(flat, r...)
	}
	for _, opset := range []int64{11, 17, 21} {
		m := headgraph.Odd(p.Mean, axes, float32(p.Threshold), opset)
		for i, got := range run(t, m, flat, features, headgraph.Oddness, 1) {
			if want := p.Oddness(rows[i]); math.Abs(float64(got-want)) > 1e-5*float64(want) {
				t.Errorf("version %d, row %d: %g, want %g", opset, i, got, want)
			}
		}
	}
}
