package learner

import (
	"context"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/onnxtest"
	"finetune/onnx/bodies"
)

// BenchmarkPrecompute measures precompute on the photographs of
// FINETUNE_BENCH_DATA against its bound: the processor seconds of decoding
// alone and of the body alone, over the cores.
//
//	FINETUNE_BENCH_DATA=photos go test -tags turbojpeg ./learner -run '^$' -bench Precompute -benchtime 1x
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
	l := &Learner{Set: set, Body: body, ui: quiet{}}
	l.pre = augment.Preprocess{Size: size, Mean: body.Spec.Mean, Std: body.Spec.Std}
	l.Config.Images.Size, l.Config.Machine.Threads, l.Config.Machine.Workers, l.Config.Machine.Device = size, cores, cores, "cpu"
	files := make([][]byte, len(items))
	for i, it := range items {
		if files[i], err = os.ReadFile(it.File); err != nil {
			b.Fatal(err)
		}
	}
	x := make([]float32, l.pre.Len())
	start := processorSeconds()
	for _, f := range files {
		_ = l.pre.Load(x, f, augment.Limits{}) // an unreadable one costs what it costs
	}
	decode := processorSeconds() - start
	forward := l.bodyAlone(b, len(items))
	for b.Loop() {
		l.Config.Machine.Cache = b.TempDir()
		begin := time.Now()
		if _, err := l.Precompute(context.Background()); err != nil {
			b.Fatal(err)
		}
		wall, n := time.Since(begin).Seconds(), float64(len(items))
		b.ReportMetric(1e3*decode/n, "decode-core-ms/image")
		b.ReportMetric(1e3*forward/n, "body-core-ms/image")
		b.ReportMetric(1e3*wall/n, "wall-ms/image")
		b.ReportMetric((decode+forward)/float64(cores)/wall, "of-bound")
		b.ReportMetric(n/wall, "images/s")
		l.Close()
	}
}

// bodyAlone is the processor seconds of the body for n images, on all cores as
// precompute runs it.
func (l *Learner) bodyAlone(b *testing.B, n int) float64 {
	s, err := l.openFrozen()
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	images := make([]float32, runPhotos*l.pre.Len())
	for i := range images {
		images[i] = float32(i%255)/127 - 1
	}
	const each = 32
	beside := l.Config.Machine.sideBySide()
	run := func() {
		var g errgroup.Group
		for range beside {
			g.Go(func() error {
				features := make([]float32, runPhotos*s.Features())
				for range each {
					if err := s.Run(context.Background(), images, runPhotos, features); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := g.Wait(); err != nil {
			b.Fatal(err)
		}
	}
	run() // memory is laid out in the first run
	start := processorSeconds()
	run()
	return (processorSeconds() - start) / float64(each*beside*runPhotos) * float64(n)
}

func processorSeconds() float64 {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		panic(err)
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()).Seconds()
}

// quiet is a UI that says nothing.
type quiet struct{}

func (quiet) Say(string, ...any)                               {}
func (quiet) Warn(string, ...any)                              {}
func (quiet) Header(...string)                                 {}
func (quiet) Row(...string)                                    {}
func (quiet) Progress(string, string) (func(int, int), func()) { return func(int, int) {}, func() {} }
