//go:build unix

package head

import (
	"testing"

	"golang.org/x/sys/unix"

	"finetune/internal/rng"
)

// BenchmarkHeadEpoch is one epoch on 25,000 x 1024 rows, batch 64, two classes;
// bench/head_pytorch.py is the same in PyTorch.
func BenchmarkHeadEpoch(b *testing.B) {
	const n, features, size = 25000, 1024, 64
	s := rng.New(5)
	flat := make([]float32, n*features)
	for i := range flat {
		flat[i] = float32(s.Float64())
	}
	rows, labels := make([][]float32, n), make([]int, n)
	for i := range rows {
		rows[i], labels[i] = flat[i*features:(i+1)*features], s.Intn(2)
	}
	for _, p := range append([]Products{nil}, implementations(b)...) {
		name := "native"
		if p != nil {
			name = p.Name()
		}
		b.Run("impl="+name, func(b *testing.B) {
			h, err := New(Config{In: features, Hidden: []int{512}, Classes: 2, Seed: 1})
			if err != nil {
				b.Fatal(err)
			}
			h.SetProducts(p)
			t, err := NewTrainer(h, Options{Seed: 1})
			if err != nil {
				b.Fatal(err)
			}
			batch := Batch{Rows: make([][]float32, 0, size+1), Labels: make([]int, 0, size+1)}
			used := processorSeconds(b)
			for epoch := 0; b.Loop(); epoch++ {
				order := Order(n, 1, epoch)
				for i := range Batches(n, size) {
					lo, hi := Bounds(n, size, i)
					batch.Rows, batch.Labels = batch.Rows[:0], batch.Labels[:0]
					for _, k := range order[lo:hi] {
						batch.Rows, batch.Labels = append(batch.Rows, rows[k]), append(batch.Labels, labels[k])
					}
					if _, err := t.Step(batch, Rates{LR: .01, Momentum: .9}); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/epoch")
			b.ReportMetric((processorSeconds(b)-used)/float64(b.N), "processor-s/epoch")
		})
	}
}

// processorSeconds is what the process has used of all cores: unlike the clock it
// hardly changes when the machine is busy.
func processorSeconds(b *testing.B) float64 {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
