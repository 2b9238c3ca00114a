package learner

import (
	"context"
	"fmt"
	"os"

	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/quantize"
)

// calibrationPhotos are taken of the training set, at most.
const calibrationPhotos = 200

// toInt8 quantises a model of images as pre makes them, calibrated on items.
func toInt8(ctx context.Context, m *graph.Model, pre augment.Preprocess, items []dataset.Item, threads int, ui UI) (*graph.Model, error) {
	m, err := quantize.Fold(m)
	if err != nil {
		return nil, err
	}
	show, end := ui.Progress("calibrate", "images")
	defer end()
	used, size := 0, int64(pre.Size)
	ranges, err := quantize.Observe(m, func(yield func([]float32, ...int64) error) error {
		x := make([]float32, pre.Len())
		for i, it := range items {
			if err := ctx.Err(); err != nil {
				return err
			}
			show(i, len(items))
			data, err := os.ReadFile(it.File)
			if err != nil || pre.Load(x, data, augment.Limits{}) != nil {
				continue // training has named it
			}
			used++
			if err := yield(x, 1, 3, size, size); err != nil {
				return err
			}
		}
		return nil
	}, onnx.Options{Threads: threads, Device: "cpu"})
	if err != nil {
		return nil, err
	}
	if used < min(10, len(items)) {
		return nil, failure.Data(fmt.Errorf("learner: %s: only %d of %d training photographs can be read to calibrate int8; put the data back", m.Path, used, len(items)))
	}
	return quantize.Int8(m, ranges)
}
