//go:build linux && amd64

package onednn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/onednn"
)

// precision is a domain and what its numbers may be off by, of the largest one.
type precision struct {
	domain string
	eps    float64
}

var precisions = []precision{{onednn.Float32, 1e-5}, {onednn.BFloat16, 1.0 / 128}}

// array is a tensor of a test, in ONNX's order of axes.
type array struct {
	shape []int64
	data  []float32
}

func size(shape []int64) int {
	n := 1
	for _, d := range shape {
		n *= int(d)
	}
	return n
}

// random draws numbers that bfloat16 holds exactly.
func random(r *rand.Rand, shape ...int64) array {
	a := array{shape, make([]float32, size(shape))}
	for i := range a.data {
		a.data[i] = float32(math.Round(r.NormFloat64()*32) / 64)
	}
	return a
}

// trial is one operator between Enter and Leave.
type trial struct {
	*graph.Builder
	domain  string
	threads int
	inputs  []string
	outputs []string
	given   []array
}

func start(t *testing.T) {
	t.Helper()
	onnxtest.Start(t)
	path, err := onnx.OneDNN()
	if err != nil {
		t.Fatal(err)
	}
	if path == "" {
		t.Skip("skipped: oneDNN is not installed (finetune fetch onednn)")
	}
}

func newTrial(domain string) *trial {
	return &trial{Builder: graph.NewBuilder("trial", 17), domain: domain, threads: 2}
}

// input is a plain input of the graph.
func (tr *trial) input(a array) string {
	dims := make([]any, len(a.shape))
	for i, d := range a.shape {
		dims[i] = d
	}
	name := tr.Input(fmt.Sprintf("in%d", len(tr.inputs)), graph.Float32, dims...)
	tr.inputs, tr.given = append(tr.inputs, name), append(tr.given, a)
	return name
}

// enter is an input [n, c, h, w], channels last.
func (tr *trial) enter(a array) string { return tr.Node(tr.domain+".Enter", "", []string{tr.input(a)}) }

func (tr *trial) output(name string, rank int) {
	dims := make([]any, rank)
	for i := range dims {
		dims[i] = fmt.Sprintf("%s%d", name, i)
	}
	tr.Output(name, graph.Float32, dims...)
	tr.outputs = append(tr.outputs, name)
}

// leave makes a tensor that lies channels last an output.
func (tr *trial) leave(name string) {
	tr.output(tr.Node(tr.domain+".Leave", fmt.Sprintf("out%d", len(tr.outputs)), []string{name}), 4)
}

func (tr *trial) run(t *testing.T) [][]float32 {
	t.Helper()
	model, err := tr.Model().Bytes()
	if err != nil {
		t.Fatal(err)
	}
	s, err := onnx.OpenBytes("trial", model, tr.inputs, tr.outputs, onnx.Options{Threads: tr.threads, OneDNN: true})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	var in []*onnx.Tensor
	for _, a := range tr.given {
		x, err := onnx.Float32(a.data, a.shape...)
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close()
		in = append(in, x)
	}
	out := make([]*onnx.Tensor, len(tr.outputs))
	if err := s.Run(in, out); err != nil {
		t.Fatal(err)
	}
	var all [][]float32
	for _, o := range out {
		all = append(all, append([]float32(nil), o.Float32()...))
		o.Close()
	}
	return all
}

// near compares with numbers of more precision.
func near(t *testing.T, what string, got []float32, want []float64, eps float64) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%s: %d numbers, want %d", what, len(got), len(want))
		return
	}
	largest, worst := 0.0, 0.0
	for i, w := range want {
		largest = max(largest, math.Abs(w))
		worst = max(worst, math.Abs(float64(got[i])-w))
		if got[i] != got[i] {
			t.Errorf("%s: number %d is NaN, want %g", what, i, w)
			return
		}
	}
	if worst > eps*largest {
		t.Errorf("%s: off by %g of %g, more than %g", what, worst, largest, eps)
	}
}
