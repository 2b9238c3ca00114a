package learner

import (
	"context"
	"fmt"
	"image"

	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/reading"
	"finetune/internal/rng"
)

// Preview returns n random versions of one photograph as training sees them.
// An empty path takes the second validation photograph, as the lesson does.
func (l *Learner) Preview(path string, n int) ([]image.Image, dataset.Item, error) {
	it, err := l.find(path)
	if err != nil {
		return nil, it, err
	}
	data, err := reading.File(it.File, maxPhoto)
	if err != nil {
		return nil, it, failure.Data(fmt.Errorf("learner: %w", err))
	}
	photo, err := augment.Decode(data, l.limits(context.Background()))
	if err != nil {
		return nil, it, failure.Data(fmt.Errorf("learner: %s: %w", it.File, err))
	}
	images, x := make([]image.Image, n), make([]float32, l.pre.Len())
	for k := range images {
		if l.Config.Images.Augment == "none" {
			err = l.pre.Valid(x, photo)
		} else {
			err = l.pre.Augmented(x, photo, l.policy, rng.New(l.Config.Train.Seed, rng.Text("preview"), uint64(k)))
		}
		if err != nil {
			return nil, it, fmt.Errorf("learner: %s: %w", it.File, err)
		}
		images[k] = l.pre.ToImage(x)
	}
	return images, it, nil
}

func (l *Learner) find(path string) (dataset.Item, error) {
	if path == "" {
		return l.Set.Valid[min(1, len(l.Set.Valid)-1)], nil
	}
	for _, list := range [][]dataset.Item{l.Set.Valid, l.Set.Train, l.Set.Test} {
		for _, it := range list {
			if it.Path == path || it.File == path {
				return it, nil
			}
		}
	}
	return dataset.Item{}, failure.Usage(fmt.Errorf("learner: %s: not among the photographs of %s; give a path as `predictions.csv` has it", path, l.Set.Root))
}
