package export

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"path/filepath"
	"slices"

	"finetune/augment/picture"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/reading"
	"finetune/learner/classify"
	"finetune/learner/features"
	"finetune/onnx/graph"
	"finetune/onnx/weights"
)

// GoldenFile is where the golden inputs of an exported file are kept, beside it.
func GoldenFile(output string) string {
	return filepath.Join(filepath.Dir(output), "golden.safetensors")
}

// golden makes inputs of n photographs and the probabilities that the file
// gives: image, probabilities and, where the file knows it, oddness, or, where sizes differ, image.0, image.1 …
func golden(ctx context.Context, c *classify.Classifier, items []dataset.Item, n int) ([]weights.Tensor, error) {
	var images []weights.Tensor
	var flat, probabilities, oddness []float32
	for _, it := range features.Evenly(items, 2*n) {
		if len(images) == n {
			break
		}
		data, err := reading.File(it.File, reading.MaxPhoto)
		if failure.System(err) {
			return nil, fmt.Errorf("learner: %w", err)
		}
		if err != nil {
			continue // the proof has named it
		}
		x := make([]float32, c.Len())
		image, err := goldenImage(c, x, data, len(images))
		if err != nil {
			continue
		}
		logp, odd, err := c.PredictOdd(ctx, x, 1)
		if err != nil {
			return nil, err
		}
		images, flat, oddness = append(images, image), append(flat, x...), append(oddness, odd...)
		for _, v := range logp {
			probabilities = append(probabilities, float32(math.Exp(float64(v))))
		}
	}
	if len(images) == 0 {
		return nil, errors.New("learner: no photograph for golden inputs can be read")
	}
	count := int64(len(images))
	if !c.TakesPhotographs() {
		images = []weights.Tensor{{Name: classify.ImageInput, Shape: []int64{count, 3, int64(c.Size), int64(c.Size)},
			Data: flat}}
	}
	if c.KnowsOdd() {
		images = append(images, weights.Tensor{Name: classify.OddOutput, Shape: []int64{count, 1}, Data: oddness})
	}
	return append(images, weights.Tensor{Name: classify.ProbOutput, Shape: []int64{count, int64(len(c.Classes))},
		Data: probabilities}), nil
}

// goldenImage writes the input of a photograph to x, as Predict takes it, and
// returns it as a tensor, where the file takes photographs whole.
func goldenImage(c *classify.Classifier, x []float32, data []byte, number int) (weights.Tensor, error) {
	if !c.TakesPhotographs() {
		return weights.Tensor{}, c.Load(x, data, c.Limits(context.Background()))
	}
	im, err := picture.Decode(data, c.Limits(context.Background()))
	if err != nil {
		return weights.Tensor{}, err
	}
	t := weights.Tensor{Name: fmt.Sprintf("%s.%d", classify.ImageInput, number),
		Shape: []int64{1, int64(im.Height), int64(im.Width), 3}, Bytes: slices.Clone(im.Pix)}
	return t, c.Network.Unscaled(x, im)
}

// addSelfTest computes the expected probabilities and stores them in m.
func addSelfTest(ctx context.Context, c *classify.Classifier, m *graph.Model) error {
	t := classify.SelfTest{Formula: classify.SelfTestFormula, Seeds: []int{1, 2, 3},
		Tolerance: classify.Tolerances[c.Precision]}
	for _, seed := range t.Seeds {
		p, err := c.TestProbabilities(ctx, seed)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(p, func(v float32) bool { return v-v != 0 }) {
			return failure.Data(fmt.Errorf("learner: in %s the model gives probabilities that are not numbers: its "+
				"activations are too large for %s; export in float32", c.Precision, c.Precision))
		}
		t.Probabilities = append(t.Probabilities, p)
	}
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("learner: self-test: %w", err)
	}
	m.SetMeta(classify.MetaSelfTest, string(text))
	return nil
}
