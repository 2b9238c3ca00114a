package forms_test

import (
	"math"
	"testing"

	"google.golang.org/protobuf/proto"

	"finetune/internal/half"
	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/forms"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

// run runs a model on one image of 1 x 3 x 2 x 2.
func run(t *testing.T, m *graph.Model, image *onnx.Tensor) []float32 {
	t.Helper()
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.OpenBytes("form", data, []string{"image"}, []string{"y"}, onnx.Options{Threads: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	defer image.Close()
	out := make([]*onnx.Tensor, 1)
	if err := s.Run([]*onnx.Tensor{image}, out); err != nil {
		t.Fatal(err)
	}
	defer out[0].Close()
	return append([]float32(nil), out[0].Float32()...)
}

// halved is a network whose weights, constants and, where bare, image are in float16; y is float32.
func halved(bare bool) *graph.Model {
	elem := graph.Float32
	if bare {
		elem = graph.Float16
	}
	b := graph.NewBuilder("halved", 17)
	x := b.Input("image", elem, "N", 3, 2, 2)
	if !bare {
		x = b.Node("Cast", "narrow", []string{x}, graph.Int("to", int64(graph.Float16)))
	}
	x = b.Node("Conv", "conv", []string{x, b.InitTensor(half16("w", []int64{2, 3, 1, 1}, .5, -.25, 1, 2, .125, -1))})
	b.NodeN("Constant", nil, []string{"two"}, graph.Tensor("value", half16("", nil, 2)))
	x = b.Node("Mul", "twice", []string{x, "two"})
	b.Output(b.Node("Cast", "y", []string{x}, graph.Int("to", int64(graph.Float32))), graph.Float32, "N", 2, 2, 2)
	return b.Model()
}

func half16(name string, shape []int64, v ...float32) *onnxpb.TensorProto {
	t := &onnxpb.TensorProto{Name: proto.String(name), Dims: shape, DataType: proto.Int32(graph.Float16)}
	for _, x := range v {
		h := half.From(x)
		t.RawData = append(t.RawData, byte(h), byte(h>>8))
	}
	return t
}

// TestFloat16ComputesInFloat32: nothing of float16 is left, and what is computed is the same but for its rounding.
func TestFloat16ComputesInFloat32(t *testing.T) {
	onnxtest.Start(t)
	image := []float32{0, .25, .5, .75, 1, .125, .375, .625, .875, .0625, .1875, .3125}
	var want []float32
	for i := range 8 {
		w := [][3]float32{{.5, -.25, 1}, {2, .125, -1}}[i/4]
		want = append(want, 2*(w[0]*image[i%4]+w[1]*image[4+i%4]+w[2]*image[8+i%4]))
	}
	for _, bare := range []bool{false, true} {
		m := halved(bare)
		f, err := forms.Model(m)
		if err != nil {
			t.Fatal(err)
		}
		if in := f.Inputs()[0]; in.Elem != graph.Float32 {
			t.Errorf("the image is of type %s", in.Type)
		}
		for _, w := range f.Graph.Initializer {
			if w.GetDataType() != graph.Float32 {
				t.Errorf("weight %q is of type %d", w.GetName(), w.GetDataType())
			}
		}
		x, err := onnx.Float32(image, 1, 3, 2, 2)
		if err != nil {
			t.Fatal(err)
		}
		for i, y := range run(t, f, x) {
			if math.Abs(float64(y-want[i])) > 1e-6 {
				t.Errorf("bare %v: y[%d] is %g, want %g", bare, i, y, want[i])
			}
		}
		if m.Graph.Initializer[0].GetDataType() != graph.Float16 {
			t.Error("the model that was given has changed")
		}
	}
}

// TestUint8TakesWholeNumbers: an image of floats gives what the bytes that it rounds to give.
func TestUint8TakesWholeNumbers(t *testing.T) {
	onnxtest.Start(t)
	b := graph.NewBuilder("bytes", 17)
	x := b.Node("Cast", "float", []string{b.Input("image", graph.Uint8, "N", 3, 2, 2)},
		graph.Int("to", int64(graph.Float32)))
	b.Output(b.Node("Mul", "y", []string{x, b.Init("s", nil, []float32{1. / 255})}), graph.Float32, "N", 3, 2, 2)
	m := b.Model()
	f, err := forms.Model(m)
	if err != nil {
		t.Fatal(err)
	}
	pixels := []uint8{0, 1, 2, 127, 128, 200, 254, 255, 3, 4, 5, 6}
	floats := make([]float32, len(pixels))
	for i, p := range pixels {
		floats[i] = float32(p) / 255 / (1. / 255) // as mean 0 and deviation 1/255 make it of a colour from 0 to 1
	}
	own, err := onnx.Uint8(pixels, 1, 3, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	wide, err := onnx.Float32(floats, 1, 3, 2, 2)
	if err != nil {
		t.Fatal(err)
	}
	want, got := run(t, m, own), run(t, f, wide)
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("y[%d] is %g, of bytes it is %g", i, got[i], want[i])
		}
	}
}

// TestFloat32StaysAsItIs: a model that needs nothing is returned itself.
func TestFloat32StaysAsItIs(t *testing.T) {
	b := graph.NewBuilder("plain", 17)
	b.Output(b.Node("Relu", "y", []string{b.Input("image", graph.Float32, "N", 3, 2, 2)}), graph.Float32, "N", 3, 2, 2)
	m := b.Model()
	if f, err := forms.Model(m); err != nil || f != m {
		t.Errorf("another model, %v", err)
	}
}

// TestTakes: what networks do to their image before the first layer says which numbers they take.
func TestTakes(t *testing.T) {
	type step struct {
		op string
		v  []float32
	}
	mean, std := []float32{.485, .456, .406}, []float32{.229, .224, .225}
	type steps = []step
	another, offset := []float32{.458, .448, .45}, []float32{-.03, -.088, -.188}
	meanOfBytes, stdOfBytes := []float32{123.7, 116.3, 103.5}, []float32{58.4, 57.1, 57.4}
	float := graph.Float32
	for name, c := range map[string]struct {
		elem  int32
		steps steps
		want  int
	}{
		"nothing":                       {float, nil, 0},
		"bytes":                         {graph.Uint8, nil, 255},
		"Keras Rescaling":               {float, steps{{"Mul", []float32{1. / 255}}}, 255},
		"Rescaling to -1 and 1":         {float, steps{{"Mul", []float32{1. / 127.5}}, {"Sub", []float32{1}}}, 255},
		"Rescaling, then Normalization": {float, steps{{"Mul", []float32{1. / 255}}, {"Sub", mean}, {"Div", std}}, 255},
		"mean and deviation of bytes":   {float, steps{{"Sub", meanOfBytes}, {"Div", stdOfBytes}}, 255},
		"mean and deviation":            {float, steps{{"Sub", mean}, {"Div", std}}, 1},
		"to -1 and 1":                   {float, steps{{"Mul", []float32{2}}, {"Sub", []float32{1}}}, 1},
		"one normalisation to another":  {float, steps{{"Mul", another}, {"Add", offset}}, 0},
		"a factor of the first layer":   {float, steps{{"Mul", []float32{1.5}}}, 0},
		"nothing at all of red":         {float, steps{{"Mul", []float32{0, 1, 1}}}, 0},
	} {
		b := graph.NewBuilder("takes", 17)
		x := b.Input("image", c.elem, "N", 3, 8, 8)
		if c.elem == graph.Uint8 {
			x = b.Node("Cast", "float", []string{x}, graph.Int("to", int64(graph.Float32)))
		}
		for i, s := range c.steps {
			shape := []int64{int64(len(s.v)), 1, 1}
			if i%2 == 1 { // half of them as Constant nodes
				b.NodeN("Constant", nil, []string{s.op}, graph.Tensor("value", graph.FloatTensor("", shape, s.v)))
				x = b.Node(s.op, "", []string{x, s.op})
				continue
			}
			x = b.Node(s.op, "", []string{x, b.Init("", shape, s.v)})
		}
		w := b.Init("w", []int64{2, 3, 1, 1}, make([]float32, 6))
		b.Output(b.Node("Conv", "y", []string{x, w}), graph.Float32, "N", 2, 8, 8)
		if got := forms.Takes(b.Model()); got != c.want {
			t.Errorf("%s: takes %d, want %d", name, got, c.want)
		}
	}
}
