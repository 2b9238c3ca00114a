package features

import (
	"errors"

	"gonum.org/v1/gonum/blas/blas64"

	"finetune/audit"
	"finetune/onnx"
	"finetune/onnx/graph"
)

// Products computes matrix products by ONNX Runtime, ten times as fast as gonum. Owned by
// the caller: freed by Close. Runs may overlap.
type Products struct{ plain, transposed *onnx.Session }

// NewProducts opens the sessions of products on so many threads, 0 for all.
func NewProducts(threads int) (*Products, error) {
	p := &Products{}
	var errs [2]error
	p.plain, errs[0] = openGemm("a·b", threads)
	p.transposed, errs[1] = openGemm("a·bᵀ", threads, graph.Int("transB", 1))
	if err := errors.Join(errs[:]...); err != nil {
		return nil, errors.Join(err, p.Close())
	}
	return p, nil
}

func openGemm(name string, threads int, attrs ...graph.Attr) (*onnx.Session, error) {
	b := graph.NewBuilder("product", 13)
	in := []string{b.Input("a", graph.Float64, "ar", "ac"), b.Input("b", graph.Float64, "br", "bc")}
	b.Output(b.Node("Gemm", "y", in, attrs...), graph.Float64, "yr", "yc")
	model, err := b.Model().Bytes()
	if err != nil {
		return nil, err
	}
	return onnx.OpenBytes("audit: product "+name, model, in, []string{"y"}, onnx.Options{Threads: threads, Device: "cpu"})
}

// Close frees the sessions.
func (p *Products) Close() error { return errors.Join(p.plain.Close(), p.transposed.Close()) }

var _ audit.Product = (*Products)(nil).Multiply

// Multiply implements audit.Product.
func (p *Products) Multiply(dst, a, b blas64.General, transB bool) (err error) {
	s := p.plain
	if transB {
		s = p.transposed
	}
	var t [3]*onnx.Tensor
	for k, m := range []blas64.General{a, b, dst} {
		if t[k], err = onnx.Float64(m.Data[:m.Rows*m.Cols], int64(m.Rows), int64(m.Cols)); err != nil {
			return err
		}
		defer t[k].Close()
	}
	return s.Run(t[:2], t[2:])
}
