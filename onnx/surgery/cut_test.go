package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

func TestNoCutNamesTheFlagAndCandidates(t *testing.T) {
	_, _, err := surgery.FindCut(read(t, "graph_no_pooling.onnx"))
	if err == nil || !strings.Contains(err.Error(), "--cut") ||
		!strings.Contains(err.Error(), "m (tokens 1 × 16, 1 feature)") ||
		failure.KindOf(err) != failure.DataKind {
		t.Errorf("got %v", err)
	}
}

func TestCutAtUnknownTensor(t *testing.T) {
	_, err := surgery.CutAt(tiny(), "absent")
	if err == nil || !strings.Contains(err.Error(), "conv (map 4 × 8 × 8, 8 features)") {
		t.Errorf("got %v", err)
	}
}

func TestCutDropsWhatIsNotNeeded(t *testing.T) {
	m := read(t, "graph_if_branch.onnx")
	body, err := surgery.CutAt(m, "map")
	if err != nil {
		t.Fatal(err)
	}
	if err := body.Check(); err != nil {
		t.Fatal(err)
	}
	var ops, inits []string
	for _, n := range body.Graph.Node {
		ops = append(ops, n.GetOpType())
	}
	for _, w := range body.Graph.Initializer {
		inits = append(inits, w.GetName())
	}
	if want := []string{"Conv", "Relu", "If", "Relu"}; !slices.Equal(ops, want) {
		t.Errorf("nodes %v, want %v", ops, want)
	}
	if want := []string{"w", "v", "yes"}; !slices.Equal(inits, want) { // v is read inside the branches alone
		t.Errorf("initializers %v, want %v", inits, want)
	}
	if v, _ := body.Meta("näme"); v != "ünïcode" {
		t.Errorf("metadata %v", body.MetadataProps)
	}
}

// concatHead is a network whose head pools twice, as fast.ai's does, after a
// block with squeeze-and-excitation.
func concatHead() *graph.Model {
	b := graph.NewBuilder("concat", 17)
	x := b.Input("image", graph.Float32, "N", 3, 32, 32)
	w := b.Init("w", []int64{8, 3, 3, 3}, make([]float32, 216))
	x = b.Node("Conv", "map", []string{x, w})
	gate := b.Node("Sigmoid", "gate", []string{b.Node("GlobalAveragePool", "squeeze", []string{x})})
	x = b.Node("Mul", "excited", []string{x, gate})
	most := b.Node("GlobalMaxPool", "max", []string{x})
	mean := b.Node("GlobalAveragePool", "mean", []string{x})
	both := b.Node("Concat", "both", []string{most, mean}, graph.Int("axis", 1))
	b.Output(b.Node("Flatten", "flat", []string{both}), graph.Float32, "N", 16)
	return b.Model()
}

func TestCutUnderTwoPoolings(t *testing.T) {
	m := concatHead()
	cut, channels, err := surgery.FindCut(m)
	if err != nil || cut != "excited" || channels != 8 {
		t.Fatalf("FindCut = %q, %d, %v", cut, channels, err)
	}
	body, err := surgery.Features(m, cut)
	if err != nil {
		t.Fatal(err)
	}
	if cut, _, err = surgery.FindCut(body); err != nil || cut != "excited" {
		t.Errorf("a model made by Features is cut at %q, %v", cut, err)
	}
}

func TestExciteWithoutPoolingIsNoCut(t *testing.T) {
	b := graph.NewBuilder("excite", 17)
	x := b.Input("image", graph.Float32, "N", 3, 32, 32)
	gate := b.Node("GlobalAveragePool", "squeeze", []string{x})
	b.Output(b.Node("Mul", "excited", []string{x, gate}), graph.Float32, "N", 3, 32, 32)
	if cut, _, err := surgery.FindCut(b.Model()); err == nil {
		t.Errorf("cut at %q, beside which the data passes", cut)
	}
}

func TestFixedBatchStaysWhereTheGraphNeedsIt(t *testing.T) {
	b := graph.NewBuilder("windows", 17)
	x := b.Input("image", graph.Float32, 1, 3, 8, 8)
	// Windows of 4x4 become a batch of four, and back: 4 and 1 are written into the graph.
	x = b.Node("Reshape", "", []string{x, b.Ints("split", []int64{4}, []int64{4, 3, 4, 4})})
	x = b.Node("Relu", "", []string{x})
	x = b.Node("Reshape", "map", []string{x, b.Ints("join", []int64{4}, []int64{1, 3, 8, 8})})
	b.Output(x, graph.Float32, 1, 3, 8, 8)
	body, err := surgery.Features(b.Model(), "map")
	if err != nil {
		t.Fatal(err)
	}
	if in, err := body.Image(); err != nil || in.Batch() != 1 {
		t.Errorf("batch %d, %v; want the fixed 1", in.Batch(), err)
	}
	if out := body.Outputs()[0].Shape; !slices.Equal(out, []int64{1, 6}) {
		t.Errorf("output shape %v", out)
	}
}

func TestFeaturesLeavesItsModelAlone(t *testing.T) {
	for _, file := range []string{"graph_if_branch.onnx", "graph_shuffle_fixed_opset13.onnx", "graph_functions.onnx",
		"graph_resnet_inputs_opset9.onnx"} {
		m := read(t, file)
		before, err := m.Digest()
		if err != nil {
			t.Fatal(err)
		}
		cut, _, err := surgery.FindCut(m)
		if err != nil {
			t.Fatal(err)
		}
		body, err := surgery.Features(m, cut)
		if err != nil {
			t.Fatal(err)
		}
		body.SetMeta("näme", "other")
		values := map[string][]float32{}
		for name, w := range body.Initializers() {
			if v, err := graph.FloatsOf(w); err == nil {
				values[name] = make([]float32, len(v))
			}
		}
		if err := body.UpdateInitializers(values); err != nil {
			t.Fatal(err)
		}
		if after, _ := m.Digest(); after != before {
			t.Errorf("%s: changed by work on its body", file)
		}
	}
}
