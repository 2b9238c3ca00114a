package check

import (
	"fmt"
	"syscall"
	"testing"

	"finetune/audit"
)

// usage is what this process has used of the machine.
func usage(b *testing.B) (u syscall.Rusage) {
	b.Helper()
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return u
}

// processor is the processor time of this process, in seconds: a busy machine does not change it much.
func processor(b *testing.B) float64 {
	b.Helper()
	u := usage(b)
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}

// peak is the most memory that this process has held, features included, in GB. Each size runs after the smaller ones.
func peak(b *testing.B) float64 {
	b.Helper()
	return float64(usage(b).Maxrss) * 1024 / 1e9
}

// BenchmarkLabels is the time that wrong labels take, at EfficientNet-Lite0's width.
func BenchmarkLabels(b *testing.B) {
	for _, n := range []int{2000, 50000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rows, labels := someRows(n)
			p := fast(b)
			before := processor(b)
			for b.Loop() {
				if _, err := audit.WrongLabels(rows, labels, 2, p.Multiply); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((processor(b)-before)/float64(b.N), "cpu-s/op")
			b.ReportMetric(peak(b), "peak-GB")
		})
	}
}

// BenchmarkSimilar is the time that candidates for copies take: all pairs, and in buckets.
func BenchmarkSimilar(b *testing.B) {
	for _, n := range []int{4000, 50000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			rows, _ := someRows(n)
			p := fast(b)
			before := processor(b)
			for b.Loop() {
				if _, err := audit.Similar(rows, p.Multiply); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric((processor(b)-before)/float64(b.N), "cpu-s/op")
			b.ReportMetric(peak(b), "peak-GB")
		})
	}
}
