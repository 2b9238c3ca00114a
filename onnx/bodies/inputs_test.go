package bodies

import (
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/onnx/graph"
)

// A network whose pixels are not float32 is refused with how to get one that is.
func TestBodiesOfOtherInputs(t *testing.T) {
	const double = `input "image" is of type DOUBLE; a body takes FLOAT, FLOAT16 or UINT8: export the network in float32`
	for elem, want := range map[int32][2]string{ // without and with a mean; "" for no error
		graph.Float16: {"its preprocessing is not known; add --mean R,G,B", ""},
		graph.Float64: {double, double},
		graph.Uint8: {"", "takes the whole numbers 0 to 255, so the network normalises them itself; leave out --mean " +
			"and --std"},
	} {
		b := graph.NewBuilder("other", 17)
		x := b.Input("image", elem, "N", 3, 32, 32)
		y := b.Node("Cast", "cast", []string{x}, graph.Int("to", int64(graph.Float32)))
		y = b.Node("Conv", "conv", []string{y, b.Init("w", []int64{4, 3, 3, 3}, make([]float32, 108))})
		y = b.Node("Flatten", "flat",
			[]string{b.Node("GlobalAveragePool", "pool", []string{b.Node("Relu", "relu", []string{y})})})
		b.Output(y, graph.Float32, "N", 4)
		path := filepath.Join(t.TempDir(), "other.onnx")
		if err := b.Model().Write(path); err != nil {
			t.Fatal(err)
		}
		for i, o := range []Override{{}, {Size: 32, Mean: []float32{0, 0, 0}, Std: []float32{1, 1, 1}}} {
			_, err := Resolve(path, o)
			if want[i] == "" && err == nil {
				continue
			}
			if err == nil || failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), path) ||
				!strings.Contains(err.Error(), want[i]) {
				t.Errorf("%v, want %q", err, want[i])
			}
		}
	}
}

// A network that was exported in training mode is no body, whoever names the cut,
// and however much its description says.
func TestBodiesInTrainingMode(t *testing.T) {
	for _, train := range []int64{0, 1} {
		b := graph.NewBuilder("trained", 15)
		x := b.Input("image", graph.Float32, "N", 3, 32, 32)
		y := b.Node("Conv", "conv", []string{x, b.Init("w", []int64{4, 3, 3, 3}, make([]float32, 108))})
		four := func(name string) string { return b.Init(name, []int64{4}, []float32{1, 1, 1, 1}) }
		b.NodeN("BatchNormalization", []string{y, four("scale"), four("bias"), four("mean"), four("variance")},
			[]string{"normal", "m", "v"}[:1+2*train], graph.Int("training_mode", train))
		y = b.Node("Relu", "relu", []string{"normal"})
		y = b.Node("Flatten", "flat", []string{b.Node("GlobalAveragePool", "pool", []string{y})})
		b.Output(y, graph.Float32, "N", 4)
		path := filepath.Join(t.TempDir(), "trained.onnx")
		if err := b.Model().Write(path); err != nil {
			t.Fatal(err)
		}
		for _, cut := range []string{"", "relu"} {
			_, err := Resolve(path, Override{Size: 32, Mean: []float32{0, 0, 0}, Std: []float32{1, 1, 1}, Cut: cut})
			if train == 0 && err != nil ||
				train == 1 && (failure.KindOf(err) != failure.DataKind ||
					!strings.Contains(err.Error(), "export the network in inference mode")) {
				t.Errorf("training_mode %d, cut %q: %v", train, cut, err)
			}
		}
		digest, err := b.Model().Digest()
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteSpec(SpecPath(path), Spec{Name: "trained", Digest: digest, Size: 32, Std: [3]float32{1, 1, 1},
			Layout: NCHW, Cut: "relu", Channels: 4, Groups: []Group{{"all", []string{"conv"}}}}); err != nil {
			t.Fatal(err)
		}
		if _, err := Resolve(path, Override{}); train == 0 && err != nil ||
			train == 1 && (failure.KindOf(err) != failure.DataKind ||
				!strings.Contains(err.Error(), "export the network in inference mode")) {
			t.Errorf("training_mode %d, all described: %v", train, err)
		}
	}
}
