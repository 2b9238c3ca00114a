package head

import (
	"fmt"
	"math"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"finetune/internal/rng"
)

// Each epoch has an order of its own, which a seed names.
func TestOrder(t *testing.T) {
	first := Order(100, 1, 0)
	if sorted := slices.Sorted(slices.Values(first)); !slices.Equal(sorted, identity(100)) {
		t.Errorf("not each row once: %v", sorted)
	}
	if !slices.Equal(first, Order(100, 1, 0)) {
		t.Error("the same seed and epoch give another order")
	}
	for name, other := range map[string][]int{"no shuffle": identity(100), "another epoch": Order(100, 1, 1),
		"another seed": Order(100, 2, 0)} {
		if slices.Equal(first, other) {
			t.Errorf("the order is that of %s", name)
		}
	}
}

func identity(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// Every row of a class is drawn, and every epoch draws others.
func TestBalancedOrderDrawsAllRows(t *testing.T) {
	labels := []int{0, 2, 0, 2, 0, 0, 0, 0}
	seen := map[int]int{}
	for epoch := range 100 {
		for _, k := range BalancedOrder(labels, 3, 1, epoch) {
			seen[k]++
		}
	}
	for k, y := range labels {
		if want := []float64{400. / 6, 0, 200}[y]; math.Abs(float64(seen[k])-want) > 4*math.Sqrt(want) {
			t.Errorf("row %d of class %d is drawn %d times, want about %.0f", k, y, seen[k], want)
		}
	}
	first := BalancedOrder(labels, 3, 1, 0)
	if slices.Equal(first, BalancedOrder(labels, 3, 1, 1)) || slices.Equal(first, BalancedOrder(labels, 3, 2, 0)) ||
		!slices.Equal(first, BalancedOrder(labels, 3, 1, 0)) {
		t.Error("seed and epoch do not name the draws")
	}
}

// The share of kept values is 1-P, rounded to a multiple of 2^-16.
func TestDropoutKeepsItsShare(t *testing.T) {
	for p, keep := range map[float64]uint{0: 65536, 1e-6: 65536, .1: 58982, .25: 49152, .4: 39322, .5: 32768, .9: 6554,
		.999: 66} {
		d := Dropout{p}
		if got := d.keep(); got != keep {
			t.Errorf("P = %v keeps %d of 65536, want %d", p, got, keep)
		}
		words, ones := make([]uint64, 4000), 0
		d.mask(words, *rng.New(3))
		for _, w := range words {
			ones += bits.OnesCount64(w)
		}
		n := float64(64 * len(words))
		share := float64(keep) / 65536
		if got, sigma := float64(ones)/n, math.Sqrt(share*(1-share)/n); math.Abs(got-share) > 4*sigma {
			t.Errorf("P = %v keeps %.5f of the values, want %.5f +- %.5f", p, got, share, sigma)
		}
		x := []float32{1, 1}
		d.apply(x, []uint64{2})
		if x[0] != 0 || math.Abs(float64(x[1])*(1-p)-1) > 1e-6 {
			t.Errorf("P = %v makes %v of a dropped and a kept 1", p, x)
		}
	}
}

func TestConfigAtTheLimits(t *testing.T) {
	for _, c := range []Config{
		{In: 1, Classes: 2}, {In: 1, Classes: 1, Multi: true}, {In: 1 << 27, Classes: 2},
		{In: 1 << 13, Hidden: []int{1 << 14, 1 << 12}, Classes: 2},
		{In: 4, Hidden: []int{1}, Classes: 2, Drop: []float64{0, .999}},
	} {
		if _, err := c.withDefaults(); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
	for _, tt := range []struct {
		c    Config
		want string
	}{
		{Config{In: 4, Multi: true}, "4 features and 0 classes"}, {Config{In: -1, Classes: 2}, "-1 features"},
		{Config{In: 4, Classes: -2, Multi: true}, "-2 classes"},
		{Config{In: 1<<27 + 1, Classes: 2}, "2.7e+08 weights; at most 2.7e+08"},
		{Config{In: 1 << 14, Hidden: []int{1 << 14}, Classes: 2}, "narrower"},
		{Config{In: 1 << 13, Hidden: []int{1 << 14, 1 << 13}, Classes: 2}, "narrower"},
		{Config{In: 4, Hidden: []int{1 << 40}, Classes: 2}, "narrower"},
		{Config{In: 4, Classes: 2, Drop: []float64{-.1}}, "dropout -0.1"},
		{Config{In: 4, Classes: 2, Drop: []float64{math.NaN()}}, "dropout NaN"},
		{Config{In: 4, Classes: 2, Hidden: []int{3}, Drop: []float64{.1}}, "1 dropout value for 2 Linear layers"},
		{Config{In: 4, Classes: 2, Drop: []float64{}}, "0 dropout values for 1"},
	} {
		if _, err := tt.c.withDefaults(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.c, err, tt.want)
		}
	}
}

// fast.ai's defaults and the names that PyTorch gives the layers of nn.Sequential, Dropout and ReLU counted.
func TestLayersAreNamedAsInPyTorch(t *testing.T) {
	h, err := New(Config{In: 4, Hidden: []int{5, 6}, Classes: 2})
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.Config.Drop, []float64{.25, .25, .5}) {
		t.Errorf("dropout %v, want .25 before each hidden layer and .5 before the last", h.Config.Drop)
	}
	var got []string
	for _, p := range h.State() {
		got = append(got, fmt.Sprint(p.Name, p.Shape))
	}
	want := "0.weight[4] 0.bias[4] 0.running_mean[4] 0.running_var[4] 2.weight[5 4] 2.bias[5] " +
		"4.weight[5] 4.bias[5] 4.running_mean[5] 4.running_var[5] 6.weight[6 5] 6.bias[6] " +
		"8.weight[6] 8.bias[6] 8.running_mean[6] 8.running_var[6] 10.weight[2 6] 10.bias[2]"
	if strings.Join(got, " ") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, " "), want)
	}
	if n := h.Parameters(); n != 8+25+10+36+12+14 || h.Outputs() != 2 {
		t.Errorf("%d parameters, %d outputs", n, h.Outputs())
	}
}

// He et al.: weights of mean 0 and variance 2/fan_in, other ones for each layer and seed; biases 0, gammas 1.
func TestFreshWeights(t *testing.T) {
	h, err := New(Config{In: 120, Hidden: []int{120, 120}, Classes: 2, Seed: 5})
	if err != nil {
		t.Fatal(err)
	}
	other, err := New(Config{In: 120, Hidden: []int{120, 120}, Classes: 2, Seed: 6})
	if err != nil {
		t.Fatal(err)
	}
	for k := range 2 {
		mean, square := 0.0, 0.0
		w := h.blocks[k].linear.Weight
		for _, v := range w {
			mean, square = mean+float64(v)/float64(len(w)), square+float64(v)*float64(v)/float64(len(w))
		}
		if math.Abs(mean) > .005 || math.Abs(square*120/2-1) > .05 {
			t.Errorf("layer %d: mean %v, variance %v, want 0 and %v", k, mean, square, 2./120)
		}
		if slices.Equal(w, other.blocks[k].linear.Weight) || slices.Equal(w, h.blocks[1-k].linear.Weight) {
			t.Errorf("layer %d has the weights of another seed or layer", k)
		}
		b := h.blocks[k]
		if slices.Max(b.linear.Bias) != 0 || slices.Min(b.linear.Bias) != 0 || slices.Min(b.norm.Gamma) != 1 ||
			slices.Max(b.norm.Beta) != 0 {
			t.Errorf("layer %d: bias %v, gamma %v", k, b.linear.Bias, b.norm.Gamma)
		}
	}
}

// A row's prediction does not depend on the rows beside it, in whatever chunk it lies.
func TestRowsArePredictedAlone(t *testing.T) {
	fast, plain := twoTrainers(t, Config{In: 7, Hidden: []int{9}, Classes: 3, Seed: 1}, Options{})
	rows, labels := blobs(600, 7, 3, 1)
	for _, tr := range []*Trainer{fast, plain} {
		step(t, tr, Batch{Rows: rows, Labels: labels}, Rates{LR: .1})
		all, err := tr.head.Predict(rows)
		if err != nil {
			t.Fatal(err)
		}
		for i, r := range rows {
			one, err := tr.head.Predict([][]float32{r})
			if err != nil {
				t.Fatal(err)
			}
			if d := largest(one, all[3*i:3*i+3]); d > 1e-6 {
				t.Errorf("row %d alone is predicted %.3g apart", i, d)
			}
		}
		if none, err := tr.head.Predict(nil); err != nil || len(none) != 0 {
			t.Errorf("no rows: %v, %v", none, err)
		}
		bad := slices.Clone(rows)
		bad[599] = bad[599][1:]
		if _, err := tr.head.Predict(bad); err == nil ||
			!strings.Contains(err.Error(), "row 599 has 6 features, the head takes 7") {
			t.Errorf("a narrow last row: %v", err)
		}
	}
}

func TestLogProbabilitiesOfLargeLogits(t *testing.T) {
	inf := float32(math.Inf(1))
	for _, tt := range []struct {
		z       []float32
		classes int
		multi   bool
		want    []float32
	}{
		{[]float32{1000, -1000, 0}, 3, false, []float32{0, -2000, -1000}},
		{[]float32{-1000, -1000, 3}, 1, false, []float32{0, 0, 0}},
		{[]float32{-500, -500, 7, 7}, 2, false, []float32{-math.Ln2, -math.Ln2, -math.Ln2, -math.Ln2}},
		{[]float32{1000, -1000, 0, inf}, 2, true, []float32{0, -1000, -math.Ln2, 0}},
	} {
		got := LogProbabilities(slices.Clone(tt.z), tt.classes, tt.multi)
		for i, v := range got {
			if !(math.Abs(float64(v-tt.want[i])) <= 1e-6) {
				t.Errorf("%v become %v, want %v", tt.z, got, tt.want)
			}
		}
	}
}

func TestLossSettingsAtTheLimits(t *testing.T) {
	h, err := New(Config{In: 4, Classes: 2})
	if err != nil {
		t.Fatal(err)
	}
	nan, inf := float32(math.NaN()), float32(math.Inf(1))
	for _, o := range []Options{{Loss: Loss{Weights: []float32{1e-6, 1e6}}}, {Loss: Loss{Smoothing: .99}}, {Clip: 1e-9},
		{Optimizer: "sgd"}} {
		if _, err := NewTrainer(h, o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for _, tt := range []struct {
		o    Options
		want string
	}{
		{Options{Loss: Loss{Weights: []float32{0, 1}}}, "class 0 has weight 0"},
		{Options{Loss: Loss{Weights: []float32{1, -1}}}, "class 1 has weight -1"},
		{Options{Loss: Loss{Weights: []float32{1, nan}}}, "weight NaN"},
		{Options{Loss: Loss{Weights: []float32{inf, 1}}}, "weight +Inf"},
		{Options{Loss: Loss{Weights: []float32{1, 1, 1}}}, "3 class weights for 2 classes"},
		{Options{Loss: Loss{Weights: []float32{}}}, "0 class weights"},
		{Options{Loss: Loss{Smoothing: -.1}}, "smoothing -0.1"},
		{Options{Loss: Loss{Smoothing: math.NaN()}}, "smoothing NaN"}, {Options{Clip: math.NaN()}, "clip NaN"},
	} {
		if _, err := NewTrainer(h, tt.o); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v, want one with %q", tt.o, err, tt.want)
		}
	}
}

func TestBatchesThatDoNotFit(t *testing.T) {
	rows, _ := blobs(3, 4, 2, 1)
	for _, tt := range []struct {
		multi   bool
		labels  []int
		targets int
		want    string
	}{
		{false, []int{0, 1, 0}, 0, ""}, {false, []int{0, 1, -1}, 0, "row 2 has label -1; labels run from 0 to 1"},
		{false, []int{0, 2, 0}, 0, "row 1 has label 2"},
		{false, []int{0, 1, 0, 1}, 0, "4 labels for 3 rows"}, {false, nil, 6, "0 labels for 3 rows"},
		{true, nil, 6, ""}, {true, []int{9}, 6, ""}, {true, nil, 5, "5 targets for 3 rows of 2 classes"},
		{true, nil, 7, "7 targets"}, {true, []int{0, 1, 0}, 0, "0 targets"},
	} {
		fast, _ := twoTrainers(t, Config{In: 4, Classes: 2, Multi: tt.multi}, Options{})
		_, err := fast.Step(Batch{Rows: rows, Labels: tt.labels, Targets: make([]float32, tt.targets)}, Rates{LR: .1})
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: error %v", tt, err)
		}
		if fast.Steps() != map[bool]int{true: 1, false: 0}[err == nil] {
			t.Errorf("%+v: %d steps", tt, fast.Steps())
		}
	}
}
