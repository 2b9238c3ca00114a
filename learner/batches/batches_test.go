package batches

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"

	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/uitest"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/learner/runs"
	"finetune/onnx"
)

// TestPhotosAhead: batches are decoded as many steps ahead as the loader's depth,
// into memory that is used again, and are those that nobody decoded ahead.
func TestPhotosAhead(t *testing.T) {
	names, _ := filepath.Glob("../../testdata/images/4*.jpg")
	var items []dataset.Item
	for i := range 12 {
		items = append(items, dataset.Item{File: names[i%len(names)], Path: names[i%len(names)]})
	}
	batches := []fit.NextBatch{{Epoch: 0, Index: []int{0, 1, 2}}, {Epoch: 0, Index: []int{3, 4, 5}},
		{Epoch: 0, Index: []int{6, 7, 8, 9}}, {Epoch: 1, Index: []int{9, 2, 4}}, {Epoch: 1, Index: []int{1, 3, 5}},
		{Epoch: 1, Index: []int{0, 7, 8}}}
	load := func(asDevice bool, memory func(int) (*onnx.Host, error)) *Loader {
		l := &features.Setup{Session: &features.SharedBody{}, Narrow: &features.NarrowPhotos{}, UI: uitest.Quiet{},
			Preprocess: augment.Preprocess{Size: 8, Std: [3]float32{1, 1, 1}}}
		l.Config.Images.Augment, l.Config.Machine = "none", runs.Machine{Workers: 3, AsDevice: asDevice}
		return New(l, items, memory)
	}
	alone := load(false, nil)
	defer alone.Close()
	for _, asDevice := range []bool{false, true} {
		var asked atomic.Int64
		p := load(asDevice, func(n int) (*onnx.Host, error) {
			if asked.Add(1)%2 == 0 {
				return nil, errors.New("none left")
			}
			return &onnx.Host{Data: make([]float32, n)}, nil
		})
		for i, b := range batches {
			images, err := p.Take(t.Context(), b.Epoch, b.Index)
			if err != nil {
				t.Fatal(err)
			}
			p.Start(batches[i+1:])
			want, err := alone.Take(t.Context(), b.Epoch, b.Index)
			if err != nil || !slices.Equal(images, want) {
				t.Errorf("batch %d is another, %v", i, err)
			}
			if depth := min(map[bool]int{false: 1, true: fit.StepsAhead}[asDevice], len(batches)-i-1); len(p.ahead) != depth {
				t.Errorf("after batch %d: %d ahead, not %d", i, len(p.ahead), depth)
			}
			p.Give(images)
		}
		if n, most := asked.Load(), int64(p.depth+2); n > most { // one batch is larger than the others
			t.Errorf("%d pieces of memory for %d batches, more than %d", n, len(batches), most)
		}
		p.Start(batches[:2])
		if images, err := p.Take(t.Context(), 1, batches[5].Index); err != nil || len(images) != 3*p.setup.Preprocess.Len() ||
			len(p.ahead) != 0 {
			t.Errorf("another batch than those ahead: %d floats, %d ahead, %v", len(images), len(p.ahead), err)
		}
		p.Start(batches[:2])
		p.Close()
		if len(p.hosts) != 0 {
			t.Errorf("%d pieces of memory kept", len(p.hosts))
		}
	}
	gone := filepath.Join(t.TempDir(), "gone.jpg")
	if err := os.Symlink("nowhere", gone); err != nil {
		t.Skip(err)
	}
	items[3].File = gone
	p := load(true, nil)
	defer p.Close()
	p.Start(batches[:3])
	if _, err := p.Take(t.Context(), 0, batches[0].Index); err != nil {
		t.Error(err)
	}
	if _, err := p.Take(t.Context(), 0, batches[1].Index); err == nil {
		t.Error("no error for a photograph that is gone")
	}
}
