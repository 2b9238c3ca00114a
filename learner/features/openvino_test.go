package features

import (
	"math"
	"slices"
	"sync"
	"testing"

	"finetune/internal/onnxtest"
	"finetune/internal/rng"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/bodies"
)

// TestOpenVINOGivesTheSameBytes: features do not depend on the batch they came in, on
// threads or on other runs at the same time, in float32 and in bfloat16, and those of
// float32 are ONNX Runtime's but for rounding.
func TestOpenVINOGivesTheSameBytes(t *testing.T) {
	onnxtest.Start(t)
	if onnxtest.Device() != "openvino" {
		t.Skip("skipped: FINETUNE_TEST_DEVICE is not openvino; run `make test-openvino`")
	}
	body, err := bodies.Resolve("seed:resnet18:7", bodies.Override{})
	if err != nil {
		t.Fatal(err)
	}
	const photos, size = 13, 64
	images := make([]float32, photos*3*size*size)
	stream := rng.New(1)
	for i := range images {
		images[i] = float32(2*stream.Float64() - 1)
	}
	open := func(device string, precision config.Precision, threads int, alone bool) *frozenBody {
		t.Helper()
		s := &Setup{Session: &SharedBody{}, Narrow: &NarrowPhotos{}, Body: body, UI: uitest.Quiet{}}
		s.Config.Images.Size, s.Config.Body.Precision = size, precision
		s.Config.Machine = runs.Machine{Device: device, Threads: threads, OneRun: alone}
		b, err := s.openFrozen()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { b.Close() })
		return b
	}
	rows := func(b *frozenBody, batch int, together bool) []float32 {
		out := make([]float32, photos*b.features)
		var all sync.WaitGroup
		for at := 0; at < photos; at += batch {
			n := min(batch, photos-at)
			run := func() {
				if err := b.Run(t.Context(), images[at*3*size*size:(at+n)*3*size*size], n, out[at*b.features:]); err != nil {
					t.Error(err)
				}
			}
			if together {
				all.Go(run)
			} else {
				run()
			}
		}
		all.Wait()
		return out
	}
	precisions := []config.Precision{runs.Float32, runs.BFloat16}
	if !onnx.HasBFloat16() {
		t.Log("bfloat16 is not tried: this processor has none")
		precisions = precisions[:1]
	}
	reference := rows(open("cpu", runs.Float32, 1, true), 4, false)
	for _, p := range precisions {
		want := rows(open("openvino", p, 1, true), 4, false)
		for _, c := range []struct {
			batch, threads  int
			alone, together bool
		}{{1, 1, true, false}, {5, 1, true, false}, {13, 2, true, false}, {4, 2, false, true}, {1, 2, false, true}} {
			if got := rows(open("openvino", p, c.threads, c.alone), c.batch, c.together); !slices.Equal(got, want) {
				t.Errorf("%s, %+v: other bytes, by %g of the largest", p, c, distance(got, want))
			}
		}
		d := distance(want, reference)
		t.Logf("%s: %.2g of the largest feature from ONNX Runtime's float32", p, d)
		if bound := map[config.Precision]float64{runs.Float32: 1e-5, runs.BFloat16: 0.05}[p]; d > bound ||
			p == runs.BFloat16 && d < 1e-4 {
			t.Errorf("%s: %g from ONNX Runtime's", p, d)
		}
	}
}

// distance is the largest difference, by the largest of b.
func distance(a, b []float32) float64 {
	var d, top float64
	for i := range a {
		d, top = max(d, math.Abs(float64(a[i]-b[i]))), max(top, math.Abs(float64(b[i])))
	}
	return d / top
}
