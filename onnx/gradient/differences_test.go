package gradient_test

import (
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/gradient"
	"finetune/onnx/graph"
)

// batch is an input of that shape for each image, of a batch that only the run knows.
func (m *maker) batch(name string, shape ...any) string {
	return m.Input(name, graph.Float32, append([]any{"N"}, shape...)...)
}

// images are a batch times a parameter of one image's shape: what reads them has its derivative checked pixel by pixel.
func (m *maker) images(c, h, w int64) string {
	return m.op("Mul", m.batch("image", c, h, w), m.p("s", 1, c, h, w))
}

// fixed is a constant of values from [-1, 1).
func (m *maker) fixed(name string, shape ...int64) string {
	return m.Init(name, shape, seeded(m.name, name, count(shape), -1, 1))
}

func (m *maker) floats(v ...float32) string { return m.Init("", nil, v) }

// sample is a training graph that can run, and the numbers that enter it.
type sample struct {
	*gradient.Graph
	outputs []string
	values  map[string][]float32
	shapes  map[string][]int64
}

// weighed ends the model in the sum of y*softplus(y), whose derivative differs from number to number.
func (m *maker) weighed(y string) *graph.Model {
	sum := m.op("ReduceSum", m.op("Mul", y, m.op("Softplus", y)), i("keepdims", 0))
	m.Output(m.Node("Reshape", "loss", []string{sum, m.ints(1)}), graph.Float32, 1)
	return m.Model()
}

// newSample fills what g takes: parameters and statistics as in m, seeded images, masks of 0 and 1/(1-rate).
func newSample(t *testing.T, m *graph.Model, g *gradient.Graph) sample {
	t.Helper()
	s := sample{g, []string{"loss"}, map[string][]float32{}, map[string][]int64{}}
	inits := m.Initializers()
	for _, in := range g.Model.Inputs() {
		shape := slices.Clone(in.Shape)
		if len(shape) > 0 && shape[0] < 0 {
			shape[0] = 3
		}
		v := seeded("sample", in.Name, count(shape), -1, 1)
		if init := inits[in.Name]; init != nil {
			var err error
			if v, err = graph.FloatsOf(init); err != nil {
				t.Fatal(err)
			}
		}
		s.values[in.Name], s.shapes[in.Name] = slices.Clone(v), shape
	}
	for _, k := range g.Masks {
		for i, v := range s.values[k.Name] {
			s.values[k.Name][i] = 0
			if v > -.5 {
				s.values[k.Name][i] = 1 / (1 - k.Rate)
			}
		}
	}
	for _, p := range g.Params {
		s.outputs = append(s.outputs, p.Grad)
	}
	for _, k := range g.Stats {
		s.outputs = append(s.outputs, k.Next)
	}
	return s
}

// open returns a function that runs a model on the sample's numbers as they are then.
func (s sample) open(t *testing.T, m *graph.Model, names ...string) func() map[string]*onnx.Tensor {
	t.Helper()
	data, err := m.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	var in []string
	for _, v := range m.Inputs() {
		in = append(in, v.Name)
	}
	session, err := onnx.OpenBytes("case", data, in, names, onTrial(m))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return func() map[string]*onnx.Tensor {
		inputs, outputs := make([]*onnx.Tensor, len(in)), make([]*onnx.Tensor, len(names))
		for i, name := range in {
			if name == gradient.Labels && len(s.shapes[name]) == 1 { // class numbers
				inputs[i], err = onnx.Int64([]int64{0, 2, 1}, 3)
			} else {
				inputs[i], err = onnx.Float32(s.values[name], s.shapes[name]...)
			}
			if err != nil {
				t.Fatal(err)
			}
			defer inputs[i].Close()
		}
		if err := session.Run(inputs, outputs); err != nil {
			t.Fatal(err)
		}
		got := map[string]*onnx.Tensor{}
		for i, name := range names {
			got[name] = outputs[i]
			t.Cleanup(func() { outputs[i].Close() })
		}
		return got
	}
}

func numbers(tensors map[string]*onnx.Tensor) map[string][]float32 {
	got := map[string][]float32{}
	for name, tensor := range tensors {
		got[name] = slices.Clone(tensor.Float32())
	}
	return got
}

func norm(v []float32) (n float64) {
	for _, x := range v {
		n += float64(x) * float64(x)
	}
	return math.Sqrt(n)
}

// kinked are names of cases where some activation passes a kink between the two sides of a difference.
var kinked = regexp.MustCompile("relu|clip|hard|max|bottleneck|convs|squeeze")

// checkDifferences compares gradients with central differences of the loss along a seeded direction of each parameter.
// The loss must be that of the model itself, unless it is trained on the batch's statistics or through masks, and the
// blocked layout must give what the standard operators give.
func checkDifferences(t *testing.T, opset int64, o gradient.Options, build func(m *maker) string) {
	t.Helper()
	m := &maker{Builder: graph.NewBuilder(t.Name(), opset), name: t.Name()}
	model := m.weighed(build(m))
	if o.Trainable == nil {
		o.Trainable = m.params
	}
	g, err := gradient.Build(model, "loss", o)
	if err != nil {
		t.Fatal(err)
	}
	s := newSample(t, model, g)
	run := s.open(t, g.Model, s.outputs...)
	standard := numbers(run())
	if len(g.Stats)+len(g.Masks) == 0 {
		if own := s.open(t, gradient.WithInputs(model, o.Trainable),
			"loss")()["loss"].Float32()[0]; math.Abs(float64(own-standard["loss"][0])) > 1e-5*(1+math.Abs(float64(own))) {
			t.Errorf("loss %g, the model's is %g", standard["loss"][0], own)
		}
	}
	const step = 1.0 / 1024
	exact := .015
	if kinked.MatchString(t.Name()) {
		exact = .05
	}
	rounding := .001 + 5e-7*math.Abs(float64(standard["loss"][0]))/(2*step) // of two float32 sums
	for _, p := range g.Params {
		at, along := slices.Clone(s.values[p.Name]), seeded("along", p.Name, len(s.values[p.Name]), -1, 1)
		loss := func(by float32) float64 {
			for i := range at {
				s.values[p.Name][i] = at[i] + by*along[i]
			}
			return float64(run()["loss"].Float32()[0])
		}
		got, want := 0.0, (loss(step)-loss(-step))/(2*step)
		for i, v := range standard[p.Grad] {
			got += float64(v) * float64(along[i])
		}
		copy(s.values[p.Name], at)
		if size := norm(standard[p.Grad]); !(math.Abs(got-want) <= exact*size+rounding) {
			t.Errorf("%s along a direction is %g, central differences give %g; its norm is %g", p.Grad, got, want, size)
		}
	}
	for layout, to := range targets(t) {
		if layout != "standard" {
			o.Block, o.OneDNN = to.Block, to.Domain
			checkLayout(t, layout, model, o, standard)
		}
	}
}

// checkLayout compares what a layout gives with what the standard operators give.
func checkLayout(t *testing.T, layout string, m *graph.Model, o gradient.Options, standard map[string][]float32) {
	t.Helper()
	g, err := gradient.Build(m, "loss", o)
	if err != nil {
		t.Fatal(err)
	}
	s := newSample(t, m, g)
	for name, got := range numbers(s.open(t, g.Model, s.outputs...)()) {
		want := standard[name]
		for i := range want {
			if !(math.Abs(float64(got[i]-want[i])) <= 1e-4*norm(want)+5e-5) {
				t.Errorf("%s %s[%d] is %g, standard operators give %g", layout, name, i, got[i], want[i])
				break
			}
		}
	}
}

// convolutions are windows that the reference of PyTorch has not: image, filter, attributes.
var convolutions = map[string]struct {
	image, filter []int64
	attrs         []graph.Attr
}{
	"same upper, even": {[]int64{16, 7, 6}, []int64{16, 16, 2, 2},
		[]graph.Attr{graph.Str("auto_pad", "SAME_UPPER")}},
	"same lower, even": {[]int64{16, 7, 6}, []int64{16, 16, 2, 4},
		[]graph.Attr{graph.Str("auto_pad", "SAME_LOWER")}},
	"same upper, strided": {[]int64{16, 8, 6}, []int64{16, 16, 3, 3},
		[]graph.Attr{graph.Str("auto_pad", "SAME_UPPER"), ints("strides", 2, 2)}},
	"same lower, depthwise, strided": {[]int64{16, 8, 6}, []int64{16, 1, 3, 3},
		[]graph.Attr{graph.Str("auto_pad", "SAME_LOWER"), ints("strides", 2, 2), i("group", 16)}},
	"valid": {[]int64{16, 5, 6}, []int64{16, 16, 3, 3},
		[]graph.Attr{graph.Str("auto_pad", "VALID")}},
	"depthwise of one pixel": {[]int64{16, 3, 4}, []int64{16, 1, 1, 1}, []graph.Attr{i("group", 16)}},
	"depthwise of one pixel, strided": {[]int64{16, 6, 5}, []int64{16, 1, 1, 1},
		[]graph.Attr{i("group", 16), ints("strides", 2, 2)}},
	"depthwise, dilated": {[]int64{16, 6, 7}, []int64{16, 1, 3, 3},
		[]graph.Attr{i("group", 16), ints("dilations", 2, 1), ints("pads", 2, 1, 2, 1)}},
	"depthwise, strided and dilated": {[]int64{16, 9, 8}, []int64{16, 1, 3, 3},
		[]graph.Attr{i("group", 16), ints("strides", 2, 2), ints("dilations", 2, 2), ints("pads", 2, 2, 2, 2)}},
	"depthwise, rows left over": {[]int64{16, 10, 9}, []int64{16, 1, 2, 2},
		[]graph.Attr{i("group", 16), ints("strides", 4, 3)}},
	"depthwise, one row left over": {[]int64{32, 8, 8}, []int64{32, 1, 3, 2},
		[]graph.Attr{i("group", 32), ints("strides", 2, 3)}},
	"depthwise, column": {[]int64{16, 6, 5}, []int64{16, 1, 3, 1},
		[]graph.Attr{i("group", 16), ints("strides", 1, 2), ints("pads", 1, 0, 1, 0)}},
	"depthwise, row": {[]int64{16, 6, 5}, []int64{16, 1, 1, 3}, []graph.Attr{i("group", 16), ints("pads", 0, 1, 0, 1)}},
	"depthwise, padded beyond itself": {[]int64{16, 4, 5}, []int64{16, 1, 3, 3},
		[]graph.Attr{i("group", 16), ints("pads", 3, 1, 3, 1)}},
	"depthwise, padded beyond aside": {[]int64{16, 4, 5}, []int64{16, 1, 3, 3},
		[]graph.Attr{i("group", 16), ints("pads", 1, 3, 1, 3)}},
	"depthwise of 24":      {[]int64{24, 4, 5}, []int64{24, 1, 3, 3}, []graph.Attr{i("group", 24), p1}},
	"depthwise of 3":       {[]int64{3, 4, 5}, []int64{3, 1, 3, 3}, []graph.Attr{i("group", 3), p1}},
	"padded beyond itself": {[]int64{16, 4, 5}, []int64{16, 16, 2, 2}, []graph.Attr{ints("pads", 2, 1, 2, 1)}},
	"pointwise, padded":    {[]int64{16, 4, 5}, []int64{16, 16, 1, 1}, []graph.Attr{p1}},
	"pointwise, strided and padded": {[]int64{16, 5, 6}, []int64{16, 16, 1, 1},
		[]graph.Attr{p1, ints("strides", 2, 2)}},
	"pointwise, rows left over":      {[]int64{16, 8, 9}, []int64{32, 16, 1, 1}, []graph.Attr{ints("strides", 3, 2)}},
	"pointwise, one way strided":     {[]int64{16, 5, 6}, []int64{16, 16, 1, 1}, []graph.Attr{ints("strides", 1, 2)}},
	"from 32 to 16":                  {[]int64{32, 4, 5}, []int64{16, 32, 3, 3}, []graph.Attr{p1}},
	"from 48 to 32, kernel 2 by 3":   {[]int64{48, 4, 5}, []int64{32, 48, 2, 3}, nil},
	"from 16 to 48, dilated one way": {[]int64{16, 4, 7}, []int64{48, 16, 2, 2}, []graph.Attr{ints("dilations", 1, 3)}},
	"from 5 to 16, pointwise":        {[]int64{5, 4, 5}, []int64{16, 5, 1, 1}, nil},
	"from 2 to 16, pointwise":        {[]int64{2, 4, 5}, []int64{16, 2, 1, 1}, nil},
	"from 4 to 16, of four pixels":   {[]int64{4, 4, 5}, []int64{16, 4, 2, 2}, nil},
	"from 5 to 32, strided":          {[]int64{5, 6, 5}, []int64{32, 5, 3, 3}, []graph.Attr{p1, ints("strides", 2, 1)}},
	"from 24 to 16":                  {[]int64{24, 4, 5}, []int64{16, 24, 3, 3}, []graph.Attr{p1}},
	"from 16 to 24":                  {[]int64{16, 4, 5}, []int64{24, 16, 3, 3}, []graph.Attr{p1}},
	"from 1 to 1":                    {[]int64{1, 5, 5}, []int64{1, 1, 3, 3}, []graph.Attr{p1}},
	"two groups":                     {[]int64{32, 4, 4}, []int64{32, 16, 3, 3}, []graph.Attr{i("group", 2), p1}},
	"two groups, pointwise":          {[]int64{32, 4, 4}, []int64{16, 16, 1, 1}, []graph.Attr{i("group", 2)}},
	"two groups, one way strided": {[]int64{6, 5, 4}, []int64{4, 3, 2, 1},
		[]graph.Attr{i("group", 2), ints("strides", 2, 1), ints("pads", 1, 0, 0, 0)}},
	"groups of one channel, two each":  {[]int64{16, 4, 4}, []int64{32, 1, 2, 2}, []graph.Attr{i("group", 16)}},
	"groups of two channels, one each": {[]int64{32, 4, 4}, []int64{16, 2, 2, 2}, []graph.Attr{i("group", 16)}},
}

// TestConvolutions: every window, of a batch that only the run knows, in both layouts.
func TestConvolutions(t *testing.T) {
	onnxtest.Start(t)
	for name, c := range convolutions {
		t.Run(name, func(t *testing.T) {
			checkDifferences(t, 17, gradient.Options{}, func(m *maker) string {
				x := m.images(c.image[0], c.image[1], c.image[2])
				return m.conv(x, m.within("w", -.5, .5, c.filter...), c.attrs...)
			})
		})
	}
}

// TestBatchNormOfSomeParameters: what else is trained does not change a gradient, folded into a convolution or not.
func TestBatchNormOfSomeParameters(t *testing.T) {
	onnxtest.Start(t)
	for _, frozen := range []bool{true, false} {
		for bits := 1; bits < 16; bits++ {
			var names []string
			for k, name := range []string{"w", "b", "ga", "be"} {
				if bits>>k&1 == 1 {
					names = append(names, name)
				}
			}
			t.Run(map[bool]string{true: "frozen ", false: "batch "}[frozen]+strings.Join(names, ","), func(t *testing.T) {
				o := gradient.Options{Trainable: names, FrozenStats: func(string) bool { return frozen }}
				checkDifferences(t, 17, o, func(m *maker) string {
					x := m.batch("image", 3, 5, 4)
					return m.norm(m.op("Conv", x, m.p("w", 16, 3, 2, 2), m.p("b", 16)))
				})
			})
		}
	}
}

// TestChains: operators beside each other, as networks have them.
func TestChains(t *testing.T) {
	onnxtest.Start(t)
	for name, build := range chains {
		t.Run(name, func(t *testing.T) {
			checkDifferences(t, 18, gradient.Options{FrozenStats: func(string) bool { return strings.Contains(name, "frozen") }},
				build)
		})
	}
}
