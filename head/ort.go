package head

import (
	"errors"
	"fmt"

	"finetune/onnx"
	"finetune/onnx/graph"
)

// ORT computes products by ONNX Runtime's Gemm operator. Owned by the caller:
// freed by Close. One goroutine.
type ORT struct {
	threads                int
	forward, input, weight *onnx.Session
	add                    *onnx.Session // weight with beta*dw added
	beta                   float32       // of add
}

// NewORT opens the sessions; onnx.Start must have been called. threads 0 means
// one a core.
func NewORT(threads int) (*ORT, error) {
	o := &ORT{threads: threads}
	var errs [3]error
	o.forward, errs[0] = o.gemm("w·x+b", 3)
	o.input, errs[1] = o.gemm("wᵀ·dy", 2, graph.Int("transA", 1))
	o.weight, errs[2] = o.gemm("dy·xᵀ", 2, graph.Int("transB", 1))
	if err := errors.Join(errs[:]...); err != nil {
		o.Close()
		return nil, err
	}
	return o, nil
}

// gemm opens a session of one Gemm with 2 or 3 inputs of any size.
func (o *ORT) gemm(name string, inputs int, attrs ...graph.Attr) (*onnx.Session, error) {
	b := graph.NewBuilder("gemm", 13)
	in := []string{b.Input("a", graph.Float32, "ar", "ac"), b.Input("b", graph.Float32, "br", "bc")}
	if inputs == 3 {
		in = append(in, b.Input("c", graph.Float32, "cr", "cc"))
	}
	b.Output(b.Node("Gemm", "y", in, attrs...), graph.Float32, "yr", "yc")
	model, err := b.Model().Bytes()
	if err != nil {
		return nil, fmt.Errorf("head: product %s: %w", name, err)
	}
	return onnx.OpenBytes("head: product "+name, model, in, []string{"y"}, onnx.Options{Threads: o.threads})
}

// Name implements Products.
func (o *ORT) Name() string { return "onnxruntime" }

// Forward implements Products.
func (o *ORT) Forward(y, w, x, b []float32, out, in, n int) error {
	return run(o.forward, operand{y, out, n}, operand{w, out, in}, operand{x, in, n}, operand{b, out, 1})
}

// Input implements Products.
func (o *ORT) Input(dx, w, dy []float32, out, in, n int) error {
	return run(o.input, operand{dx, in, n}, operand{w, out, in}, operand{dy, out, n})
}

// Weight implements Products.
func (o *ORT) Weight(dw, dy, x []float32, beta float32, out, in, n int) error {
	y, a, b := operand{dw, out, in}, operand{dy, out, n}, operand{x, in, n}
	if beta == 0 {
		return run(o.weight, y, a, b)
	}
	if o.add == nil || o.beta != beta {
		o.add.Close()
		s, err := o.gemm("dy·xᵀ+beta·dw", 3, graph.Int("transB", 1), graph.Float("beta", beta))
		if err != nil {
			return err
		}
		o.add, o.beta = s, beta
	}
	return run(o.add, y, a, b, y)
}

// Close frees the sessions. Twice is fine.
func (o *ORT) Close() error {
	return errors.Join(o.forward.Close(), o.input.Close(), o.weight.Close(), o.add.Close())
}

// operand is a matrix argument.
type operand struct {
	data       []float32
	rows, cols int
}

func (o operand) tensor() (*onnx.Tensor, error) {
	return onnx.Float32(o.data[:o.rows*o.cols], int64(o.rows), int64(o.cols))
}

// run computes y from the operands in place.
func run(s *onnx.Session, y operand, operands ...operand) error {
	out, err := y.tensor()
	if err != nil {
		return err
	}
	defer out.Close()
	in := make([]*onnx.Tensor, len(operands))
	for i, o := range operands {
		t, err := o.tensor()
		if err != nil {
			return err
		}
		defer t.Close()
		in[i] = t
	}
	return s.Run(in, []*onnx.Tensor{out})
}
