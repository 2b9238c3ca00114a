package quantize

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"finetune/internal/failure"
	"finetune/internal/onnxtest"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/graph/onnxpb"
)

func copied(b *graph.Builder, conv string) string { return conv }

// filled has images whose smallest value is -i and whose largest 2i, from i = 1; every third is left out.
func filled(n int) Images {
	return Images{n, []int64{1, 3, 16, 16}, func(i int, x []float32) (bool, error) {
		clear(x)
		x[5], x[700] = -float32(i+1), 2*float32(i+1)
		return i%3 != 2, nil
	}}
}

func TestObserveTakesMeans(t *testing.T) {
	onnxtest.Start(t)
	m := one(noBias, copied)
	for _, threads := range []int{0, 1, 2, 9} {
		ranges, err := Observe(m, filled(7), onnx.Options{Threads: threads})
		if err != nil {
			t.Fatal(err)
		}
		// of images 1, 2, 4, 5 and 7
		if got, want := ranges["image"], (Range{-19. / 5, 38. / 5}); got != want || len(ranges) != 2 {
			t.Errorf("%d threads: %v, want %v of the image", threads, ranges, want)
		}
	}
}

func TestObserveOfNothing(t *testing.T) {
	onnxtest.Start(t)
	m, images := one(noBias, copied), filled(3)
	broken := errors.New("broken")
	for name, tt := range map[string]struct {
		change func(i *Images)
		want   string
	}{
		"none": {func(i *Images) { i.Count = 0 }, "no images"},
		"none readable": {func(i *Images) { i.Load = func(int, []float32) (bool, error) { return false, nil } },
			"no images"},
		"an error": {func(i *Images) { i.Load = func(int, []float32) (bool, error) { return true, broken } },
			"broken"},
		"error, left out": {func(i *Images) { i.Load = func(int, []float32) (bool, error) { return false, broken } },
			"broken"},
		"wrong size": {func(i *Images) {
			i.Shape, i.Load = []int64{1, 3, 8}, func(int, []float32) (bool, error) { return true, nil }
		}, "image"},
	} {
		changed := images
		tt.change(&changed)
		if _, err := Observe(m, changed, onnx.Options{Threads: 1}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := Observe(within(func(_ *graph.Builder, x string) string { return x }), images,
		onnx.Options{Threads: 1}); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("a network without convolutions: %v", err)
	}
	large, weights := one(noBias, copied), bytesTensor("large", graph.Uint8, []int64{1 << 24}, make([]byte, 1<<24))
	large.Graph.Initializer = append(large.Graph.Initializer, slices.Repeat([]*onnxpb.TensorProto{weights}, 128)...)
	if _, err := Observe(large, images, onnx.Options{Threads: 1}); err == nil ||
		!strings.Contains(err.Error(), "the limit of an ONNX file") {
		t.Errorf("a network too large to be written: %v", err)
	}
	m.Graph.Node[0].OpType = &[]string{"Unknown"}[0]
	if _, err := Observe(m, images, onnx.Options{Threads: 1}); err == nil {
		t.Error("a network that ONNX Runtime refuses passed")
	}
}

// As many photographs are open at once as there are threads, no more; each is looked at once; an error ends the rest.
func TestObserveSideBySide(t *testing.T) {
	onnxtest.Start(t)
	var now, most, calls atomic.Int64
	var meet sync.WaitGroup
	meet.Add(2)
	images := Images{6, []int64{1, 3, 16, 16}, func(i int, x []float32) (bool, error) {
		if n := now.Add(1); n > most.Load() {
			most.Store(n)
		}
		if calls.Add(1) <= 2 { // the first two wait for each other
			meet.Done()
			meet.Wait()
		}
		time.Sleep(2 * time.Millisecond)
		now.Add(-1)
		return true, nil
	}}
	m := one(noBias, copied)
	if _, err := Observe(m, images, onnx.Options{Threads: 2}); err != nil || calls.Load() != 6 || most.Load() != 2 {
		t.Errorf("%d calls, %d at once, %v; want 6 and 2", calls.Load(), most.Load(), err)
	}
	calls.Store(0)
	images.Load = func(int, []float32) (bool, error) { calls.Add(1); return true, errors.New("broken") }
	if _, err := Observe(m, images, onnx.Options{Threads: 1}); err == nil || calls.Load() != 1 {
		t.Errorf("%d calls after an error in the first: %v", calls.Load(), err)
	}
}

// The session ends with the call: only then does ONNX Runtime finish its profile.
func TestObserveClosesItsSession(t *testing.T) {
	onnxtest.Start(t)
	prefix := filepath.Join(t.TempDir(), "profile")
	if _, err := Observe(one(noBias, copied), filled(1), onnx.Options{Threads: 1, Profile: prefix}); err != nil {
		t.Fatal(err)
	}
	names, _ := filepath.Glob(prefix + "*")
	if len(names) != 1 {
		t.Fatalf("profiles %v", names)
	}
	if text, err := os.ReadFile(names[0]); err != nil || !json.Valid(text) {
		t.Errorf("the profile is not finished: %v", err)
	}
}
