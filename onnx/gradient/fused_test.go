package gradient_test

import (
	"slices"
	"strings"
	"testing"

	"finetune/onnx/gradient"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// blockedKinds counts the operators of a chain in blocks of 16 channels, all of its parameters trained.
func blockedKinds(t *testing.T, name string) map[string]int {
	t.Helper()
	g, err := differentiate(18, gradient.Options{Block: 16}, chains[name])
	if err != nil {
		t.Fatal(err)
	}
	return kinds(g)
}

// TestConvolutionsTakeWhatFollows: a blocked convolution adds another term and applies Relu in its own pass where it
// alone
// makes the term or what Relu reads, nothing else reads that, and it does not do so already; in the derivative too.
func TestConvolutionsTakeWhatFollows(t *testing.T) {
	for name, want := range map[string]struct{ convs, relus, sums int }{
		"conv, relu":                     {3, 0, 0},
		"conv, relu, relu":               {3, 1, 0},
		"conv, sigmoid, relu":            {3, 1, 1}, // the sum is the sigmoid's derivative, 1-y
		"conv, and its relu":             {3, 1, 2},
		"conv and conv":                  {6, 0, 0},
		"conv and conv, relu":            {6, 0, 0},
		"conv and itself":                {3, 0, 2},
		"relu of conv, and conv":         {6, 0, 0},
		"conv, and relu of conv":         {6, 0, 0},
		"relu of conv, and relu of conv": {6, 0, 1},
		"three convs":                    {9, 0, 0},
		"a conv of a sum, and the sum":   {9, 0, 0},
		"bottleneck":                     {8, 0, 0}, // a pointwise filter's derivative is a matrix product
		"conv and pixels":                {3, 0, 0},
		"conv less conv":                 {6, 0, 0},
	} {
		n := blockedKinds(t, name)
		if n["com.microsoft.nchwc.Conv"] != want.convs || n["Relu"] != want.relus || n["Add"] != want.sums ||
			n["Conv"]+n["ConvTranspose"] > 0 {
			t.Errorf("%s: %d blocked convolutions, %d Relus, %d sums and %d plain convolutions, want %v", name,
				n["com.microsoft.nchwc.Conv"], n["Relu"], n["Add"], n["Conv"]+n["ConvTranspose"], want)
		}
	}
}

// TestLayoutsDoNotChangeInBetween: operators on single numbers, poolings over the map and sums of channels take blocked
// tensors as they are.
func TestLayoutsDoNotChangeInBetween(t *testing.T) {
	changes := func(name string) [2]int {
		n := blockedKinds(t, name)
		return [2]int{n["com.microsoft.nchwc.ReorderInput"], n["com.microsoft.nchwc.ReorderOutput"]}
	}
	alone := changes("conv, identity")
	for name := range chains {
		if strings.HasPrefix(name, "conv, ") && !strings.HasPrefix(name, "conv, and") && !strings.Contains(name, "pool") &&
			!strings.Contains(name, "global") {
			if got := changes(name); got != alone {
				t.Errorf("%s changes the layout %v times, a convolution alone %v", name, got, alone)
			}
		}
	}
	for name, want := range map[string][2]int{ // there, back
		"conv, identity":       {5, 3}, // x, w, w turned, dy, x's images; the result, dx, dw
		"conv, global average": {5, 2}, // the mean is plain
		"classifier":           {5, 2},
		"conv less a number":   alone,
		"batch norm of a sum":  alone,
		"three convs":          {9, 5},
		"bottleneck":           {9, 7},
	} {
		if got := changes(name); got != want {
			t.Errorf("%s changes the layout %v times, want %v", name, got, want)
		}
	}
}

// TestNormsAreFolded: where a normalisation goes into the convolution before it, that one has a bias. Only a trained
// filter
// costs its derivative, the one matrix product here.
func TestNormsAreFolded(t *testing.T) {
	for _, frozen := range []bool{true, false} {
		for _, trained := range [][]string{{"w"}, {"ga"}, {"be"}, {"ga", "be"}, {"w", "ga"}, {"w", "be"}, {"w", "ga", "be"}} {
			for _, readers := range []int{1, 2} {
				g, err := differentiate(17, gradient.Options{Trainable: trained, FrozenStats: func(string) bool { return frozen }},
					func(m *maker) string {
						y := m.conv(m.batch("image", 3, 5, 4), m.p("w", 16, 3, 2, 2))
						if z := m.norm(y); readers == 1 {
							return z
						} else {
							return m.op("Add", z, y)
						}
					})
				if err != nil {
					t.Fatal(err)
				}
				filter := slices.Contains(trained, "w")
				batch := !frozen && slices.Contains(trained, "ga")
				bias := false
				walk(g.Model.Graph, func(n *onnxpb.NodeProto) { bias = bias || n.GetOpType() == "Conv" && len(n.Input) > 2 })
				n := kinds(g)
				if want := readers == 1 && (filter || batch); bias != want || (n["Gemm"] > 0) != filter ||
					(len(g.Stats) > 0) != batch {
					t.Errorf("frozen %v, trained %v, %d readers: folded %v, want %v; %d products, %d statistics", frozen, trained,
						readers, bias, want, n["Gemm"], len(g.Stats))
				}
			}
		}
	}
}

// TestWhatIsNotReachedIsCopied: a convolution whose filter is computed, over rows or over open sizes, has no derivative
// to need
// and stays as it is in both layouts.
func TestWhatIsNotReachedIsCopied(t *testing.T) {
	for name, build := range map[string]func(m *maker) string{
		"rows": func(m *maker) string { return m.conv(m.batch("image", 16, 8), m.Input("k", graph.Float32, 16, 16, 3)) },
		"open sizes": func(m *maker) string {
			return m.conv(m.batch("image", 16, "H", "W"), m.Input("k", graph.Float32, 16, 16, 3, 3))
		},
		"constants": func(m *maker) string {
			return m.conv(m.batch("image", 16, 8, 8), m.op("Exp", m.fixed("k", 16, 16, 3, 3)))
		},
	} {
		for _, block := range []int64{0, 16} {
			g, err := differentiate(17, gradient.Options{Block: block},
				func(m *maker) string { return m.op("Mul", build(m), m.p("s", 1)) })
			if err != nil {
				t.Errorf("%s: %v", name, err)
			} else if n := kinds(g); n["Conv"] != 1 || n["com.microsoft.nchwc.ReorderInput"] > 0 {
				t.Errorf("%s, block %d: %v", name, block, n)
			}
		}
	}
}
