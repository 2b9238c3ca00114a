package logistic

import (
	"context"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"finetune/internal/rng"
	"finetune/onnx/batchnorm"
)

// LogProbabilities are [len(rows), classes]: of a softmax or, with multi, of a
// sigmoid for each class.
func (m *Model) LogProbabilities(rows [][]float32, multi bool) []float32 {
	classes, features := len(m.Bias), len(m.Mean)
	w, bias := make([]float64, len(m.Weight)), make([]float64, classes)
	for k := range classes {
		bias[k] = float64(m.Bias[k])
		for j := range features {
			v := float64(m.Weight[k*features+j]) / math.Sqrt(float64(m.Variance[j])+batchnorm.Epsilon)
			w[k*features+j] = v
			bias[k] -= v * float64(m.Mean[j])
		}
	}
	out, z := make([]float32, len(rows)*classes), make([]float64, classes)
	for i, r := range rows {
		for k := range z {
			z[k] = bias[k]
			for j, v := range r {
				z[k] += w[k*features+j] * float64(v)
			}
		}
		total := 0.0
		if !multi {
			total = floats.LogSumExp(z)
		}
		for k, v := range z {
			if multi {
				total = softplus(v)
			}
			out[i*classes+k] = float32(v - total)
		}
	}
	return out
}

// Folds divides rows into so many folds, each with its share of every class where
// labels are given. It returns the fold of each row.
func Folds(n int, labels []int, folds int, seed uint64) []int {
	order := rng.New(seed, rng.Text("logistic.folds")).Perm(n)
	of, next := make([]int, n), map[int]int{}
	for _, i := range order {
		class := 0
		if labels != nil {
			class = labels[i]
		}
		of[i] = (next[class] + class) % folds // not every small class in the first
		next[class]++
	}
	return of
}

// Without is d without the rows of a fold, and those rows by themselves.
func (d Data) Without(of []int, fold int) (rest, fellow Data) {
	rest, fellow = d.empty(), d.empty()
	for i, f := range of {
		to := &rest
		if f == fold {
			to = &fellow
		}
		to.Rows = append(to.Rows, d.Rows[i])
		if d.Multi {
			to.Targets = append(to.Targets, d.Targets[i*d.Classes:(i+1)*d.Classes]...)
		} else {
			to.Labels = append(to.Labels, d.Labels[i])
		}
	}
	return rest, fellow
}

func (d Data) empty() Data { return Data{Classes: d.Classes, Multi: d.Multi, Weights: d.Weights} }

// Strengths are the values of C that are tried, the strongest penalty first.
var Strengths = []float64{0.001, 0.01, 0.1, 1}

// Usual is the index of 0.01, which did best on photographs of ants and bees and of
// solar cells with the features of EfficientNet-Lite0.
const Usual = 1

// OutOfFold are, for each C, the log-probabilities [n, classes] of each row by the
// model that was fitted to the other folds' rows. of is the fold of each row.
func OutOfFold(ctx context.Context, d Data, cs []float64, of []int) ([][]float32, error) {
	out := make([][]float32, len(cs))
	for i := range out {
		out[i] = make([]float32, len(d.Rows)*d.Classes)
	}
	for fold := range slices.Max(of) + 1 {
		rest, fellow := d.Without(of, fold)
		if len(fellow.Rows) == 0 {
			continue
		}
		models, err := path(ctx, rest, cs, coarse)
		if err != nil {
			return nil, err
		}
		for i, m := range models {
			Scatter(out[i], m.LogProbabilities(fellow.Rows, d.Multi), of, fold, d.Classes)
		}
	}
	return out, nil
}

// Scatter puts a fold's rows [., classes] where they are among all rows.
func Scatter(all, of1 []float32, of []int, fold, classes int) {
	for i, f := range of {
		if f == fold {
			copy(all[i*classes:(i+1)*classes], of1)
			of1 = of1[classes:]
		}
	}
}

// Losses are the losses of rows with log-probabilities [n, classes].
func (d Data) Losses(logp []float32) []float64 {
	loss := make([]float64, len(d.Rows))
	for i := range loss {
		row := logp[i*d.Classes : (i+1)*d.Classes]
		if !d.Multi {
			loss[i] = -float64(row[d.Labels[i]])
			continue
		}
		for k, v := range row {
			y, absent := float64(d.Targets[i*d.Classes+k]), math.Log(-math.Expm1(min(float64(v), -1e-12)))
			loss[i] -= (y*float64(v) + (1-y)*absent) / float64(d.Classes)
		}
	}
	return loss
}

// Choose is the index of the C with the lowest losses, but of the usual one where
// that is worse by no more than one standard error of the difference, which chance
// may have decided; of one row nothing else can be said. losses are one list of rows for each C.
func Choose(losses [][]float64, usual int) int {
	best := 0
	for i := range losses {
		if stat.Mean(losses[i], nil) < stat.Mean(losses[best], nil) {
			best = i
		}
	}
	difference := floats.SubTo(make([]float64, len(losses[usual])), losses[usual], losses[best])
	m, deviation := stat.MeanStdDev(difference, nil)
	if m > stat.StdErr(deviation, float64(len(difference))) {
		return best
	}
	return usual
}
