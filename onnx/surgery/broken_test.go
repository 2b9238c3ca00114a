package surgery_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
	"finetune/onnx/inspect"
	"finetune/onnx/shape"
	"finetune/onnx/surgery"
	"finetune/onnx/trainable"
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
		"CutAt": func(m *graph.Model) (bool, error) { got, err := surgery.CutAt(m, "map"); return got == nil, err },
		"Features": func(m *graph.Model) (bool, error) {
			got, err := surgery.Features(m, "map")
			return got == nil, err
		},
		"Describe":      func(m *graph.Model) (bool, error) { got, err := inspect.Describe(m); return got.Digest == "", err },
		"CheckDivisors": func(m *graph.Model) (bool, error) { return true, surgery.CheckDivisors(m) },
		"Groups":        func(m *graph.Model) (bool, error) { got, err := trainable.Groups(m); return got == nil, err },
		"Groups, split": func(m *graph.Model) (bool, error) {
			got, err := trainable.Groups(m, "mean")
			return got == nil, err
		},
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
		if nothing, err := step(circle); failure.KindOf(err) != failure.DataKind ||
			!strings.Contains(fmt.Sprint(err), "its own output") || !nothing {
			t.Errorf("%s of a circle: %v", name, err)
		}
	}
	for _, name := range []string{"FindCut", "CutAt", "Features", "Describe", "CheckDivisors"} {
		if nothing, err := steps[name](endless); err == nil || !strings.Contains(err.Error(), "deep") || !nothing {
			t.Errorf("%s of a function that calls itself: %v", name, err)
		}
	}
}

// methods is everything that looks at a whole graph.
var methods = map[string]func(m *graph.Model) error{
	"FrozenOutputs": func(m *graph.Model) error { _, err := surgery.FrozenOutputs(m, nil); return err },
	"After":         func(m *graph.Model) error { _, err := surgery.After(m, "conv", nil); return err },
	"Sorted":        func(m *graph.Model) error { _, err := m.Sorted(); return err },
	"Shapes":        func(m *graph.Model) error { _, err := shape.Shapes(m, nil); return err },
	"FindCut":       func(m *graph.Model) error { _, _, err := surgery.FindCut(m); return err },
	"CutAt":         func(m *graph.Model) error { _, err := surgery.CutAt(m, "conv"); return err },
	"Features":      func(m *graph.Model) error { _, err := surgery.Features(m, "conv"); return err },
	"Groups":        func(m *graph.Model) error { _, err := trainable.Groups(m); return err },
	"Describe":      func(m *graph.Model) error { _, err := inspect.Describe(m); return err },
	"CheckDivisors": func(m *graph.Model) error { return surgery.CheckDivisors(m) },
	"Check":         (*graph.Model).Check,
}

// TestFunctionsInCircles: so is a function that calls itself, by all that look into functions.
func TestFunctionsInCircles(t *testing.T) {
	for _, name := range []string{"FindCut", "CutAt", "Features", "Describe", "CheckDivisors"} {
		m := tiny()
		call := node("f", []string{"x"}, []string{"y"})
		call.Domain = proto.String("pkg")
		m.Functions = []*onnxpb.FunctionProto{{Name: proto.String("f"), Domain: proto.String("pkg"), Input: []string{"x"},
			Output: []string{"y"}, Node: []*onnxpb.NodeProto{call}}}
		again := proto.Clone(call).(*onnxpb.NodeProto)
		again.Input, again.Output = []string{"conv"}, []string{"called"}
		m.Graph.Node = append(m.Graph.Node, again)
		if err := methods[name](m); failure.KindOf(err) != failure.DataKind || !strings.Contains(fmt.Sprint(err), "deep") {
			t.Errorf("%s: %v", name, err)
		}
		if err := surgery.CheckInference(m); failure.KindOf(err) != failure.DataKind ||
			!strings.Contains(fmt.Sprint(err), "nested too deep") {
			t.Errorf("CheckInference: %v", err)
		}
	}
}

// TestNodesWithoutInputsOrOutputs: a file may hold any; none makes a method panic or run for ever.
func TestNodesWithoutInputsOrOutputs(t *testing.T) {
	ops := []string{"Identity", "Flatten", "Add", "Div", "Conv", "Reshape", "Gather", "Slice", "BatchNormalization",
		"Dropout", "Constant", "Concat", "Split", "MatMul", "Shape", "Transpose", "ReduceMean", "If"}
	for _, op := range ops {
		for _, ends := range [][2][]string{{nil, nil}, {nil, {""}}, {{""}, {""}}, {{"conv"}, nil}, {nil, {"made"}},
			{{""}, {"made"}}} {
			m := tiny()
			m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: &op, Input: ends[0], Output: ends[1]})
			if slices.Contains(ends[1], "made") { // and a node that leads back to one that makes ""
				m.Graph.Node = append(m.Graph.Node, &onnxpb.NodeProto{OpType: &op, Output: []string{""}},
					node("Add", []string{"conv", "made"}, []string{"sum"}))
			}
			if err := m.Check(); err != nil {
				t.Fatalf("%s %v: %v", op, ends, err)
			}
			for _, method := range methods {
				method(m)
			}
			surgery.CheckInference(m)
			surgery.UnshareInitializers(m)
		}
	}
}
