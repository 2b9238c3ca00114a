package look

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"

	"finetune/activations"
	"finetune/dataset"
	"finetune/head"
	"finetune/internal/dims"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/shape"
)

// mostKept is the values of maps that one report may keep in the cache, 64 MB: above it they are
// computed each time.
const mostKept = 16 << 20

// Maps tells where h looks on photographs whose features are rows, for the classes of. Photographs that speak for
// their class nowhere, or cannot be read any more, are left out. A body whose features are a vector has no maps. The
// body's maps are computed in float32 on the processor and cached beside the features.
func Maps(ctx context.Context, s *features.Setup, h *head.Head, items []dataset.Item, rows [][]float32,
	of []int) ([]runs.Map, error) {
	b, err := mapsOf(s)
	if b == nil || err != nil || len(items) == 0 {
		return nil, err
	}
	defer b.close()
	gradients, err := h.Explain(rows, of)
	if err != nil {
		return nil, err
	}
	var out []runs.Map
	return out, b.each(ctx, items, func(i int, values []float32) {
		share := Places{values, b.rows, b.columns}.Share(s.Body.Spec, gradients[i])
		if levels := Levels(share); levels != nil {
			out = append(out, runs.Map{Path: items[i].Path, Class: of[i], Rows: b.rows, Columns: b.columns, Levels: levels})
		}
	})
}

// mapBody is the body up to what its features are pooled from, one row a photograph.
type mapBody struct {
	setup         *features.Setup
	machine       config.Machine // the processor of setup's
	model         *graph.Model
	shape         []int64 // of a photograph's values
	rows, columns int

	once    sync.Once // opens the session when the first photograph needs it
	session *onnx.Session
	failed  error
}

var _ activations.Judge = (*mapBody)(nil)

// mapsOf prepares the body of s; nil of one whose features stand at no places.
func mapsOf(s *features.Setup) (*mapBody, error) {
	m, err := bodies.MapModel(s.Body)
	if m == nil || err != nil {
		return nil, err
	}
	size := int64(s.Config.Images.Size)
	known, err := shape.Shapes(m, map[string][]int64{m.Graph.Input[0].GetName(): {1, 3, size, size}})
	if err != nil {
		return nil, err
	}
	d := known[bodies.MapName]
	if len(d) < 3 || dims.Product(d) < 1 {
		return nil, fmt.Errorf("learner: %s: the size of its last map is not known", m.Path)
	}
	machine := s.Config.Machine
	machine.Device, machine.AsDevice = "cpu", false
	b := &mapBody{setup: s, machine: machine, model: m, shape: d[1:], rows: int(d[2]), columns: int(d[len(d)-1])}
	if len(d) == 3 { // patches of a square
		if b.rows = int(math.Round(math.Sqrt(float64(d[2])))); b.rows*b.rows != int(d[2]) {
			return nil, fmt.Errorf("learner: %s: what it makes of patches, %d, is no square", m.Path, d)
		}
		b.columns = b.rows
	}
	return b, nil
}

// each computes the values of items, or takes them from the cache.
func (b *mapBody) each(ctx context.Context, items []dataset.Item, emit func(i int, values []float32)) error {
	s := b.setup
	load := func(dst []float32, data []byte, _ dataset.Item) error {
		return s.Preprocess.Load(dst, data, s.Limits(ctx))
	}
	if len(items)*b.Features() > mostKept {
		_, err := activations.Stream(ctx, items, s.Config.Images.Size, b, load, b.machine.Fill(),
			func(i int, values []float32, _ *activations.Bad) error {
				if values != nil {
					emit(i, values)
				}
				return nil
			})
		return err
	}
	key := s.Key(features.CentreView)
	key.Cut, key.Precision = "map of "+key.Cut, runs.Float32
	cache, err := activations.Open(s.Config.Machine.Cache, key, b.Features())
	if err != nil {
		return err
	}
	defer cache.Close()
	for _, w := range cache.Warnings() {
		s.UI.Warn("%s", w)
	}
	o := b.machine.Fill()
	o.Warn = func(line string) { s.UI.Warn("%s", line) }
	if _, err := cache.Fill(ctx, items, b, load, o); err != nil {
		return err
	}
	for i, it := range items {
		if values, ok := cache.Row(cache.Digest(it.File)); ok {
			emit(i, values)
		}
	}
	return ctx.Err()
}

// Features implements activations.Body.
func (b *mapBody) Features() int { return int(dims.Product(b.shape)) }

// Wrong implements activations.Judge.
func (b *mapBody) Wrong(row []float32) string { return features.NotNumbers(row) }

// Run implements activations.Body.
func (b *mapBody) Run(ctx context.Context, images []float32, n int, values []float32) error {
	if b.once.Do(b.open); b.failed != nil || ctx.Err() != nil {
		return errors.Join(b.failed, ctx.Err())
	}
	size := int64(b.setup.Config.Images.Size)
	x, err := onnx.Float32(images[:int64(n)*3*size*size], int64(n), 3, size, size)
	if err != nil {
		return err
	}
	defer x.Close()
	y, err := onnx.Float32(values[:n*b.Features()], append([]int64{int64(n)}, b.shape...)...)
	if err != nil {
		return err
	}
	return errors.Join(b.session.Run([]*onnx.Tensor{x}, []*onnx.Tensor{y}), y.Close())
}

func (b *mapBody) open() {
	data, err := b.model.Bytes()
	if err != nil {
		b.failed = err
		return
	}
	b.session, b.failed = onnx.OpenBytes(b.model.Path, data, []string{b.model.Graph.Input[0].GetName()},
		[]string{bodies.MapName}, b.machine.Session())
}

func (b *mapBody) close() {
	if b.session != nil {
		b.session.Close()
	}
}
