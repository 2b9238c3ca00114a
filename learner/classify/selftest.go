package classify

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"finetune/augment/picture"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/onnx"
)

// testImage is the input of a seed, as Predict takes it.
func (c *Classifier) testImage(seed int) ([]float32, error) {
	x, s := make([]float32, c.Len()), c.Size
	im := &picture.Image{Width: s, Height: s, Pix: make([]uint8, 3*s*s)}
	for i := range im.Pix {
		im.Pix[i] = features.PatternByte(seed, i%3, i/3/s, i/3%s)
	}
	return x, c.Network.Unscaled(x, im)
}

// TestProbabilities are those of the made-up picture of a seed.
func (c *Classifier) TestProbabilities(ctx context.Context, seed int) ([]float32, error) {
	x, err := c.testImage(seed)
	if err != nil {
		return nil, err
	}
	p, err := c.Predict(ctx, x, 1)
	for i, v := range p {
		p[i] = float32(math.Exp(float64(v)))
	}
	return p, err
}

// SelfTest runs the golden inputs in an exported file's metadata. An error means
// that this machine does not compute what the exporting one did.
func (c *Classifier) SelfTest(ctx context.Context) error {
	if c.Trained != nil {
		return nil
	}
	var t SelfTest
	if err := json.Unmarshal([]byte(c.selfTest), &t); err != nil || len(t.Probabilities) != len(t.Seeds) {
		return failure.Data(fmt.Errorf("learner: %s: damaged self-test (%v); export it again", c.Source, err))
	}
	if onnx.Accelerated(c.Machine.Device) && !c.Machine.NoTF32 { // TF32 has float16's 11 bits
		t.Tolerance = max(t.Tolerance, Tolerances[runs.Float16])
	}
	for i, seed := range t.Seeds {
		got, err := c.TestProbabilities(ctx, seed)
		if err != nil {
			return err
		}
		want := t.Probabilities[i]
		if len(want) != len(got) {
			return failure.Data(fmt.Errorf("learner: %s: self-test of %s, the file gives %d; export it again", c.Source,
				plural.Count(len(want), "class"), len(got)))
		}
		for k := range got {
			if d := math.Abs(float64(got[k] - want[k])); !(d <= t.Tolerance) {
				return fmt.Errorf("learner: %s: self-test %d gives %v instead of %v (tolerance %g); check ONNX "+
					"Runtime with `finetune doctor`", c.Source, seed, got, want, t.Tolerance)
			}
		}
	}
	return nil
}
