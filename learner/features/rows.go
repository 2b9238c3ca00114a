package features

import (
	"context"
	"fmt"
	"math"

	"finetune/internal/failure"
	"finetune/learner/runs"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// What a network makes of a photograph is looked at before anybody uses it: rows
// that are no numbers, and rows that depend on the other photographs of a batch.

// StatusFailed is the status of a photograph of which the network makes no numbers.
const StatusFailed = "failed"

// NotNumbers says what is wrong with a row of features, "" if nothing is.
func NotNumbers(row []float32) string {
	for _, v := range row {
		if !runs.Finite(float64(v)) {
			return fmt.Sprintf("not a number: the network gives %g for this photograph", v)
		}
	}
	return ""
}

// NotProbabilities says what is wrong with a row of log-probabilities. Single
// ones may be -Inf, which is the logarithm of 0.
func NotProbabilities(multi bool) func(row []float32) string {
	const slack = 0.1 // float16 has three digits, an int8 file two
	return func(row []float32) string {
		sum := 0.0
		for _, v := range row {
			if !(v <= slack) {
				return fmt.Sprintf("not a number: the network gives the log-probability %g for this photograph", v)
			}
			sum += math.Exp(float64(v))
		}
		if !multi && math.Abs(sum-1) > slack {
			return fmt.Sprintf("not a number: the probabilities that the network gives for this photograph add up to %.3g", sum)
		}
		return ""
	}
}

// Wrong says what is wrong with a row that Run wrote.
func (b *frozenBody) Wrong(row []float32) string {
	if b.multi == nil {
		return NotNumbers(row)
	}
	return NotProbabilities(*b.multi)(row[:b.classes])
}

// anyWrong finds the first row of n that is wrong, -1 if none is.
func (b *frozenBody) anyWrong(rows []float32, n int) int {
	for i := range n {
		if b.Wrong(rows[i*b.features:(i+1)*b.features]) != "" {
			return i
		}
	}
	return -1
}

// alone runs n images one by one.
func (b *frozenBody) alone(ctx context.Context, images []float32, n int, features []float32) error {
	size := len(images) / n
	for i := range n {
		if err := runRows(ctx, b.session, images[i*size:(i+1)*size], 1, b.size, features[i*b.features:(i+1)*b.features],
			int64(b.features)); err != nil {
			return err
		}
	}
	return nil
}

// checkItself is the error of a network that gives no numbers for a made-up
// picture of many colours either: then no photograph is to blame.
func (b *frozenBody) checkItself(ctx context.Context) error {
	image, row := make([]float32, 3*b.size*b.size), make([]float32, b.features)
	s := int(b.size)
	for i := range image {
		image[i] = float32(PatternByte(1, i/(s*s), i/s%s, i%s)) / 255
		if b.multi == nil { // normalised
			image[i] = 4*image[i] - 2
		}
	}
	if err := b.alone(ctx, image, 1, row); err != nil {
		return err
	}
	if b.Wrong(row) == "" {
		return nil
	}
	worst := row[0]
	for _, v := range row {
		if !runs.Finite(float64(v)) {
			worst = v
		}
	}
	return failure.Data(fmt.Errorf("learner: %s gives %g among its outputs, computing in %s: %s", b.name, worst,
		b.precision, b.remedy()))
}

// Differences between a photograph alone and in a batch, as a share of the row's
// length: sums in another order make 1e-6 on a processor, TF32 1e-3, and where
// values are rounded to fewer bits a sum can fall to the other side.
var tolerated = map[string]float64{runs.Float32: 2e-3, runs.Float16: 0.02, runs.BFloat16: 0.05, runs.Int8: 0.05}

// checkMates runs an image of the first batch that has two different ones again,
// alone. A network whose answer is another then, because it computes statistics
// of the batch or draws random numbers, would give each photograph features that
// depend on which others came with it. Later calls repeat the answer.
func (b *frozenBody) checkMates(ctx context.Context, images []float32, n int, rows []float32) error {
	size := len(images) / n
	at, other := 0, -1
	for i := 1; i < n && other < 0; i++ {
		if !equalFloats(images[:size], images[i*size:(i+1)*size]) {
			other = i
		}
	}
	if other < 0 {
		return nil
	}
	b.mates.Do(func() {
		if blank(images[:size]) { // an unreadable photograph
			at = other
		}
		single := make([]float32, b.features)
		if b.alone(ctx, images[at*size:(at+1)*size], 1, single) != nil {
			return // a network for batches of one size, which nothing can be said of
		}
		k := b.features
		if b.multi != nil {
			k = b.classes
		}
		d := HasDevice(single[:k], rows[at*b.features:at*b.features+k], b.multi != nil)
		limit, known := tolerated[b.precision]
		if !known {
			limit = tolerated[runs.Int8]
		}
		if !(d <= limit) {
			b.dependent = failure.Data(fmt.Errorf("learner: %s: the features of a photograph depend on the other "+
				"photographs of its batch, or are random: alone and in a batch of %d they differ by %.2g %%; "+
				"export the network in inference mode, without batch statistics", b.name, n, 100*d))
		}
	})
	return b.dependent
}

// HasDevice is the length of the difference of two rows over that of the first, of
// probabilities where the rows are their logarithms.
func HasDevice(a, b []float32, logarithms bool) float64 {
	value := func(v float32) float64 {
		if logarithms {
			return math.Exp(float64(v))
		}
		return float64(v)
	}
	var difference, length float64
	for i := range a {
		x, y := value(a[i]), value(b[i])
		difference, length = difference+(x-y)*(x-y), length+x*x
	}
	if difference == 0 {
		return 0
	}
	return math.Sqrt(difference / length)
}

func equalFloats(a, b []float32) bool {
	for i, v := range a {
		if v != b[i] {
			return false
		}
	}
	return true
}

func blank(image []float32) bool {
	for _, v := range image {
		if v != 0 {
			return false
		}
	}
	return true
}

// scalesBatches reports whether a model chooses the scale of its integers by all
// photographs of a batch; it runs on one at a time, so that they do not meet.
func scalesBatches(m *graph.Model) bool { return surgery.Uses(m, "DynamicQuantizeLinear") }

// PatternByte is the pattern of made-up pictures, of a seed and a channel.
func PatternByte(seed, c, y, x int) uint8 { return uint8(x*(seed+2) + y*(2*seed+3) + 85*c) }
