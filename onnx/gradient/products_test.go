package gradient_test

import (
	"math"
	"testing"

	"finetune/onnx/gradient"
	"finetune/onnx/graph"
	"finetune/onnx/onednn"
)

// TestProductsInBFloat16: a block of attention, whose products oneDNN computes in bfloat16, has nearly the gradients of
// the standard operators; transposes before a product are part of it.
func TestProductsInBFloat16(t *testing.T) {
	if targets(t)["oneDNN"].Domain == "" {
		t.Skip("skipped: oneDNN is not installed (finetune fetch onednn)")
	}
	m := &maker{Builder: graph.NewBuilder("attention", 17), name: "attention"}
	const tokens, width = 40, 64
	x := m.op("Add", m.batch("image", tokens, width), m.within("p", -.5, .5, 1, tokens, width))
	project := func(name string) string { return m.op("MatMul", x, m.within(name, -.2, .2, width, width)) }
	swapped := m.op("Transpose", project("k"), ints("perm", 0, 2, 1))
	weights := m.op("Softmax", m.op("MatMul", project("q"), swapped), i("axis", -1))
	rows := m.op("Reshape", m.op("MatMul", weights, project("v")), m.ints(-1, width))
	y := m.op("Gemm", rows, m.within("o", -.2, .2, 48, width), m.p("bias", 48), i("transB", 1))
	model := m.weighed(y)
	o := gradient.Options{Trainable: m.params}
	standard, err := gradient.Build(model, "loss", o)
	if err != nil {
		t.Fatal(err)
	}
	s := newSample(t, model, standard)
	want := numbers(s.open(t, standard.Model, s.outputs...)())
	o.OneDNN = onednn.BFloat16
	g, err := gradient.Build(model, "loss", o)
	if err != nil {
		t.Fatal(err)
	}
	n := kinds(g)
	if n["MatMul"]+n["Gemm"] > 0 || n[onednn.BFloat16+".MatMul"] != 18 {
		t.Errorf("%d products by oneDNN, %d others; want 18 and none", n[onednn.BFloat16+".MatMul"], n["MatMul"]+n["Gemm"])
	}
	for name, got := range numbers(newSample(t, model, g).open(t, g.Model, s.outputs...)()) {
		off := make([]float32, len(got))
		for i := range got {
			off[i] = got[i] - want[name][i]
		}
		if d := norm(off); !(d <= .02*norm(want[name])) || math.IsNaN(d) {
			t.Errorf("%s is %g from the standard operators', whose norm is %g", name, d, norm(want[name]))
		}
	}
}
