package export

import (
	"fmt"

	"finetune/internal/failure"
	"finetune/learner/classify"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// wholeGraph puts scaling and cropping in front of an assembled model:
//
//	image uint8 [batch, height, width, 3], RGB -> probabilities, log_probabilities
//
// The smaller side is scaled to size by an antialiased bilinear filter and
// rounded to bytes, then the centre is cropped; sizes and offsets are those of
// augment.Preprocess. Resampling itself differs by rounding of the weights.
func (e *exporter) wholeGraph(m *graph.Model) (*graph.Model, error) {
	if err := m.RaiseOpset(); err != nil { // to the first with antialiasing
		return nil, failure.Usage(fmt.Errorf("learner: scaling cannot be joined to the body; export without --uint8: %w",
			err))
	}
	b := graph.NewBuilder("finetune", m.Opset())
	b.Input(classify.ImageInput, graph.Uint8, "batch", "height", "width", 3)
	front := wholeFront{b, int64(e.Size)}
	b.Output(front.build(classify.ImageInput), graph.Float32, "batch", 3, e.Size, e.Size)
	whole, err := surgery.Join(b.Model(), m, map[string]string{classify.ImageInput: "unit"}, "")
	if err != nil {
		return nil, err
	}
	return whole, e.describe(whole, true)
}

// wholeFront builds the nodes before normalisation.
type wholeFront struct {
	b    *graph.Builder
	size int64
}

func (f wholeFront) node(op, name string, inputs []string, attrs ...graph.Attr) string {
	return f.b.Node(op, "scale/"+name, inputs, attrs...)
}

func (f wholeFront) ints(name string, v ...int64) string {
	return f.b.Ints("scale/"+name, []int64{int64(len(v))}, v)
}

func (f wholeFront) build(image string) string {
	shape := f.node("Shape", "shape", []string{image})
	zero := f.ints("0", 0)
	at := func(name string, i string) string {
		return f.node("Gather", name, []string{shape, i}, graph.Int("axis", 0))
	}
	batch, height, width := at("batch", zero), at("height", f.ints("1", 1)), at("width", f.ints("2", 2))
	size := f.ints("size", f.size)
	newH, newW := f.scaled(height, width, size)
	x := f.node("Cast", "float", []string{f.node("Transpose", "planes", []string{image}, graph.Ints("perm", 0, 3, 1, 2))},
		graph.Int("to", int64(graph.Float32)))
	sizes := f.node("Concat", "sizes", []string{batch, f.ints("3", 3), newH, newW}, graph.Int("axis", 0))
	x = f.node("Resize", "scaled", []string{x, "", "", sizes}, graph.Str("mode", "linear"), graph.Int("antialias", 1),
		graph.Str("coordinate_transformation_mode", "half_pixel"))
	x = f.node("Round", "bytes", []string{x})
	y0, x0 := f.offset("y0", newH, size), f.offset("x0", newW, size)
	starts := f.node("Concat", "starts", []string{y0, x0}, graph.Int("axis", 0))
	ends := f.node("Add", "ends", []string{starts, size})
	x = f.node("Slice", "cropped", []string{x, starts, ends, f.ints("axes", 2, 3)})
	return f.b.Node("Div", "unit", []string{x, f.b.Init("scale/255", nil, []float32{255})})
}

// scaled is augment's size: max(int(side*(size/smaller)), size), in float64.
func (f wholeFront) scaled(height, width, size string) (h, w string) {
	double := func(name, x string) string {
		return f.node("Cast", name+"/double", []string{x}, graph.Int("to", int64(graph.Float64)))
	}
	ratio := f.node("Div", "ratio", []string{double("size", size),
		double("smaller", f.node("Min", "smaller", []string{height, width}))})
	side := func(name, x string) string {
		y := f.node("Cast", name+"/whole", []string{f.node("Mul", name+"/product", []string{double(name, x), ratio})},
			graph.Int("to", int64(graph.Int64)))
		return f.node("Max", name+"/scaled", []string{y, size})
	}
	return side("h", height), side("w", width)
}

// offset is augment's centre: (side-size+1)/2.
func (f wholeFront) offset(name, side, size string) string {
	free := f.node("Sub", name+"/free", []string{side, size})
	odd := f.node("Add", name+"/odd", []string{free, f.ints(name+"/one", 1)})
	return f.node("Div", name, []string{odd, f.ints(name+"/two", 2)})
}
