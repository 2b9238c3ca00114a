package bodies

import (
	"math"
	"slices"
	"strings"
	"testing"

	"finetune/internal/dims"
	"finetune/internal/failure"
	"finetune/onnx/weights"
)

// want: sum(p.numel() for p in model.parameters()) and the number of tensors in
// state_dict() less num_batches_tracked, torchvision 0.24.0,
// efficientnet_lite_pytorch 0.1.0 and timm 1.0.31 (img_size=224; CLIP and SigLIP with num_classes=0).
func TestParameterCounts(t *testing.T) {
	for name, want := range map[string]struct{ numbers, tensors int64 }{
		"resnet18": {11689512, 102}, "resnet34": {21797672, 182}, "resnet50": {25557032, 267},
		"resnet50-v2": {25557032, 267}, "convnext-t": {28589128, 182},
		"efficientnet-lite0": {4652008, 247}, "efficientnet-lite1": {5416680, 322}, "efficientnet-lite2": {6092072, 322},
		"vit-t16": {5717416, 152}, "vit-s16": {22050664, 152}, "vit-b16": {86567656, 152},
		"deit-t16": {5717416, 152}, "deit-s16": {22050664, 152}, "deit-b16": {86567656, 152},
		"deit-t16-distilled": {5910800, 155}, "deit-s16-distilled": {22436432, 155},
		"deit-b16-distilled": {87338192, 155},
		"dinov2-s14":         {21628800, 174}, "dinov2-b14": {85724928, 174},
		"dinov2-s14-reg": {21629952, 175}, "dinov2-b14-reg": {85727232, 175},
		"clip-b32": {87456000, 151}, "clip-b16": {85799424, 151}, "siglip-b16": {92884224, 162},
	} {
		params, err := Parameters(name)
		if err != nil {
			t.Fatal(err)
		}
		var numbers int64
		for _, p := range params {
			if !strings.Contains(p.Name, "running_") {
				numbers += dims.Product(p.Shape)
			}
		}
		if numbers != want.numbers || int64(len(params)) != want.tensors {
			t.Errorf("%s: %d numbers in %d tensors, the reference has %d in %d", name, numbers, len(params), want.numbers,
				want.tensors)
		}
	}
}

func TestEveryLayerHasAGroup(t *testing.T) {
	for _, name := range Names() {
		if v := architectures[name].vit; v != nil && v.width > 384 && name != "clip-b32" && name != "siglip-b16" {
			continue // a smaller one has the same layers
		}
		state, err := Parameters(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range state {
			state[i].Data = make([]float32, dims.Product(p.Shape))
		}
		m, spec, err := Build(name, state)
		if err != nil {
			t.Fatal(err)
		}
		parameters, last := weights.ByName(state), 0
		for _, node := range m.Graph.Node {
			g := spec.Group(node.GetName())
			if g < last {
				t.Errorf("%s: node %s is in group %d, one before it in %d", name, node.GetName(), g, last)
			}
			last = g
			for _, in := range node.Input {
				if _, ok := parameters[in]; ok && spec.Group(in) != g {
					t.Errorf("%s: %s is in group %d, its node %s in %d", name, in, spec.Group(in), node.GetName(), g)
				}
			}
		}
		if g := spec.Group(spec.Cut); spec.Groups[g].Name != "middle" || last != 2 && m.Outputs()[0].Name == "logits" {
			t.Errorf("%s: the cut is in group %d, the last node in %d", name, g, last)
		}
	}
}

func TestGroupBoundaries(t *testing.T) {
	for _, tt := range []struct {
		network, parameter string
		want               int
	}{
		{"resnet34", "layer2.3.bn2.bias", 0}, {"resnet34", "layer3.0.downsample.0.weight", 1}, {"resnet34", "fc.weight", 2},
		{"resnet34", "layer33", -1},
		{"efficientnet-lite0", "_blocks.4._bn2.weight", 0}, {"efficientnet-lite0", "_blocks.5._expand_conv.weight", 1},
		{"efficientnet-lite0", "_conv_head.weight", 1}, {"efficientnet-lite0", "relu6.max", -1},
	} {
		if got := (Spec{Groups: architectures[tt.network].groups}).Group(tt.parameter); got != tt.want {
			t.Errorf("%s: %s is in group %d, want %d", tt.network, tt.parameter, got, tt.want)
		}
	}
}

func TestMisfitsAreNamed(t *testing.T) {
	change := func(f func(state []weights.Tensor) []weights.Tensor) error {
		state, err := Seeded("resnet18", 1)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = Build("resnet18", f(state))
		return err
	}
	for _, tt := range []struct {
		name string
		f    func([]weights.Tensor) []weights.Tensor
		want string
	}{
		{"missing", func(s []weights.Tensor) []weights.Tensor { return s[1:] }, "missing conv1.weight"},
		{"many missing", func(s []weights.Tensor) []weights.Tensor { return s[20:] }, "and 16 more"},
		{"unknown", func(s []weights.Tensor) []weights.Tensor {
			return append(s, weights.Tensor{Name: "layer5.weight", Shape: []int64{0}})
		}, "unknown layer5.weight"},
		{"misshapen", func(s []weights.Tensor) []weights.Tensor {
			s[0].Shape = []int64{64, 3, 49}
			return s
		}, "conv1.weight is [64 3 49] instead of [64 3 7 7]"},
		{"short", func(s []weights.Tensor) []weights.Tensor { s[0].Data = s[0].Data[1:]; return s }, "wrong conv1.weight"},
		{"integers", func(s []weights.Tensor) []weights.Tensor {
			s[1].Ints, s[1].Data = make([]int64, 64), nil
			return s
		}, "bn1.weight holds integers"},
	} {
		err := change(tt.f)
		if err == nil || !strings.Contains(err.Error(), tt.want) || failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s: %v, want bad data with %q", tt.name, err, tt.want)
		}
	}
	if err := change(func(s []weights.Tensor) []weights.Tensor {
		return append(s, weights.Tensor{Name: "bn1.num_batches_tracked", Shape: []int64{}, Ints: []int64{5}})
	}); err != nil {
		t.Errorf("num_batches_tracked: %v", err)
	}
}

func TestAnyNumberOfClasses(t *testing.T) {
	state, err := Seeded("efficientnet-lite0", 1)
	if err != nil {
		t.Fatal(err)
	}
	n := len(state) // the classifier is last: weight, bias
	state[n-2].Shape, state[n-2].Data = []int64{3, 1280}, make([]float32, 3*1280)
	state[n-1].Shape, state[n-1].Data = []int64{3}, make([]float32, 3)
	m, _, err := Build("efficientnet-lite0", state)
	if err != nil {
		t.Fatal(err)
	}
	if shape := m.Outputs()[0].Shape; shape[1] != 3 {
		t.Errorf("logits %v, want 3 classes", shape)
	}
}

// want: round_filters of efficientnet_lite_pytorch 0.1.0.
func TestRoundFilters(t *testing.T) {
	for _, tt := range []struct {
		filters int64
		width   float64
		want    int64
	}{{16, 1.1, 16}, {24, 1.1, 24}, {40, 1.1, 48}, {80, 1.1, 88}, {112, 1.1, 120}, {192, 1.1, 208}, {320, 1.1, 352}, {24,
		1.8, 40}, {4, 1, 8}} {
		if got := roundFilters(tt.filters, tt.width); got != tt.want {
			t.Errorf("roundFilters(%d, %g) = %d, the reference gives %d", tt.filters, tt.width, got, tt.want)
		}
	}
}

func TestLiteNormalisesBytes(t *testing.T) {
	a := architectures["efficientnet-lite0"]
	for _, v := range []float64{0, 127, 255} {
		got, want := (v/255-float64(a.mean[0]))/float64(a.std[0]), (v-127)/128
		if math.Abs(got-want) > 1e-6 { // float32 constants
			t.Errorf("byte %g becomes %g, published as %g", v, got, want)
		}
	}
}

// Weights of a training that diverged make no body.
func TestWeightsThatAreNoNumbers(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(-1)} {
		state, err := Seeded("resnet18", 7)
		if err != nil {
			t.Fatal(err)
		}
		data := slices.Clone(state[3].Data)
		data[1] = float32(v)
		state[3].Data = data
		_, _, err = Build("resnet18", state)
		if err == nil || failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), state[3].Name) {
			t.Errorf("%v: %v, want an error that names %s", v, err, state[3].Name)
		}
	}
}
