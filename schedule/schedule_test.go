package schedule

import (
	"math"
	"slices"
	"testing"
)

// Numbers are fast.ai 0.7's own, printed by its scheduler classes; tolerances
// are half of the last digit printed.

func near(t *testing.T, what string, got, want, tolerance float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tolerance) {
		t.Errorf("%s = %.12g, want %.12g (tolerance %g)", what, got, want, tolerance)
	}
}

func TestEpochs(t *testing.T) {
	for _, tt := range [][4]int{{1, 1, 3, 3}, {1, 2, 3, 7}, {2, 1, 3, 6}, {2, 2, 3, 14}, {3, 1, 3, 9}, {1, 3, 3, 13},
		{0, 0, 2, 2}} {
		if got := Epochs(tt[0], tt[1], tt[2]); got != tt[3] {
			t.Errorf("Epochs(%d, %d, %d) = %d, want %d", tt[0], tt[1], tt[2], got, tt[3])
		}
	}
}

func TestSGDR(t *testing.T) {
	for _, tt := range []struct {
		name  string
		s     SGDR
		base  float64
		from  int
		tol   float64
		rates []float64
	}{
		{"nb 10, two cycles", SGDR{10, 1, 1, 2}, .01, 0, 5e-11,
			[]float64{.0001, .0097552826, .0090450850, .0079389263, .0065450850, .005, .0034549150, .0020610737, .0009549150,
				.0002447174, .01, .0097552826}},
		{"nb 4, doubling", SGDR{4, 1, 2, 3}, .01, 0, 5e-11,
			[]float64{.0001, .0085355339, .005, .0014644661, .01, .0096193977, .0085355339, .0069134172, .005, .0030865828,
				.0014644661, .0003806023, .01, .0099039264}},
		{"nb 4, doubling, end", SGDR{4, 1, 2, 3}, .01, 27, 5e-11, []float64{.0000960736}},
		{"first group", SGDR{4, 1, 2, 3}, 1e-4, 1, 5e-13, []float64{8.5355339e-5}},
		{"second group", SGDR{4, 1, 2, 3}, 1e-3, 1, 5e-12, []float64{8.5355339e-4}},
		{"nb 360, warm-up ends", SGDR{360, 1, 1, 3}, .01, 17, 5e-13, []float64{.0001, .009938441703}},
		{"nb 360, quarter", SGDR{360, 1, 1, 3}, .01, 90, 5e-13, []float64{.008535533906}},
		{"nb 360, half", SGDR{360, 1, 1, 3}, .01, 180, 1e-17, []float64{.005}},
		{"nb 360, end and restart", SGDR{360, 1, 1, 3}, .01, 359, 5e-17, []float64{1.903846791e-7, .01}},
		{"nb 2, doubling", SGDR{2, 1, 2, 2}, .01, 0, 5e-8, []float64{.0001, .005, .01, .0085355, .005, .0014645}},
		{"nb 30 warms up for two steps", SGDR{30, 1, 1, 1}, 1, 0, 5e-8, []float64{.01, .01, .9890738}},
		{"nb 20 warms up for one step", SGDR{20, 1, 1, 1}, 1, 0, 5e-8, []float64{.01, .9938442}},
		{"nb 21 warms up for two steps", SGDR{21, 1, 1, 1}, 1, 0, 5e-8, []float64{.01, .01, .9777864}},
		{"two epochs of 20 warm up for two steps", SGDR{20, 2, 1, 1}, 1, 0, 5e-8, []float64{.01, .01, .9938442}},
		{"nb 1 has no warm-up and ends its cycles", SGDR{1, 1, 1, 3}, .01, 0, 0, []float64{.01, .01, .01}},
		{"nb 1, doubling", SGDR{1, 1, 2, 3}, .01, 0, 5e-11, []float64{.01, .01, .005, .01, .0085355339}},
	} {
		for i, want := range tt.rates {
			near(t, tt.name, tt.base*tt.s.Factor(tt.from+i), want, tt.tol)
		}
	}
	if got := (SGDR{4, 1, 2, 3}).Steps(); got != 28 {
		t.Errorf("4 batches, three doubling cycles: %d steps, want 28", got)
	}
}

func TestCycleEnd(t *testing.T) {
	for _, tt := range []struct {
		s    Schedule
		ends []int
	}{
		{SGDR{10, 1, 1, 2}, []int{9, 19}},
		{SGDR{4, 1, 2, 3}, []int{3, 11, 27}},
		{SGDR{1, 1, 1, 2}, []int{0, 1}},
		{SGDR{4, 1, 0, 2}, []int{3, 7}}, // no multiple is a multiple of 1
		{CLR{Batches: 8, CycleLen: 2, Cycles: 2, Div: 4, CutDiv: 8}, []int{15, 31}},
		{CLRBeta{Batches: 20, CycleLen: 1, Cycles: 2, Div: 10, Tail: 10}, []int{19, 39}},
		{Constant{3, 2}, []int{5}},
		{WarmUp{3}, []int{2}},
		{Finder{1e-5, 10, 4, false}, []int{3}},
	} {
		var got []int
		for i := range tt.s.Steps() {
			if CycleEnd(tt.s, i) {
				got = append(got, i)
			}
			if n, lo, hi := tt.s.Cycle(i); n != len(got) && !CycleEnd(tt.s, i) || i < lo || i >= hi {
				t.Errorf("%+v: step %d lies in cycle %d [%d, %d)", tt.s, i, n, lo, hi)
			}
		}
		if len(got) != len(tt.ends) {
			t.Fatalf("%+v ends cycles at %v, want %v", tt.s, got, tt.ends)
		}
		for i := range got {
			if got[i] != tt.ends[i] {
				t.Errorf("%+v ends cycles at %v, want %v", tt.s, got, tt.ends)
			}
		}
	}
}

func TestCLR(t *testing.T) {
	c := CLR{Batches: 16, CycleLen: 1, Cycles: 2, Div: 4, CutDiv: 8, MomentumMax: .95, MomentumMin: .85}
	for i, want := range []float64{.25, .625, 1, .946429, .892857, .839286, .785714, .732143, .678571, .625, .571429,
		.517857, .464286, .410714, .357143, .303571, .25} {
		near(t, "factor", c.Factor(i), want, 5e-7)
	}
	for i, want := range map[int]float64{0: .9, 1: .85, 2: .857143, 3: .864286, 14: .942857, 15: .95, 16: .9} {
		near(t, "momentum", c.Momentum(i), want, 5e-7)
	}
	c = CLR{Batches: 100, CycleLen: 1, Cycles: 1, Div: 20, CutDiv: 10}
	for i, want := range map[int]float64{0: .0005, 1: .00145, 5: .00525, 10: .01, 11: .009894444444, 55: .00525,
		99: .0006055555556} {
		near(t, "rate", .01*c.Factor(i), want, 5e-13)
	}
	near(t, "momentum of a CLR that leaves it alone", c.Momentum(3), .9, 0)
	short := CLR{Batches: 3, CycleLen: 1, Cycles: 1, Div: 4, CutDiv: 8} // fast.ai divided by zero
	for i, want := range []float64{.25, 1, .625} {
		near(t, "factor of a cycle shorter than the cut's division", short.Factor(i), want, 1e-15)
	}
}

func TestCLRBeta(t *testing.T) {
	c := CLRBeta{Batches: 20, CycleLen: 1, Cycles: 2, Div: 10, Tail: 10, MomentumMax: .95, MomentumMin: .85}
	for i, want := range []float64{.1, .2, .3, .4, .5, .6, .7, .8, .9, 1, .9, .8, .7, .6, .5, .4, .3, .2, .1, .0505, .1} {
		near(t, "factor", c.Factor(i), want, 1e-12)
	}
	for i, want := range map[int]float64{0: .938889, 1: .927778, 8: .85, 9: .861111, 17: .95, 18: .95, 19: .95} {
		near(t, "momentum", c.Momentum(i), want, 5e-7)
	}
	short := CLRBeta{Batches: 3, CycleLen: 1, Cycles: 1, Div: 4, Tail: 10}
	for i, want := range []float64{.25, 1, .25} {
		near(t, "factor of a cycle with one step up", short.Factor(i), want, 1e-15)
	}
	near(t, "top of a long cycle, half of it tail",
		CLRBeta{Batches: 1000, CycleLen: 1, Cycles: 1, Div: 4, Tail: 50}.Factor(250), 1, 1e-15)
	c.MomentumMax, c.MomentumMin = 0, 0
	for _, i := range []int{0, 8, 9, 19} {
		near(t, "momentum of a CLRBeta that leaves it alone", c.Momentum(i), DefaultMomentum, 0)
	}
}

// One of the two momenta may be 0: the schedule is then between 0 and the other.
func TestMomentumFromZero(t *testing.T) {
	near(t, "CLR's momentum at the cut",
		CLR{Batches: 16, CycleLen: 1, Cycles: 1, Div: 4, CutDiv: 8, MomentumMax: .8}.Momentum(1), 0, 1e-15)
	near(t, "CLR's momentum one step on",
		CLR{Batches: 16, CycleLen: 1, Cycles: 1, Div: 4, CutDiv: 8, MomentumMax: .8}.Momentum(0), .4, 1e-15)
	near(t, "CLRBeta's momentum at the top",
		CLRBeta{Batches: 20, CycleLen: 1, Cycles: 1, Div: 10, Tail: 10, MomentumMax: .9}.Momentum(8), 0, 1e-15)
	near(t, "CLRBeta's momentum two steps before",
		CLRBeta{Batches: 20, CycleLen: 1, Cycles: 1, Div: 10, Tail: 10, MomentumMax: .9}.Momentum(6), .2, 1e-15)
	near(t, "CLR's momentum, least alone",
		CLR{Batches: 16, CycleLen: 1, Cycles: 1, Div: 4, CutDiv: 8, MomentumMin: .8}.Momentum(0), .4, 1e-15)
	near(t, "CLRBeta's momentum, least alone",
		CLRBeta{Batches: 20, CycleLen: 1, Cycles: 1, Div: 10, Tail: 10, MomentumMin: .9}.Momentum(6), .7, 1e-15)
}

func TestBadCLRIsRefused(t *testing.T) {
	for _, err := range []error{
		CLR{Div: 4, CutDiv: 8}.Check(), CLR{Div: 1, CutDiv: 8}.Check(), CLR{Div: 4, CutDiv: 1}.Check(),
		CLRBeta{Div: 4, Tail: 10}.Check(), CLRBeta{Div: 1, Tail: 10}.Check(), CLRBeta{Div: 4}.Check(),
		CLRBeta{Div: 4, Tail: .5}.Check(),
	} {
		if err != nil {
			t.Errorf("Check refuses good settings: %v", err)
		}
	}
	for _, err := range []error{CLR{Div: .5, CutDiv: 8}.Check(), CLR{Div: 4}.Check(), CLRBeta{Div: 4, Tail: 100}.Check(),
		CLRBeta{}.Check()} {
		if err == nil {
			t.Error("Check takes settings that make no schedule")
		}
	}
}

func TestDecay(t *testing.T) {
	near(t, "wd .01, 100 batches, one epoch", NormDecay(.01, 100, 1), .001, 1e-15)
	near(t, "wd .01, 100 batches, two epochs", NormDecay(.01, 100, 2), .000707107, 5e-10)
	s := SGDR{100, 1, 2, 2}
	near(t, "first cycle", DecayAt(s, .01, 99), .001, 1e-15)
	near(t, "second cycle", DecayAt(s, .01, 100), .000707107, 5e-10)
}

func TestFinder(t *testing.T) {
	f := Finder{Start: 1e-5, End: 10, Tries: 360}
	for i, want := range map[int]float64{1: 1.039122304e-5, 60: 1e-4, 180: .01, 300: 1, 303: 1.122018454,
		359: 9.623506264} {
		near(t, "exponential rate", 1e-5*f.Factor(i), want, want*5e-10)
	}
	f.Linear = true
	for i, want := range map[int]float64{0: 0, 1: .02777777778, 180: 5, 359: 9.972222222} {
		near(t, "linear rate", 1e-5*f.Factor(i), want, want*5e-10)
	}
	f = Finder{Start: 1e-3, End: 10, Tries: 10} // the last of starts 1e-5, 1e-4, 1e-3
	for _, start := range []float64{1e-5, 1e-4, 1e-3} {
		near(t, "rate of a group", start*f.Factor(5), start*100, start*1e-10)
	}
	near(t, "warm-up", .01*WarmUp{4}.Factor(1), .0025, 1e-15)
}

func TestStop(t *testing.T) {
	losses := []float64{1, 1, 1, 1, 1, .9, .9, .9, .9, .9, .9, .9, .9, .9, .9, .5, .45, .4, .5, 1, 1.59, 1.61, 9}
	run := func(losses []float64) int {
		s := NewStop()
		for i, v := range losses {
			if s.At(i, v) {
				return i
			}
		}
		return -1
	}
	if got := run(losses); got != 21 {
		t.Errorf("stops at %d, fast.ai stops at 21", got)
	}
	if got := run([]float64{.1, 1, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9}); got != -1 {
		t.Errorf("a low loss at step 0 stops the test at %d, fast.ai ignores it", got)
	}
	flat := func(v float64, n int, then ...float64) []float64 {
		return append(slices.Repeat([]float64{v}, n), then...)
	}
	for name, tt := range map[string]struct {
		losses []float64
		want   int
	}{
		"above four times 1e9": {[]float64{4.1e9}, 0}, "below it": {[]float64{3.9e9}, -1},
		"step 10 does not count": {flat(1, 10, .1, 1), -1}, "step 11 does": {flat(1, 11, .1, 1), 12},
		"four times the least": {flat(1, 12, 4), -1}, "more": {flat(1, 12, 4.01), 12},
	} {
		if got := run(tt.losses); got != tt.want {
			t.Errorf("%s: stops at %d, want %d", name, got, tt.want)
		}
	}
	if got := run([]float64{1, math.NaN()}); got != 1 {
		t.Errorf("NaN at step 1 stops at %d", got)
	}
}

func TestSmoothed(t *testing.T) {
	var s Smoothed
	for i, want := range []float64{1, .747475, .578289} {
		near(t, "smoothed loss", s.Add([]float64{1, .5, .25}[i]), want, 5e-7)
	}
}

func TestShown(t *testing.T) {
	for _, tt := range [][3]int{{360, 10, 354}, {304, 10, 298}, {32, 10, 26}, {16, 5, 13}, {1, 0, 1}, {0, 0, 0}} {
		if lo, hi := Shown(tt[0]); lo != tt[1] || hi != tt[2] {
			t.Errorf("Shown(%d) = %d, %d, want %d, %d", tt[0], lo, hi, tt[1], tt[2])
		}
	}
}

// A loss that only rises speaks for rates that the test did not try.
func TestSuggestStaysInTheRange(t *testing.T) {
	var rates, losses []float64
	for i := range 60 {
		rates, losses = append(rates, math.Pow(1.1, float64(i))), append(losses, float64(i))
	}
	near(t, "suggestion", Suggest(rates, losses), 1, 1e-12)
}

// A curve like that of a head on frozen features: flat, a fall that is steepest
// at 1e-3, least near .5, a sharp rise; with noise of a hundredth.
func TestSuggest(t *testing.T) {
	var rates, losses []float64
	for i := range 120 {
		r := 1e-5 * math.Pow(1e6, float64(i)/120)
		x := math.Log10(r / 1e-3)
		loss := .9 - .3*math.Tanh(x) - .05*x + .01*math.Sin(float64(i*i))
		rates, losses = append(rates, r), append(losses, loss+max(0, math.Log10(r/.5))*3)
	}
	const want, tolerance = .007, .003 // sqrt(.001 * .05)
	near(t, "suggestion", Suggest(rates, losses), want, tolerance)
	// numpy.polyfit over the same windows of 7 of the 60 points shown; windows of 5 choose another point.
	near(t, "suggestion of a part", Suggest(rates[:76], losses[:76]), 0.0015848931924611136, 1e-14)
	losses[60] = math.NaN()
	near(t, "suggestion with a NaN in the curve", Suggest(rates, losses), want, tolerance)
	near(t, "suggestion from a linear test, which starts at 0",
		Suggest([]float64{0, .1, .2, .3, .4}, []float64{5, 4, 3, 2, 1}), .08, .03)
	near(t, "suggestion from three points", Suggest([]float64{.05, .2, .4}, []float64{3, 2, 1.5}), 0.0894427190999916,
		1e-15)
	near(t, "suggestion below the first rate", Suggest([]float64{.1, .2, .4}, []float64{3, 2, 1.5}), .1, 1e-15)
	near(t, "suggestion from three points, one of them rate 0", Suggest([]float64{0, .2, .4}, []float64{3, 2, 1.5}), 0, 0)
	near(t, "suggestion with a rate of 0 among the others",
		Suggest([]float64{.05, .1, 0, .2, .4}, []float64{4, 3, 2.5, 2, 1.5}), 0.0894427190999916, 1e-15)
	near(t, "suggestion from three points, one of them NaN", Suggest([]float64{.1, .2, .4}, []float64{3, math.NaN(), 1.5}),
		0, 0)
	tens := []float64{1, 10, 100, 1e3, 1e4}
	near(t, "suggestion where the fall is steepest at the least loss", Suggest(tens, []float64{9, 9, 10, 1, 1.05}),
		1e3/math.Sqrt(10), 1e-10)
	near(t, "suggestion where two losses are the least", Suggest(tens, []float64{9, 9, 5, 1, 1}), 1e3/math.Sqrt(100),
		1e-10)
	near(t, "suggestion from a linear test that only rises",
		Suggest([]float64{0, 1, 1.1, 1.2, 1.3}, []float64{5, 1, 2, 3, 4}), 1, 1e-15)
	for _, n := range []int{0, 1, 2} {
		near(t, "suggestion from too few points", Suggest(rates[:n], losses[:n]), 0, 0)
	}
}

// Points are not evenly spaced where losses of NaN fell out.
func TestSlope(t *testing.T) {
	near(t, "slope of a line", slope([]float64{0, 2, 6, 7}, []float64{1, 5, 13, 15}), 2, 1e-15)
	near(t, "slope of a parabola's points", slope([]float64{0, 1, 3}, []float64{0, 1, 9}), 22./7, 1e-14) // numpy.polyfit
}

// An epoch without batches has no steps, and asking for its rates does not divide by 0.
func TestNoBatches(t *testing.T) {
	for _, s := range []Schedule{SGDR{0, 1, 1, 1}, CLR{CycleLen: 1, Cycles: 1, Div: 4, CutDiv: 8},
		CLRBeta{CycleLen: 1, Cycles: 1, Div: 4, Tail: 10}} {
		n, start, end := s.Cycle(0)
		if f := s.Factor(0); n != 0 || start != 0 || end != 1 || math.IsNaN(f) || math.IsNaN(s.Momentum(0)) {
			t.Errorf("%+v: cycle %d [%d, %d), factor %v", s, n, start, end, f)
		}
	}
}
