package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"finetune/onnx/graph"
	"finetune/onnx/inspect"
	"finetune/onnx/surgery"
	"finetune/onnx/trainable"
)

func TestGroupsSplitAtStride16(t *testing.T) {
	m := read(t, "graph_resnet_bn_opset13.onnx")
	cut, _, err := surgery.FindCut(m)
	if err != nil {
		t.Fatal(err)
	}
	body, err := surgery.CutAt(m, cut)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := trainable.Groups(body)
	if err != nil || len(groups) != 2 || groups[0].Name != "early" || groups[1].Name != "middle" {
		t.Fatalf("%+v, %v", groups, err)
	}
	// Strides: stem 2, pool 4, blocks 2 to 5 of the trunk 4, 8, 16, 32. The running
	// mean and variance of BatchNorm are not trained.
	for k, g := range groups {
		for _, p := range g.Parameters {
			late := strings.HasPrefix(p, "trunk.4.") || strings.HasPrefix(p, "trunk.5.")
			if late != (k == 1) || strings.Contains(p, "running") {
				t.Errorf("%s is in group %s", p, g.Name)
			}
		}
	}
	// PyTorch: sum(p.numel() for p in net.trunk[:4].parameters()), and of trunk[4:].
	if groups[0].Count != 1500 || groups[1].Count != 2864 {
		t.Errorf("%d and %d parameters", groups[0].Count, groups[1].Count)
	}
}

func TestGroupsSplitAtNamedNodes(t *testing.T) {
	m := concatHead()
	if g, err := trainable.Groups(m); err != nil || len(g) != 1 || g[0].Name != "body" || g[0].Count != 216 {
		t.Errorf("%+v, %v", g, err)
	}
	if _, err := trainable.Groups(m, "absent"); err == nil ||
		!strings.Contains(err.Error(), "node or one of its outputs") {
		t.Errorf("unknown node: %v", err)
	}
	if _, err := trainable.Groups(m, "both"); err == nil || !strings.Contains(err.Error(), "no weights") {
		t.Errorf("empty group: %v", err)
	}
	b := graph.NewBuilder("three", 17)
	x := b.Input("x", graph.Float32, "N", 2)
	for _, name := range []string{"a", "b", "c"} {
		x = b.Node("Gemm", name, []string{x, b.Init(name+".w", []int64{2, 2}, make([]float32, 4))})
	}
	b.Output(x, graph.Float32, "N", 2)
	g, err := trainable.Groups(b.Model(), "b", "c")
	if err != nil || len(g) != 3 || g[1].First != "b" || !slices.Equal(g[2].Parameters, []string{"c.w"}) {
		t.Errorf("%+v, %v", g, err)
	}
}

func TestDescribe(t *testing.T) {
	info, err := inspect.Describe(read(t, "graph_resnet_opset17.onnx"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Opsets["ai.onnx"] != 17 || info.Channels != 10 || info.Cut == "" || len(info.Groups) != 2 ||
		len(info.Digest) != 64 ||
		info.Inputs[0].Layout != "NCHW" || info.Outputs[0].Name != "logits" || info.Operators[0].Name != "Conv" {
		t.Errorf("%+v", info)
	}
	info, err = inspect.Describe(read(t, "graph_no_pooling.onnx"))
	if err != nil || info.CutError == "" || info.Cut != "" || info.Metadata["task"] != "test" {
		t.Errorf("%+v, %v", info, err)
	}
	info, err = inspect.Describe(read(t, "graph_functions.onnx"))
	if err != nil || info.Functions != 3 || info.Channels != 8 || info.Parameters != 8*27+24 {
		t.Errorf("%+v, %v", info, err)
	}
}
