package features

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/onnxtest"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/learner/runs"
	"finetune/onnx/bodies"
)

// TestFedAsDevice: a processor that is fed as a GPU is, with batches by
// measurement, two runs at once and memory of ONNX Runtime's, gives the bytes
// that it gives without; the batch is measured once and remembered.
func TestFedAsDevice(t *testing.T) {
	onnxtest.Start(t)
	body, err := bodies.Resolve("seed:resnet18:7", bodies.Override{})
	if err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob("../../testdata/images/*.*")
	if err != nil || len(names) < 10 {
		t.Fatal(names, err)
	}
	var items []dataset.Item
	for i := range 3 * len(names) {
		data, err := os.ReadFile(names[i%len(names)])
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(t.TempDir(), filepath.Base(names[i%len(names)]))
		if err := os.WriteFile(file, append(data, byte(i)), 0o666); err != nil {
			t.Fatal(err)
		}
		items = append(items, dataset.Item{Path: file, File: file, Class: "a"})
	}
	t.Setenv("FINETUNE_HOME", t.TempDir())
	var all [2][][]float32
	for i, asDevice := range []bool{false, true} {
		l := &Setup{Session: &SharedBody{}, Narrow: &NarrowPhotos{}, Set: &dataset.Set{}, Body: body, UI: uitest.Quiet{}}
		l.Preprocess = augment.Preprocess{Size: 32, Mean: body.Spec.Mean, Std: body.Spec.Std}
		l.Config.Images.Size = 32
		l.Config.Machine = runs.Machine{Threads: 2, Workers: 3, Device: "cpu", Cache: t.TempDir(), AsDevice: asDevice}
		rows, report, err := l.view(t.Context(), slices.Clone(items), CentreView, nil)
		if err != nil {
			t.Fatal(err)
		}
		if report.Computed < 2*len(names) {
			t.Errorf("%d computed", report.Computed)
		}
		all[i] = rows
		batch, rates := l.Fed()
		if asDevice != (batch > 0) || asDevice && rates[batch] == 0 {
			t.Errorf("as a device %v: batches of %d, rates %v", asDevice, batch, rates)
		}
		if asDevice {
			m := l.Session.opened().fed.recall(t.Context(), func(context.Context, []float32, int, []float32) error {
				t.Error("measured again")
				return nil
			})
			if m.Batch != batch {
				t.Errorf("remembers %d, measured %d", m.Batch, batch)
			}
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for i := range all[0] {
		if (all[0][i] == nil) != (all[1][i] == nil) || !slices.Equal(all[0][i], all[1][i]) {
			t.Errorf("%s: the rows differ", items[i].Path)
		}
	}
}

// TestBatchByMeasurement: the search stops behind the peak and where memory ends,
// runs two at once, and takes the smallest batch that is about as fast.
func TestBatchByMeasurement(t *testing.T) {
	for _, c := range []struct {
		rates map[int]int
		want  int
	}{
		{map[int]int{16: 900, 32: 1800, 64: 1900, 128: 1880}, 64},
		{map[int]int{16: 1000, 32: 1040}, 16},
		{map[int]int{16: 10}, 16},
		{nil, 0},
	} {
		if got := smallestFast(c.rates, batchSizes); got != c.want {
			t.Errorf("%v: %d, want %d", c.rates, got, c.want)
		}
	}
	onnxtest.Start(t)
	body, err := bodies.Resolve("seed:resnet18:7", bodies.Override{})
	if err != nil {
		t.Fatal(err)
	}
	l := &Setup{Session: &SharedBody{}, Narrow: &NarrowPhotos{}, Body: body, UI: uitest.Quiet{}}
	l.Config.Images.Size = 32
	l.Config.Machine = runs.Machine{Threads: 1, Device: "cpu", AsDevice: true}
	b, err := l.openFrozen()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	var mu sync.Mutex
	calls, running, most := map[int]int{}, 0, 0
	m := b.fed.measure(t.Context(), func(_ context.Context, images []float32, n int, rows []float32) error {
		mu.Lock()
		calls[n]++
		running++
		most = max(most, running)
		mu.Unlock()
		defer func() { mu.Lock(); running--; mu.Unlock() }()
		if len(images) != n*b.fed.pixels || len(rows) != n*b.features {
			t.Errorf("%d images in %d floats, rows in %d", n, len(images), len(rows))
		}
		if n == 8 {
			return errors.New("out of memory")
		}
		time.Sleep(5 * time.Millisecond)
		return nil
	}, []int{2, 4, 8, 16}, time.Millisecond)
	if most != config.DeviceRuns || calls[16] > 0 || calls[2] < 2*config.DeviceRuns || len(m.Rates) != 2 || m.Batch == 0 {
		t.Errorf("%d at once, calls %v, found %+v", most, calls, m)
	}
}
