package surgery_test

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/surgery"
)

// What cannot be put into an order, or written out, is told by every step, which then gives nothing.
func TestEveryStepTellsABrokenGraph(t *testing.T) {
	head := func(b *graph.Builder, x string) string { return b.Node("GlobalAveragePool", "mean", []string{x}) }
	circle := onMap(8, 8, head)
	circle.Graph.Node[0].Input[0] = "mean"
	endless := onMap(8, 8, head)
	endless.Graph.Node[1].OpType = proto.String("Itself")
	endless.Functions = []*onnxpb.FunctionProto{{Name: proto.String("Itself"), Input: []string{"x"}, Output: []string{"y"},
		Node: []*onnxpb.NodeProto{{OpType: proto.String("Itself"), Input: []string{"x"}, Output: []string{"y"}}}}}
	steps := map[string]func(m *graph.Model) (nothing bool, err error){
		"FindCut": func(m *graph.Model) (bool, error) {
			cut, channels, err := surgery.FindCut(m)
			return cut == "" && channels == 0, err
		},
		"CutAt":         func(m *graph.Model) (bool, error) { got, err := surgery.CutAt(m, "map"); return got == nil, err },
		"Features":      func(m *graph.Model) (bool, error) { got, err := surgery.Features(m, "map"); return got == nil, err },
		"Describe":      func(m *graph.Model) (bool, error) { got, err := surgery.Describe(m); return got.Digest == "", err },
		"CheckDivisors": func(m *graph.Model) (bool, error) { return true, surgery.CheckDivisors(m) },
		"Groups":        func(m *graph.Model) (bool, error) { got, err := surgery.Groups(m); return got == nil, err },
		"Groups, split": func(m *graph.Model) (bool, error) { got, err := surgery.Groups(m, "mean"); return got == nil, err },
		"FrozenOutputs": func(m *graph.Model) (bool, error) {
			got, err := surgery.FrozenOutputs(m, []string{"w"})
			return got == nil, err
		},
		"After": func(m *graph.Model) (bool, error) {
			got, err := surgery.After(m, "map", []int64{6, 8, 8})
			return got == nil, err
		},
	}
	for name, step := range steps {
		if nothing, err := step(circle); err == nil || !strings.Contains(err.Error(), "its own output") || !nothing {
			t.Errorf("%s of a circle: %v", name, err)
		}
	}
	for _, name := range []string{"FindCut", "CutAt", "Features", "Describe", "CheckDivisors"} {
		if nothing, err := steps[name](endless); err == nil || !strings.Contains(err.Error(), "deep") || !nothing {
			t.Errorf("%s of a function that calls itself: %v", name, err)
		}
	}
}
