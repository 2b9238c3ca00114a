package surgery_test

import (
	"strings"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// A transformer is named as one; its patch embedding is no place to cut at.
func TestTransformersAreNamed(t *testing.T) {
	b := graph.NewBuilder("tokens", 17)
	x := b.Input("image", graph.Float32, "N", 3, 8, 8)
	x = b.Node("Conv", "patches", []string{x, b.Init("w", []int64{4, 3, 4, 4}, make([]float32, 192))},
		graph.Ints("strides", 4, 4))
	x = b.Node("Reshape", "rows", []string{x, b.Ints("shape", []int64{3}, []int64{0, 4, 4})})
	keys := b.Node("Transpose", "keys", []string{x}, graph.Ints("perm", 0, 2, 1))
	x = b.Node("MatMul", "mixed",
		[]string{b.Node("Softmax", "weights", []string{b.Node("MatMul", "scores", []string{x, keys})}), x})
	b.Output(b.Node("Gather", "first", []string{x, b.Ints("token", nil, []int64{0})}, graph.Int("axis", 1)), graph.Float32)
	_, _, err := surgery.FindCut(b.Model())
	if err == nil || !strings.Contains(err.Error(), "transformer") || strings.Contains(err.Error(), "--cut") {
		t.Errorf("%v", err)
	}
}
