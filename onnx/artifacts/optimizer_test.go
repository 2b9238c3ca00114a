package artifacts_test

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/graph"
	"finetune/onnx/onednn"
	"finetune/onnx/surgery"
)

// tiny is a body of one convolution with pooled features.
func tiny(t *testing.T) *graph.Model {
	t.Helper()
	b := graph.NewBuilder("tiny", 17)
	x := b.Input("image", graph.Float32, "N", 3, 8, 8)
	w := make([]float32, 4*3*3*3)
	for i := range w {
		w[i] = float32(i%7-3) / 10
	}
	y := b.Node("Conv", "map", []string{x, b.Init("conv.weight", []int64{4, 3, 3, 3}, w)},
		graph.Ints("kernel_shape", 3, 3))
	b.Output(b.Node("GlobalAveragePool", "pooled", []string{y}), graph.Float32, "N", 4, 1, 1)
	m, err := surgery.Features(b.Model(), "map")
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func options(t *testing.T) artifacts.Options {
	return artifacts.Options{Body: tiny(t), Head: artifacts.Head{Classes: 2, Drop: []float64{0}}, Size: 8,
		Groups: []artifacts.Group{{Name: "body", Parameters: []string{"conv.weight"}}}}
}

// oracle is one parameter's update in float64, from the formulas of the package doc.
type oracle struct{ p, m, v []float64 }

func (o *oracle) sgd(g []float64, rate, decay, momentum, factor float64, decoupled bool) {
	for i := range o.p {
		d := factor * g[i]
		if decoupled {
			o.p[i] *= 1 - rate*decay
		} else {
			d += decay * o.p[i]
		}
		o.m[i] = momentum*o.m[i] + d
		o.p[i] -= rate * o.m[i]
	}
}

func (o *oracle) adamw(g []float64, rate, decay, factor float64, step int) {
	const beta1, beta2, epsilon = 0.9, 0.999, 1e-8
	for i := range o.p {
		d := factor * g[i]
		o.m[i] = beta1*o.m[i] + (1-beta1)*d
		o.v[i] = beta2*o.v[i] + (1-beta2)*d*d
		mean, square := o.m[i]/(1-math.Pow(beta1, float64(step))), o.v[i]/(1-math.Pow(beta2, float64(step)))
		o.p[i] = o.p[i]*(1-rate*decay) - rate*mean/(math.Sqrt(square)+epsilon)
	}
}

// TestOptimizerModels: three steps of every parameter, with a rate and a decay
// for each group and clipping at work, written over their inputs.
func TestOptimizerModels(t *testing.T) {
	onnxtest.Start(t)
	for _, c := range []struct {
		kind      string
		decoupled bool
	}{{artifacts.SGD, false}, {artifacts.SGD, true}, {artifacts.AdamW, false}} {
		for _, domain := range []string{"", onednn.Float32} {
			t.Run(fmt.Sprintf("%s/decoupled=%v/%s", c.kind, c.decoupled, domain), func(t *testing.T) {
				if path, err := onnx.OneDNN(); err != nil {
					t.Fatal(err)
				} else if domain != "" && path == "" {
					t.Skip("skipped: oneDNN is not installed (finetune fetch onednn)")
				}
				for _, still := range [][]string{nil, {"conv.weight"}} {
					dir, o := t.TempDir(), options(t)
					o.Optimizer, o.Decoupled, o.OneDNN, o.NoDecay = c.kind, c.decoupled, domain, still
					m, err := artifacts.Write(dir, o)
					if err != nil {
						t.Fatal(err)
					}
					checkOptimizer(t, dir, m)
				}
			})
		}
	}
}

func checkOptimizer(t *testing.T, dir string, m artifacts.Manifest) {
	const clip, momentum = 0.5, 0.9
	rates, decays := map[string]float64{"body": 0.01, "head": 0.1}, map[string]float64{"body": 0.2, "head": 0}
	group := map[string]string{}
	for _, g := range m.Groups {
		for _, p := range g.Parameters {
			group[p] = g.Name
		}
	}
	values, oracles := map[string][]float32{}, map[string]*oracle{}
	for k, p := range m.Params {
		o := &oracle{make([]float64, p.Len()), make([]float64, p.Len()), make([]float64, p.Len())}
		for _, name := range []string{p.Name, "grad." + p.Name, "momentum." + p.Name, "variance." + p.Name} {
			values[name] = make([]float32, p.Len())
		}
		for i := range o.p {
			o.p[i] = float64(float32(math.Sin(float64(i + k))))
			values[p.Name][i] = float32(o.p[i])
		}
		oracles[p.Name] = o
	}
	for step := 1; step <= 3; step++ {
		norm := 0.0
		for _, p := range m.Params {
			for i := range values["grad."+p.Name] {
				v := float32(math.Cos(float64(i*step))) / 10
				values["grad."+p.Name][i] = v
				norm += float64(v) * float64(v)
			}
		}
		norm = math.Sqrt(norm)
		factor := min(1, clip/(norm+1e-6))
		scalars := map[string]float64{"clip": clip}
		if m.Optimizer == artifacts.AdamW {
			scalars["beta1"], scalars["beta2"], scalars["epsilon"], scalars["step"] = 0.9, 0.999, 1e-8, float64(step)
		} else {
			scalars["momentum"] = momentum
		}
		for g := range rates {
			scalars["rate."+g], scalars["decay."+g] = rates[g], decays[g]
		}
		if got := update(t, dir, m, values, scalars); math.Abs(got-norm) > 1e-5*norm {
			t.Errorf("step %d: norm %g, want %g", step, got, norm)
		}
		for _, p := range m.Params {
			g := make([]float64, p.Len())
			for i, v := range values["grad."+p.Name] {
				g[i] = float64(v)
			}
			decay := decays[group[p.Name]]
			if slices.Contains(m.NoDecay, p.Name) {
				decay = 0
			}
			if m.Optimizer == artifacts.AdamW {
				oracles[p.Name].adamw(g, rates[group[p.Name]], decay, factor, step)
			} else {
				oracles[p.Name].sgd(g, rates[group[p.Name]], decay, momentum, factor, m.Decoupled)
			}
		}
	}
	for _, p := range m.Params {
		for i, want := range oracles[p.Name].p {
			// beta2 = 0.999 is not exact in float32: 1 - beta2 is off by 1.3e-5 of itself, as in PyTorch's float32
			if got := float64(values[p.Name][i]); math.Abs(got-want) > 3e-6 {
				t.Fatalf("%s[%d] = %.9g, the formula gives %.9g", p.Name, i, got, want)
			}
		}
	}
}

// update runs the optimizer model over values in place and returns the norm.
func update(t *testing.T, dir string, m artifacts.Manifest, values map[string][]float32,
	scalars map[string]float64) float64 {
	t.Helper()
	var in, out []string
	var inputs, outputs []*onnx.Tensor
	put := func(list *[]*onnx.Tensor, data []float32, shape ...int64) {
		tensor, err := onnx.Float32(data, shape...)
		if err != nil {
			t.Fatal(err)
		}
		*list = append(*list, tensor)
	}
	for name, v := range scalars {
		in = append(in, name)
		put(&inputs, []float32{float32(v)})
	}
	for _, p := range m.Params {
		in = append(in, "grad."+p.Name)
		put(&inputs, values["grad."+p.Name], p.Shape...)
		for _, name := range append([]string{p.Name}, slots(m, p.Name)...) {
			in, out = append(in, name), append(out, "next."+name)
			put(&inputs, values[name], p.Shape...)
			put(&outputs, values[name], p.Shape...)
		}
	}
	norm := make([]float32, 1)
	out = append(out, "norm")
	put(&outputs, norm, 1)
	s, err := onnx.OpenFile(filepath.Join(dir, artifacts.OptimizerFile), in, out,
		onnx.Options{Threads: 1, OneDNN: m.OneDNN != ""})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Run(inputs, outputs); err != nil {
		t.Fatal(err)
	}
	return float64(norm[0])
}

func slots(m artifacts.Manifest, name string) (list []string) {
	for _, slot := range m.Slots() {
		list = append(list, slot+name)
	}
	return list
}

// TestManifestReadsBack: what Write returns is what the folder says.
func TestManifestReadsBack(t *testing.T) {
	dir := t.TempDir()
	o := options(t)
	o.Head.Drop, o.Multi = []float64{0.5}, true
	want, err := artifacts.Write(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	got, err := artifacts.ReadManifest(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got.Classes != 2 || !got.Multi || len(got.Params) != len(want.Params) || got.Memory != want.Memory ||
		len(got.Masks) != 1 || got.Masks[0].Name != "mask.head.drop0" || !slices.Equal(got.Masks[0].Shape, []int64{-1, 8}) {
		t.Errorf("manifest %+v, want %+v", got, want)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	for name, change := range map[string]func(*artifacts.Options){
		"optimizer":         func(o *artifacts.Options) { o.Optimizer = "lion" },
		"frozen groups":     func(o *artifacts.Options) { o.FreezeTo = 2 },
		"dropout":           func(o *artifacts.Options) { o.Head.Drop = []float64{1} },
		"unknown parameter": func(o *artifacts.Options) { o.Groups[0].Parameters = []string{"nobody"} },
		"no classes":        func(o *artifacts.Options) { o.Head.Classes = 0 },
	} {
		o := options(t)
		change(&o)
		if _, err := artifacts.Write(t.TempDir(), o); err == nil {
			t.Errorf("%s: a bad value is accepted", name)
		}
	}
}
