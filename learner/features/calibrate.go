package features

import (
	"context"
	"fmt"
	"sync"

	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/quantize"
)

// CalibrationPhotos are taken of the training set, at most.
const CalibrationPhotos = 200

// QuantizeInt8 quantises a model of images as pre makes them, calibrated on items.
func QuantizeInt8(ctx context.Context, m *graph.Model, pre augment.Preprocess, items []dataset.Item,
	machine runs.Machine, ui runs.UI) (*graph.Model, error) {
	m, err := quantize.Fold(m)
	if err != nil {
		return nil, err
	}
	show, end := ui.Progress("calibrate", "images")
	defer end()
	var mu sync.Mutex // guards tried and used
	tried, used, size := 0, 0, int64(pre.Size)
	tell := func(ok bool) {
		mu.Lock()
		defer mu.Unlock()
		tried++
		if ok {
			used++
		}
		show(tried, len(items))
	}
	ranges, err := quantize.Observe(m, quantize.Images{Count: len(items), Shape: []int64{1, 3, size, size},
		Load: func(i int, x []float32) (bool, error) {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			data, err := reading.File(items[i].File, reading.MaxPhoto)
			if failure.System(err) {
				return false, fmt.Errorf("learner: %w", err)
			}
			ok := err == nil && pre.Load(x, data, machine.Limits(ctx)) == nil // training has named those that cannot be read
			tell(ok)
			return ok, nil
		}}, onnx.Options{Threads: machine.Threads, Device: "cpu"})
	if err != nil {
		return nil, err
	}
	if used < min(10, len(items)) {
		return nil, failure.Data(fmt.Errorf("learner: %s: only %d of %s can be read to calibrate "+
			"int8; put the data back", m.Path, used, plural.Count(len(items), "training photograph")))
	}
	return quantize.Int8(m, ranges)
}
