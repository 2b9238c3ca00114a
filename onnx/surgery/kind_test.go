package surgery_test

import (
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// part builds a network whose weights are ones; names count up.
type part struct{ *graph.Builder }

func (p part) weights(shape ...int64) string {
	n := int64(1)
	for _, d := range shape {
		n *= d
	}
	return p.Init("", shape, slices.Repeat([]float32{1}, int(n)))
}

func (p part) norm(x, name string, c int64) string {
	return p.Node("LayerNormalization", name, []string{x, p.weights(c), p.weights(c)})
}

func (p part) view(x string, target ...int64) string {
	return p.Node("Reshape", "", []string{x, p.Ints("", []int64{int64(len(target))}, target)})
}

func (p part) linear(x string, in, out int64) string {
	return p.Node("Add", "", []string{p.weights(out), p.Node("MatMul", "", []string{x, p.weights(in, out)})})
}

// block is attention of one head and a layer, each beside the way of the tokens.
func (p part) block(x string, c int64) string {
	n := p.norm(x, "", c)
	scores := p.Node("MatMul", "", []string{n, p.Node("Transpose", "", []string{n}, graph.Ints("perm", 0, 2, 1))})
	y := p.Node("MatMul", "", []string{p.Node("Softmax", "", []string{scores}, graph.Int("axis", -1)), n})
	x = p.Node("Add", "", []string{x, p.linear(y, c, c)})
	y = p.Node("Gelu", "", []string{p.linear(p.norm(x, "", c), c, c)})
	return p.Node("Add", "", []string{x, p.linear(y, c, c)})
}

// vit is a transformer with prefix tokens before those of 16 patches of 8 pixels, of 6 channels each.
func vit(prefix int64, end func(p part, x string) string) *graph.Model {
	p := part{graph.NewBuilder("vit", 20)}
	x := p.Node("Conv", "patches", []string{p.Input("image", graph.Float32, "N", 3, 32, 32), p.weights(6, 3, 8, 8)},
		graph.Ints("strides", 8, 8))
	x = p.Node("Transpose", "rows", []string{p.view(x, 0, 6, 16)}, graph.Ints("perm", 0, 2, 1))
	if prefix > 0 { // as the newer exporter writes it: for a batch that Shape tells
		batch := p.Node("Shape", "", []string{x}, graph.Int("start", 0), graph.Int("end", 1))
		target := p.Node("Concat", "", []string{batch, p.Ints("", []int64{2}, []int64{prefix, 6})}, graph.Int("axis", 0))
		class := p.Node("Expand", "", []string{p.weights(1, prefix, 6), target})
		x = p.Node("Concat", "tokens", []string{class, x}, graph.Int("axis", 1))
	}
	x = p.Node("Add", "placed", []string{x, p.weights(1, 16+prefix, 6)})
	x = p.block(p.block(x, 6), 6)
	p.Output(end(p, p.norm(x, "last", 6)), graph.Float32)
	return p.Model()
}

// TestKindsOfFeatures: what a network ends in, its prefix and width, told from the graph.
func TestKindsOfFeatures(t *testing.T) {
	first := func(p part, x string) string {
		return p.Node("Gather", "", []string{x, p.Ints("", []int64{}, []int64{0})}, graph.Int("axis", 1))
	}
	class := func(p part, x string) string { return p.linear(first(p, x), 6, 10) }
	patches := func(p part, x string) string {
		one := func(v int64) string { return p.Ints("", []int64{1}, []int64{v}) }
		x = p.Node("Slice", "", []string{x, one(1), one(99), one(1)})
		return p.Node("ReduceMean", "", []string{x, one(1)}, graph.Int("keepdims", 0))
	}
	itself := func(p part, x string) string { return p.Node("Identity", "last_hidden_state", []string{x}) }
	// attention of one learned token for the others, as SigLIP pools
	probed := func(p part, x string) string {
		scores := p.Node("MatMul", "", []string{p.weights(1, 1, 6),
			p.Node("Transpose", "", []string{x}, graph.Ints("perm", 0, 2, 1))})
		y := p.Node("MatMul", "", []string{p.Node("Softmax", "", []string{scores}, graph.Int("axis", -1)), x})
		return p.Node("Flatten", "pooled", []string{y})
	}
	// windows of an image whose channels are last, as Swin's
	last := func(p part, x string) string {
		x = p.norm(p.view(x, 0, 4, 4, 6), "map", 6)
		return p.Node("ReduceMean", "", []string{x, p.Ints("", []int64{2}, []int64{1, 2})}, graph.Int("keepdims", 0))
	}
	turned := func(p part, x string) string {
		return p.Node("GlobalAveragePool", "", []string{p.Node("Transpose", "", []string{x}, graph.Ints("perm", 0, 2, 1))})
	}
	for _, c := range []struct {
		name   string
		model  *graph.Model
		tensor string
		kind   surgery.Kind
		prefix int64
		width  int64
	}{
		{"a class token and a classifier", vit(1, class), "last", surgery.Tokens, 1, 12},
		{"registers", vit(5, class), "last", surgery.Tokens, 5, 12},
		{"a mean without the class token", vit(1, patches), "last", surgery.Tokens, 1, 12},
		{"a mean of all", vit(0, func(p part, x string) string {
			return p.Node("ReduceMean", "", []string{x, p.Ints("", []int64{1}, []int64{1})}, graph.Int("keepdims", 0))
		}), "last", surgery.Tokens, 0, 6},
		{"nothing behind the tokens", vit(1, itself), "last_hidden_state", surgery.Tokens, 1, 12},
		{"attention that pools", vit(0, probed), "pooled", surgery.Vector, 0, 6},
		{"attention that pools, and a classifier",
			vit(0, func(p part, x string) string { return p.linear(probed(p, x), 6, 10) }), "pooled", surgery.Vector, 0, 6},
		{"an embedding under its name", vit(1, func(p part, x string) string {
			return p.Node("MatMul", "image_embeds", []string{first(p, x), p.weights(6, 4)})
		}), "image_embeds", surgery.Vector, 0, 4},
		{"channels last", vit(0, last), "map", surgery.Map, 0, 12},
		{"tokens behind the channels", vit(0, turned), "Transpose_38", surgery.Tokens, 0, 6},
	} {
		tensor, channels, err := surgery.FindCut(c.model)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		cut, err := surgery.At(c.model, tensor)
		if c.tensor == "Transpose_38" { // named by the builder
			c.tensor = tensor
		}
		if err != nil || tensor != c.tensor || cut.Kind != c.kind || cut.Prefix != c.prefix || cut.Width != c.width ||
			cut.Channels != channels {
			t.Errorf("%s: cut at %s, %+v, %v", c.name, tensor, cut, err)
			continue
		}
		f, err := surgery.Features(c.model, tensor)
		if err != nil || f.Check() != nil || !slices.Equal(f.Outputs()[0].Shape, []int64{-1, c.width}) {
			t.Errorf("%s: features %v, %v", c.name, f.Outputs(), err)
		}
	}
}

// TestWorthlessCutsAreRefused: of a network of some layers neither patch embeddings nor attention are features. What
// the refusal names can be cut at.
func TestWorthlessCutsAreRefused(t *testing.T) {
	m := vit(1, func(p part, x string) string { return p.linear(x, 6, 10) })
	var weights, scores string
	for _, n := range m.Graph.Node {
		if n.GetOpType() == "Softmax" {
			weights, scores = n.Output[0], n.Input[0]
		}
	}
	for tensor, want := range map[string]string{
		"patches": "patch embedding", "rows": "patch embedding", "placed": "patch embedding", weights: "attention",
		scores: "attention", "absent": "no node makes",
	} {
		_, err := surgery.Features(m, tensor)
		if err == nil || !strings.Contains(err.Error(), want) || failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s: %v", tensor, err)
			continue
		}
		_, advice, _ := strings.Cut(err.Error(), "one of: ")
		for _, part := range strings.Split(advice, "), ") {
			name, _, _ := strings.Cut(part, " (")
			if _, err := surgery.Features(m, name); err != nil {
				t.Errorf("the advice %q: %v", part, err)
			}
		}
	}
}

// TestPrefixThatCannotBe: tokens that fit no grid of patches are refused, not pooled.
func TestPrefixThatCannotBe(t *testing.T) {
	m := vit(40, func(p part, x string) string { return x })
	if _, _, err := surgery.FindCut(m); err == nil {
		t.Error("40 tokens before 16 patches were taken")
	}
	if _, err := surgery.At(m, "last"); err == nil || !strings.Contains(err.Error(), "no grid of patches") {
		t.Errorf("%v", err)
	}
}
