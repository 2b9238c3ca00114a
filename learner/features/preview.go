package features

import (
	"context"
	"fmt"
	"image"

	"finetune/augment/picture"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/reading"
	"finetune/internal/rng"
)

// Preview returns n random versions of one photograph as training sees them, as pictures and
// as what the body gets, [n, 3, size, size]. An empty path takes the second validation photograph, as the lesson does.
func (s *Setup) Preview(path string, n int) ([]image.Image, []float32, dataset.Item, error) {
	it, err := s.find(path)
	if err != nil {
		return nil, nil, it, err
	}
	data, err := reading.File(it.File, reading.MaxPhoto)
	if err != nil {
		return nil, nil, it, failure.Data(fmt.Errorf("learner: %w", err))
	}
	photo, err := picture.Decode(data, s.Limits(context.Background()))
	if err != nil {
		return nil, nil, it, failure.Data(fmt.Errorf("learner: %s: %w", it.File, err))
	}
	images, all := make([]image.Image, n), make([]float32, n*s.Preprocess.Len())
	for k := range images {
		x := all[k*s.Preprocess.Len() : (k+1)*s.Preprocess.Len()]
		if s.Config.Images.Augment == "none" {
			err = s.Preprocess.Valid(x, photo)
		} else {
			err = s.Preprocess.Augmented(x, photo, s.Policy, rng.New(s.Config.Train.Seed, rng.Text("preview"), uint64(k)))
		}
		if err != nil {
			return nil, nil, it, fmt.Errorf("learner: %s: %w", it.File, err)
		}
		images[k] = s.Preprocess.ToImage(x)
	}
	return images, all, it, nil
}

func (s *Setup) find(path string) (dataset.Item, error) {
	if path == "" {
		return s.Set.Valid[min(1, len(s.Set.Valid)-1)], nil
	}
	for _, list := range [][]dataset.Item{s.Set.Valid, s.Set.Train, s.Set.Test} {
		for _, it := range list {
			if it.Path == path || it.File == path {
				return it, nil
			}
		}
	}
	return dataset.Item{}, failure.Usage(fmt.Errorf("learner: %s: not among the photographs of %s; give a path as "+
		"`predictions.csv` has it", path, s.Set.Root))
}
