package head

import (
	"fmt"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/internal/rng"
)

// implementations lists the products that can run here.
func implementations(t testing.TB) []Products {
	t.Helper()
	onnxtest.Start(t)
	o, err := NewORT(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { o.Close() })
	return []Products{Gonum{}, o}
}

func BenchmarkProducts(b *testing.B) {
	const n, in, out = 64, 1024, 512
	s := rng.New(1)
	random := func(n int) []float32 {
		x := make([]float32, n)
		for i := range x {
			x[i] = float32(s.Normal())
		}
		return x
	}
	x, w, bias, y, dw := random(n*in), random(out*in), random(out), random(n*out), random(out*in)
	for _, p := range implementations(b) {
		for _, f := range []struct {
			name string
			run  func() error
		}{
			{"forward", func() error { return p.Forward(y, w, x, bias, out, in, n) }},
			{"input", func() error { return p.Input(x, w, y, out, in, n) }},
			{"weight", func() error { return p.Weight(dw, y, x, 0, out, in, n) }},
			{"weight+beta", func() error { return p.Weight(dw, y, x, .5, out, in, n) }},
		} {
			b.Run(fmt.Sprintf("form=%s/impl=%s", f.name, p.Name()), func(b *testing.B) {
				for b.Loop() {
					if err := f.run(); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(2*n*in*out*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
			})
		}
	}
}
