package finetuning

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"testing"

	"finetune/internal/home"
	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/onednn"
	"finetune/onnx/weights"
)

// steps is a case of testdata/reference/steps_vectors.py, or of steps_vit.py.
type steps struct {
	Network          string
	Pretrained       bool
	Frozen           bool
	Size, Batch      int
	Rates            []float64
	Moved            map[string]float64 // how far each part went in float64
	Spread, Double   map[string]float64 // PyTorch's thread counts from each other, and one thread from float64
	Losses, Losses64 []float64
	Final, Final64   map[string][]float64
}

// TestFollowsPyTorch takes 50 steps with three rates, momentum and decay.
func TestFollowsPyTorch(t *testing.T) {
	if other := os.Getenv("FINETUNE_STEPS"); other != "" { // another size or network
		followAll(t, other)
		return
	}
	followAll(t, onnxtest.Data(t, "reference/steps.json"))
	if !testing.Short() {
		followAll(t, onnxtest.Data(t, "reference/steps_pretrained.json"))
		followAll(t, onnxtest.Data(t, "reference/steps_vit.json"))
	}
}

func followAll(t *testing.T, path string) {
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []steps
	if err := json.Unmarshal(data, &cases); err != nil {
		t.Fatal(err)
	}
	onnxtest.Start(t)
	native, err := onnx.BlockSize()
	if err != nil {
		t.Fatal(err)
	}
	if onnxtest.Device() != "cpu" { // its kernels have no blocks
		native = 0
	}
	oneDNN, err := onnx.OneDNN()
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s/frozen=%v", c.Network, c.Frozen), func(t *testing.T) { follow(t, c, native, "") })
		t.Run(fmt.Sprintf("%s/frozen=%v/oneDNN", c.Network, c.Frozen), func(t *testing.T) {
			if oneDNN == "" || onnxtest.Device() != "cpu" {
				t.Skip("skipped: oneDNN is not installed (finetune fetch onednn), or this is no processor")
			}
			follow(t, c, 0, onednn.Float32)
		})
	}
}

func follow(t *testing.T, c steps, block int64, domain string) {
	change := func(o *artifacts.Options) {
		o.Size, o.FreezeBN, o.Block, o.OneDNN = c.Size, c.Frozen, block, domain
		o.Head.Drop = []float64{0, 0}
	}
	dir := ""
	if c.Pretrained {
		state, err := weights.Read(home.Path("weights", c.Network+".pth"))
		if errors.Is(err, fs.ErrNotExist) {
			t.Skipf("skipped: %v; run make fetch", err)
		} else if err != nil {
			t.Fatal(err)
		}
		dir = writeState(t, c.Network, state, change)
	} else {
		dir = write(t, c.Network, change)
	}
	threads := 2
	if testing.Short() {
		threads = 1
	}
	tr := open(t, dir, Options{Threads: threads})
	losses := make([]float64, len(c.Losses))
	for i := range losses {
		x, y := lesson(i, c.Batch, c.Size)
		loss, _, err := tr.Step(x, y, Rates{Rates: c.Rates, Momentum: 0.9, Decay: []float64{0.01, 0.01, 0.01}})
		if err != nil {
			t.Fatal(err)
		}
		losses[i] = loss
	}
	theirs, exact := apart(t, tr, c, c.Final), apart(t, tr, c, c.Final64)
	theirs["loss"], exact["loss"] = worst(losses, c.Losses), worst(losses, c.Losses64)
	for part, d := range theirs {
		bound := 1e-3
		if !c.Frozen { // rounding grows from step to step, in PyTorch too: its float32 is as far from its float64
			bound = 3 * max(c.Spread[part], c.Double[part])
		}
		t.Logf("%-6s %.2g from PyTorch, whose thread counts lie %.2g apart; %.2g from float64, PyTorch %.2g", part, d,
			c.Spread[part], exact[part], c.Double[part])
		if !(d <= bound) {
			t.Errorf("%s ends %.3g from PyTorch's, more than %.3g", part, d, bound)
		}
	}
}

// lesson is the script's batch of a step: noise about a brightness that tells the class.
func lesson(step, n, size int) ([]float32, Labels) {
	s, l := rng.New(17, uint64(step)), Labels{}
	x := make([]float32, n*3*size*size)
	for i := range n {
		y := (step + i) % classes
		l.Classes = append(l.Classes, int64(y))
		for j := range 3 * size * size {
			x[i*3*size*size+j] = float32(s.Uniform(-0.5, 0.5) + float64(y) - 1)
		}
	}
	return x, l
}

// apart is the distance of the trainer's tensors from the script's, by part and
// relative to how far that moved, by their products with random vectors.
func apart(t *testing.T, tr *Trainer, c steps, want map[string][]float64) map[string]float64 {
	part := map[string]string{}
	for _, g := range tr.Manifest.Groups {
		for _, p := range g.Parameters {
			part[p] = g.Name
		}
	}
	square := map[string]float64{}
	all, err := tr.Weights()
	if err != nil {
		t.Fatal(err)
	}
	for name, got := range all {
		if want[name] == nil {
			t.Fatalf("%s is not in the reference", name)
		}
		group := part[name]
		if group == "" {
			group = "stats"
		}
		for k, product := range want[name] {
			s := rng.New(13, rng.Text(name), uint64(k))
			for _, v := range got {
				product -= float64(v) * s.Uniform(-math.Sqrt(3), math.Sqrt(3))
			}
			square[group] += product * product / float64(len(want[name]))
		}
	}
	for g, v := range square {
		square[g] = math.Sqrt(v) / c.Moved[g]
	}
	return square
}

// worst is the largest relative difference.
func worst(got, want []float64) (d float64) {
	for i, v := range got {
		d = max(d, math.Abs(v-want[i])/math.Abs(want[i]))
	}
	return d
}
