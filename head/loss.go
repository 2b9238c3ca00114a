package head

import (
	"fmt"
	"math"

	"finetune/internal/plural"
)

// Loss turns logits into a mean loss and its gradient.
//
// One label a row: the mean negative log-likelihood of a log-softmax,
//
//	loss = sum_i w[y_i] * ((1-Smoothing)*-logp[i,y_i]) / W + Smoothing/C * sum_i sum_c w[c]*-logp[i,c] / W
//
// with W = sum_i w[y_i]. Several labels a row: the mean over all elements of the
// weighted binary cross-entropy of a sigmoid, a target t counting as
// t*(1-Smoothing) + Smoothing/2.
//
// Shapes: logits [n, C]; Weights [C] or nil for ones. Source: numbers follow
// PyTorch cross_entropy and binary_cross_entropy_with_logits (TestVectors).
type Loss struct {
	Smoothing float64
	Weights   []float32
}

// weight is the weight of class c.
func (l Loss) weight(c int) float64 {
	if l.Weights == nil {
		return 1
	}
	return float64(l.Weights[c])
}

// softmax replaces logits by the gradient of the loss and returns the loss.
func (l Loss) softmax(logits []float32, labels []int, classes int) float64 {
	total, sum := 0.0, 0.0
	for _, y := range labels {
		sum += l.weight(y)
	}
	logSoftmax(logits, classes)
	for i, y := range labels {
		row := logits[i*classes : (i+1)*classes]
		mass := 0.0 // the target weights of the row, which multiply its softmax in the gradient
		for c, logp := range row {
			w := l.target(c, y, classes) / sum
			mass += w
			total -= w * float64(logp)
		}
		for c, logp := range row {
			row[c] = float32(mass*math.Exp(float64(logp)) - l.target(c, y, classes)/sum)
		}
	}
	return total
}

// target is the weight of -logp[c] for a row of label y.
func (l Loss) target(c, y, classes int) float64 {
	t := l.Smoothing / float64(classes)
	if c == y {
		t += 1 - l.Smoothing
	}
	return t * l.weight(c)
}

// sigmoid is softmax's twin for several labels a row; targets [n, C] are 0 to 1.
func (l Loss) sigmoid(logits, targets []float32, classes int) float64 {
	total, n := 0.0, float64(len(logits))
	for i, z := range logits {
		t, w := float64(targets[i])*(1-l.Smoothing)+l.Smoothing/2, l.weight(i%classes)/n
		z := float64(z)
		total += w * (max(z, 0) - z*t + math.Log1p(math.Exp(-math.Abs(z))))
		logits[i] = float32(w * (1/(1+math.Exp(-z)) - t))
	}
	return total
}

// LogProbabilities turns logits [n, classes] into log-probabilities in place and
// returns them: log-softmaxes, or with multi log-sigmoids, each class by itself.
func LogProbabilities(logits []float32, classes int, multi bool) []float32 {
	if multi {
		logSigmoid(logits)
	} else {
		logSoftmax(logits, classes)
	}
	return logits
}

// logSoftmax replaces each row of z by its log-softmax.
func logSoftmax(z []float32, classes int) {
	for i := 0; i < len(z); i += classes {
		row := z[i : i+classes]
		top := row[0]
		for _, v := range row {
			top = max(top, v)
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v - top))
		}
		shift := float64(top) + math.Log(sum)
		for c, v := range row {
			row[c] = float32(float64(v) - shift)
		}
	}
}

// logSigmoid replaces each value by the log of its sigmoid.
func logSigmoid(z []float32) {
	for i, v := range z {
		v := float64(v)
		z[i] = float32(min(v, 0) - math.Log1p(math.Exp(-math.Abs(v))))
	}
}

// checkSettings reports weights or smoothing that make no loss.
func (l Loss) checkSettings(c Config) error {
	if l.Weights != nil && len(l.Weights) != c.Classes {
		return fmt.Errorf("head: %s for %s; give one for each", plural.Count(len(l.Weights), "class weight"),
			plural.Count(c.Classes, "class"))
	}
	for i, w := range l.Weights {
		if !(w > 0) || math.IsInf(float64(w), 0) {
			return fmt.Errorf("head: class %d has weight %v; a weight is a number above 0", i, w)
		}
	}
	if !(l.Smoothing >= 0 && l.Smoothing < 1) {
		return fmt.Errorf("head: label smoothing %v; it is at least 0 and below 1", l.Smoothing)
	}
	return nil
}

// check reports labels or targets that do not fit the head.
func (l Loss) check(b Batch, c Config) error {
	n := len(b.Rows)
	if c.Multi {
		if len(b.Targets) != n*c.Classes {
			return fmt.Errorf("head: %s for %s of %s; give one for each", plural.Count(len(b.Targets), "target"),
				plural.Count(n, "row"), plural.Count(c.Classes, "class"))
		}
		return nil
	}
	if len(b.Labels) != n {
		return fmt.Errorf("head: %s for %s; give one for each", plural.Count(len(b.Labels), "label"), plural.Count(n, "row"))
	}
	for i, y := range b.Labels {
		if y < 0 || y >= c.Classes {
			return fmt.Errorf("head: row %d has label %d; labels run from 0 to %d", i, y, c.Classes-1)
		}
	}
	return nil
}
