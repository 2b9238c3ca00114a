package finetuning

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/bodies"
	"finetune/onnx/surgery"
	"finetune/onnx/weights"
)

const size, classes = 32, 3

// write makes the artifacts of a seeded body with a small head.
func write(t testing.TB, body string, change func(*artifacts.Options)) string {
	t.Helper()
	state, err := bodies.Seeded(body, 1)
	if err != nil {
		t.Fatal(err)
	}
	return writeState(t, body, state, change)
}

// writeState is write with weights of its own.
func writeState(t testing.TB, body string, state []weights.Tensor, change func(*artifacts.Options)) string {
	t.Helper()
	onnxtest.Start(t)
	model, spec, err := bodies.Build(body, state)
	if err != nil {
		t.Fatal(err)
	}
	features, err := surgery.Features(model, spec.Cut)
	if err != nil {
		t.Fatal(err)
	}
	groups, err := Groups(features, spec)
	if err != nil {
		t.Fatal(err)
	}
	o := artifacts.Options{Body: features, Head: artifacts.Head{Hidden: []int{16}, Classes: classes, Seed: 2},
		Groups: groups, Size: size}
	if change != nil {
		change(&o)
	}
	dir := t.TempDir()
	if _, err := artifacts.Write(dir, o); err != nil {
		t.Fatal(err)
	}
	return dir
}

func open(t testing.TB, dir string, o Options) *Trainer {
	t.Helper()
	if o.Device == "" {
		o.Device, o.NoTF32 = onnxtest.Device(), true
	}
	if o.Threads == 0 {
		o.Threads = 1 // several spin while they wait for each other, on a busy machine for minutes
	}
	tr, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(tr.Close)
	return tr
}

// batch is n images whose brightness tells their class.
func batch(seed uint64, n int) ([]float32, Labels) {
	s := rng.New(seed)
	x, l := make([]float32, n*3*size*size), Labels{}
	for i := range n {
		y := s.Intn(classes)
		l.Classes = append(l.Classes, int64(y))
		for j := range 3 * size * size {
			x[i*3*size*size+j] = float32(s.Normal()*0.3 + float64(y) - 1)
		}
	}
	return x, l
}

var rates = Rates{Rates: []float64{1e-3, 3e-3, 1e-2}, Momentum: 0.9, Decay: []float64{1e-4, 1e-4, 1e-4}}

func TestLearns(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*artifacts.Options)
		rates  Rates
	}{
		{"sgd", nil, rates},
		{"adamw", func(o *artifacts.Options) { o.Optimizer = artifacts.AdamW },
			Rates{Rates: []float64{1e-4, 1e-3, 1e-3}, Momentum: 0.9, Clip: 1}},
		{"head alone", func(o *artifacts.Options) { o.FreezeTo = len(o.Groups) },
			Rates{Rates: []float64{1e-2}, Momentum: 0.9}},
		{"frozen statistics", func(o *artifacts.Options) { o.FreezeBN = true },
			Rates{Rates: []float64{1e-4, 1e-4, 1e-2}, Momentum: 0.9}},
	} {
		t.Run(c.name, func(t *testing.T) {
			tr := open(t, write(t, "resnet18", c.change), Options{Seed: 3})
			var first, last float64
			for step := range 12 {
				x, y := batch(uint64(step), 8)
				loss, _, err := tr.Step(x, y, c.rates)
				if err != nil {
					t.Fatal(err)
				}
				if step == 0 {
					first = loss
				}
				last = loss
			}
			if !(last < 0.7*first) {
				t.Errorf("loss goes from %.4f to %.4f in 12 steps; it should fall by a third", first, last)
			}
		})
	}
}

// TestResume: a run restored from State is the run that never stopped, byte for byte.
func TestResume(t *testing.T) {
	dir := write(t, "resnet18", nil)
	a, b := open(t, dir, Options{Seed: 3}), open(t, dir, Options{Seed: 3})
	steps := func(tr *Trainer, from, to int) {
		for i := from; i < to; i++ {
			x, y := batch(uint64(i), 5)
			if _, _, err := tr.Step(x, y, rates); err != nil {
				t.Fatal(err)
			}
		}
	}
	steps(a, 0, 4)
	steps(b, 0, 2)
	c := open(t, dir, Options{Seed: 3})
	if err := c.Restore(state(t, b)); err != nil {
		t.Fatal(err)
	}
	steps(c, 2, 4)
	for i, want := range state(t, a) {
		if got := state(t, c)[i]; !slices.Equal(got.Data, want.Data) || !slices.Equal(got.Ints, want.Ints) {
			t.Errorf("%s differs after resuming", want.Name)
		}
	}
}

// TestMicroBatch: with frozen statistics the parts of a batch add up to the
// whole, up to the order of float32 sums.
func TestMicroBatch(t *testing.T) {
	dir := write(t, "resnet18", func(o *artifacts.Options) {
		o.FreezeBN, o.Head.Hidden, o.Head.Drop, o.FreezeTo = true, nil, []float64{0}, 0
	})
	weights := []float32{1, 2, 0.5}
	whole := open(t, dir, Options{ClassWeights: weights})
	parts := open(t, dir, Options{ClassWeights: weights, MicroBatch: 3})
	if got := parts.parts(7); !slices.Equal(got, []span{{0, 2}, {2, 4}, {4, 7}}) {
		t.Errorf("7 images in parts of 3: %v", got)
	}
	x, y := batch(1, 6)
	for _, tr := range []*Trainer{whole, parts} {
		if _, _, err := tr.Step(x, y, Rates{Rates: []float64{1, 1, 0}}); err != nil {
			t.Fatal(err)
		}
	}
	// the head's batch normalisation sees other batches, so the comparison is of
	// size, not of digits; exactness of the sum is TestAccumulate's
	if a, b := whole.Norm(), parts.Norm(); !(b > a/10 && b < a*10) {
		t.Errorf("norm of the gradients %g in parts, %g whole", b, a)
	}
}

// TestAccumulate adds known numbers.
func TestAccumulate(t *testing.T) {
	tr := &Trainer{Manifest: artifacts.Manifest{Params: []artifacts.Named{{Name: "w", Shape: []int64{2}}}}}
	g := &buffer{data: []float32{0, 0}}
	tr.tensors = map[string]*buffer{"grad.w": g}
	for k, v := range []float32{1, 10, 100} {
		g.data[0], g.data[1] = v, 2*v
		if err := tr.accumulate(k, 3); err != nil {
			t.Fatal(err)
		}
	}
	if !slices.Equal(g.data, []float32{111, 222}) {
		t.Errorf("sum %v, want [111 222]", g.data)
	}
}

// TestEveryFileIsUsed: take one away and the trainer says which.
func TestEveryFileIsUsed(t *testing.T) {
	dir := write(t, "resnet18", func(o *artifacts.Options) { o.FreezeTo = len(o.Groups) })
	for _, name := range []string{artifacts.TrainingFile, artifacts.EvalFile, artifacts.OptimizerFile,
		artifacts.CheckpointFile} {
		path := filepath.Join(dir, name)
		if err := os.Rename(path, path+".away"); err != nil {
			t.Fatal(err)
		}
		if tr, err := Open(dir, Options{}); err == nil {
			tr.Close()
			t.Errorf("opens without %s", name)
		} else if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), name) {
			t.Errorf("without %s: %v", name, err)
		}
		if err := os.Rename(path+".away", path); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLayoutsAgree: the blocked kernels train to the same parameters as the
// standard operators, up to float32.
func TestLayoutsAgree(t *testing.T) {
	onnxtest.Start(t)
	block, err := onnx.BlockSize()
	if err != nil {
		t.Fatal(err)
	}
	if block == 0 {
		t.Skip("skipped: this machine's library has no blocked kernels")
	}
	var losses [2][]float64
	for i, b := range []int64{0, block} {
		tr := open(t, write(t, "efficientnet-lite0", func(o *artifacts.Options) { o.Block, o.FreezeBN = b, true }),
			Options{Seed: 3, Device: "cpu"})
		for step := range 3 {
			x, y := batch(uint64(step), 4)
			loss, _, err := tr.Step(x, y, Rates{Rates: []float64{1e-4, 1e-4, 1e-3}, Momentum: 0.9})
			if err != nil {
				t.Fatal(err)
			}
			losses[i] = append(losses[i], loss)
		}
	}
	for step := range losses[0] {
		if d := losses[0][step] - losses[1][step]; d > 1e-4 || d < -1e-4 {
			t.Errorf("step %d: loss %g with standard operators, %g blocked", step, losses[0][step], losses[1][step])
		}
	}
}

func TestErrorsSayWhat(t *testing.T) {
	tr := open(t, write(t, "resnet18", func(o *artifacts.Options) { o.FreezeTo = len(o.Groups) }), Options{})
	x, y := batch(1, 2)
	for _, c := range []struct {
		want string
		do   func() error
	}{
		{"needs two", func() error {
			_, _,
				err := tr.Step(x[:3*size*size], Labels{Classes: y.Classes[:1]}, rates)
			return err
		}},
		{"layer groups [head]", func() error { _, _, err := tr.Step(x, y, rates); return err }},
		{"label 9 of 3", func() error {
			_, _, err := tr.Step(x, Labels{Classes: []int64{0, 9}}, rates)
			return err
		}},
		{"values, not those of 2 images", func() error { _, _, err := tr.Step(x[1:], y, rates); return err }},
		{"is missing", func() error { return tr.Restore(nil) }},
		{"does not fit", func() error { return tr.Load(map[string][]float32{"nobody": nil}) }},
	} {
		if err := c.do(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want one with %q", err, c.want)
		}
	}
}
