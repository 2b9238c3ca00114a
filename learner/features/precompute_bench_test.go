//go:build unix

package features

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"finetune/augment"
	"finetune/augment/picture"
	"finetune/dataset"
	"finetune/internal/onnxtest"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/onnx/bodies"
)

// BenchmarkPrecompute measures precompute on the photographs of
// FINETUNE_BENCH_DATA against its bound: the processor seconds of decoding
// alone and of the body alone, over the cores.
//
//	FINETUNE_BENCH_DATA=photos go test ./learner/features -run '^$' -bench Precompute -benchtime 1x
func BenchmarkPrecompute(b *testing.B) {
	data := os.Getenv("FINETUNE_BENCH_DATA")
	if data == "" {
		b.Skip("skipped: FINETUNE_BENCH_DATA names no folder of photographs")
	}
	onnxtest.Start(b)
	set, err := dataset.Open(data, dataset.Options{Fallback: defaultValidPct})
	if err != nil {
		b.Fatal(err)
	}
	items := append(set.Train, set.Valid...)
	for _, name := range []string{"efficientnet-lite0", "seed:resnet34:7"} {
		b.Run(name, func(b *testing.B) { precomputeAgainstBound(b, name, set, items) })
	}
}

func precomputeAgainstBound(b *testing.B, name string, set *dataset.Set, items []dataset.Item) {
	body, err := bodies.Resolve(name, bodies.Override{})
	if err != nil {
		b.Skipf("skipped: %v", err)
	}
	cores, size := runtime.NumCPU(), body.Spec.Size
	l := &Setup{Session: &SharedBody{}, Narrow: &NarrowPhotos{}, Set: set, Body: body, UI: uitest.Quiet{}}
	l.Preprocess = augment.Preprocess{Size: size, Mean: body.Spec.Mean, Std: body.Spec.Std}
	l.Config.Images.Size, l.Config.Machine.Threads, l.Config.Machine.Workers, l.Config.Machine.Device = size, cores, cores,
		"cpu"
	files := make([][]byte, len(items))
	for i, it := range items {
		if files[i], err = os.ReadFile(it.File); err != nil {
			b.Fatal(err)
		}
	}
	n := float64(len(items))
	for b.Loop() {
		decode, forward := l.decodeAlone(files), l.bodyAlone(b, files)
		l.Config.Machine.Cache = b.TempDir()
		begin := time.Now()
		if _, err := l.Precompute(context.Background()); err != nil {
			b.Fatal(err)
		}
		wall := time.Since(begin).Seconds()
		// the machine may be busier after than before
		decode, forward = (decode+l.decodeAlone(files))/2, (forward+l.bodyAlone(b, files))/2
		b.ReportMetric(1e3*decode, "decode-core-ms/image")
		b.ReportMetric(1e3*forward, "body-core-ms/image")
		b.ReportMetric(1e3*wall/n, "wall-ms/image")
		b.ReportMetric(n*(decode+forward)/float64(cores)/wall, "of-bound")
		b.ReportMetric(n/wall, "images/s")
		l.Close()
	}
}

// decodeAlone is the processor seconds of decoding an image, on one core.
func (l *Setup) decodeAlone(files [][]byte) float64 {
	x := make([]float32, l.Preprocess.Len())
	start := processorSeconds()
	for _, f := range files {
		_ = l.Preprocess.Load(x, f, picture.Limits{}) // an unreadable one costs what it costs
	}
	return (processorSeconds() - start) / float64(len(files))
}

// bodyAlone is the processor seconds of the body for an image, on all cores and
// in batches as precompute runs it, over more photographs than a cache holds.
func (l *Setup) bodyAlone(b *testing.B, files [][]byte) float64 {
	s, err := l.openFrozen()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const batches, rounds = 32, 8
	pixels := l.Preprocess.Len()
	images := make([]float32, batches*config.BatchPhotos*pixels)
	for i := range batches * config.BatchPhotos {
		_ = l.Preprocess.Load(images[i*pixels:(i+1)*pixels], files[i%len(files)], picture.Limits{})
	}
	run := func(rounds int) {
		var g errgroup.Group
		g.SetLimit(l.Config.Machine.ConcurrentRuns())
		for i := range rounds * batches {
			g.Go(func() error {
				batch := images[i%batches*config.BatchPhotos*pixels:][:config.BatchPhotos*pixels]
				return s.Run(context.Background(), batch, config.BatchPhotos, make([]float32, config.BatchPhotos*s.Features()))
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	run(1) // memory is laid out in the first runs
	start := processorSeconds()
	run(rounds)
	return (processorSeconds() - start) / (rounds * batches * config.BatchPhotos)
}

func processorSeconds() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
}
