package learner

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"finetune/augment"
	"finetune/internal/failure"
	"finetune/onnx"
	"finetune/onnx/graph"
	"finetune/onnx/weights"
)

// selfTest is the JSON under finetune.selftest: inputs that a formula makes and
// what the file says of them. For channel c, row y, column x of seed s:
//
//	byte = (x*(s+2) + y*(2*s+3) + 85*c) mod 256
//
// as it is for a uint8 input [1, size, size, 3], else divided by 255.
type selfTest struct {
	Formula       string      `json:"formula"`
	Seeds         []int       `json:"seeds"`
	Probabilities [][]float32 `json:"probabilities"` // of each seed
	Tolerance     float64     `json:"tolerance"`     // on any processor
}

const selfTestFormula = "(x*(s+2) + y*(2*s+3) + 85*c) mod 256, /255 for float32 inputs"

// tolerances of the self-test: other processors sum in another order, which an
// integer file can turn into another step.
var tolerances = map[string]float64{"float32": 1e-4, "float16": 0.02, "int8": 0.1}

func testByte(seed, c, y, x int) uint8 { return uint8(x*(seed+2) + y*(2*seed+3) + 85*c) }

// testImage is the input of a seed, as Predict takes it.
func (c *Classifier) testImage(seed int) ([]float32, error) {
	x, s := make([]float32, c.Len()), c.Size
	if c.whole != nil {
		im := &augment.Image{Width: s, Height: s, Pix: make([]uint8, 3*s*s)}
		for i := range im.Pix {
			im.Pix[i] = testByte(seed, i%3, i/3/s, i/3%s)
		}
		return x, c.runWhole(x, im)
	}
	for i := range x {
		x[i] = float32(testByte(seed, i/(s*s), i/s%s, i%s)) / 255
	}
	return x, nil
}

// addSelfTest computes the expected probabilities and stores them in m.
func (c *Classifier) addSelfTest(ctx context.Context, m *graph.Model) error {
	t := selfTest{Formula: selfTestFormula, Seeds: []int{1, 2, 3}, Tolerance: tolerances[c.Precision]}
	for _, seed := range t.Seeds {
		p, err := c.testProbabilities(ctx, seed)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(p, func(v float32) bool { return v-v != 0 }) {
			return failure.Data(fmt.Errorf("learner: in %s the model gives probabilities that are not numbers: its activations are beyond what %s holds; export in float32", c.Precision, c.Precision))
		}
		t.Probabilities = append(t.Probabilities, p)
	}
	text, err := json.Marshal(t)
	if err != nil {
		return fmt.Errorf("learner: self-test: %w", err)
	}
	m.SetMeta(metaSelfTest, string(text))
	return nil
}

func (c *Classifier) testProbabilities(ctx context.Context, seed int) ([]float32, error) {
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
	if c.run != nil {
		return nil
	}
	var t selfTest
	if err := json.Unmarshal([]byte(c.selfTest), &t); err != nil || len(t.Probabilities) != len(t.Seeds) {
		return failure.Data(fmt.Errorf("learner: %s: damaged self-test (%v); export it again", c.Source, err))
	}
	if onnx.Accelerated(c.Machine.Device) && !c.Machine.NoTF32 { // TF32 has float16's 11 bits
		t.Tolerance = max(t.Tolerance, tolerances[halfPrecision])
	}
	for i, seed := range t.Seeds {
		got, err := c.testProbabilities(ctx, seed)
		if err != nil {
			return err
		}
		want := t.Probabilities[i]
		if len(want) != len(got) {
			return failure.Data(fmt.Errorf("learner: %s: self-test of %d classes, the file gives %d; export it again", c.Source, len(want), len(got)))
		}
		for k := range got {
			if d := math.Abs(float64(got[k] - want[k])); !(d <= t.Tolerance) {
				return fmt.Errorf("learner: %s: self-test %d gives %v, %v were exported (tolerance %g); check ONNX Runtime with `finetune doctor`", c.Source, seed, got, want, t.Tolerance)
			}
		}
	}
	return nil
}

// goldenImage writes the input of a photograph to x, as Predict takes it, and
// returns it as a tensor, where the file takes photographs whole.
func (c *Classifier) goldenImage(x []float32, data []byte, number int) (weights.Tensor, error) {
	if c.whole == nil {
		return weights.Tensor{}, c.Load(x, data, c.limits(context.Background()))
	}
	im, err := augment.Decode(data, c.limits(context.Background()))
	if err != nil {
		return weights.Tensor{}, err
	}
	t := weights.Tensor{Name: fmt.Sprintf("%s.%d", imageInput, number), Shape: []int64{1, int64(im.Height), int64(im.Width), 3}, Bytes: slices.Clone(im.Pix)}
	return t, c.runWhole(x, im)
}

// runWhole runs a model that scales and crops itself on one photograph, and
// leaves the log-probabilities at the start of dst.
func (c *Classifier) runWhole(dst []float32, im *augment.Image) error {
	x, err := onnx.Uint8(im.Pix, 1, int64(im.Height), int64(im.Width), 3)
	if err != nil {
		return err
	}
	defer x.Close()
	y, err := onnx.Float32(dst[:len(c.Classes)], 1, int64(len(c.Classes)))
	if err != nil {
		return err
	}
	defer y.Close()
	return c.whole.Run([]*onnx.Tensor{x}, []*onnx.Tensor{y})
}
