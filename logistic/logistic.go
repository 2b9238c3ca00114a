// Package logistic is the linear head: logistic regression on standardised
// features, trained until it converges. It takes a fraction of a second, needs no
// learning rate, and on pretrained features it is often better than a few epochs of
// a network with a hidden layer.
//
// The loss is scikit-learn's LogisticRegression with an L2 penalty: half the squared
// weights plus C times the sum of the rows' losses; the biases are not penalised.
package logistic

import (
	"context"
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/optimize"

	"finetune/internal/columns"
	"finetune/internal/parallel"
	"finetune/internal/plural"
	"finetune/onnx/batchnorm"
)

// Data is what is learned from. Labels or, with Multi, Targets are given.
type Data struct {
	Rows    [][]float32 // [n][features], borrowed
	Classes int
	Multi   bool      // any number of labels a row: a sigmoid for each class
	Labels  []int     // [n]
	Targets []float32 // [n, classes] of 0 to 1
	Weights []float64 // [classes], of each class's losses; nil for 1. Not with Multi
}

// Model is a fitted linear head: standardise, then multiply.
type Model struct {
	Mean, Variance []float32 // [features], of the training rows
	Weight         []float32 // [classes, features], of standardised features
	Bias           []float32 // [classes]
	Iterations     int
	Loss           float64 // mean of the rows, without the penalty
}

// MostIterations ends a fit that converges slowly; the model is usable then.
const MostIterations = 1000

// Fit minimises the loss with L-BFGS. c is the inverse strength of the penalty,
// above 0. The result depends neither on the number of processors nor on chance.
// Errors: rows of different widths, values that are no numbers, fewer than two
// rows, and the end of ctx.
func Fit(ctx context.Context, d Data, c float64) (*Model, error) {
	models, err := Path(ctx, d, []float64{c})
	if err != nil {
		return nil, err
	}
	return models[0], nil
}

// Path is Fit for several strengths, each begun where the one before ended.
func Path(ctx context.Context, d Data, cs []float64) ([]*Model, error) { return path(ctx, d, cs, fine) }

// Fits end where the loss falls by less than this share of it in five iterations:
// coarse ones are for comparisons, and take half the time.
const (
	fine   = 1e-9
	coarse = 1e-5
)

func path(ctx context.Context, d Data, cs []float64, share float64) ([]*Model, error) {
	if err := d.check(); err != nil {
		return nil, err
	}
	mean, variance := columns.Moments(d.Rows)
	p := newProblem(d, mean, variance)
	x, models := make([]float64, len(p.at)), make([]*Model, len(cs))
	for i, c := range cs {
		if !(c > 0) || math.IsInf(c, 1) {
			return nil, fmt.Errorf("logistic: C is %g; give a number above 0", c)
		}
		p.penalty, p.known = 1/(c*float64(len(d.Rows))), false
		result, err := p.minimise(ctx, x, share)
		if err != nil {
			return nil, err
		}
		x, models[i] = result.X, p.model(result.X, result.MajorIterations)
	}
	return models, nil
}

// minimise goes from x to the minimum.
func (p *problem) minimise(ctx context.Context, x []float64, share float64) (*optimize.Result, error) {
	stop := func() (optimize.Status, error) {
		if err := ctx.Err(); err != nil {
			return optimize.Failure, err
		}
		return optimize.NotTerminated, nil
	}
	before := math.MaxFloat64
	for {
		result, err := optimize.Minimize(
			optimize.Problem{Func: p.loss, Grad: p.gradient, Status: stop}, x,
			&optimize.Settings{
				MajorIterations:   MostIterations,
				GradientThreshold: 1e-6,
				Converger:         &optimize.FunctionConverge{Relative: share, Iterations: 5},
			},
			&optimize.LBFGS{})
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case result == nil:
			return nil, fmt.Errorf("logistic: the fit does not converge: %w", err)
		// Near the minimum the loss no longer changes in its last digits, and the line search says so. It is the
		// minimum if the gradient is small, or if a search without memory of the steps gets no further.
		case err == nil, p.flat(result.X), !(result.F < before-share*math.Abs(before)):
			return result, nil
		}
		x, before = result.X, result.F
	}
}

func (d Data) check() error {
	n := len(d.Rows)
	if n < 2 {
		return fmt.Errorf("logistic: %s; give two or more", plural.Count(n, "row"))
	}
	switch {
	case d.Multi && (len(d.Targets) != n*d.Classes || d.Classes < 1 || d.Weights != nil):
		return fmt.Errorf("logistic: %s for %s of %s", plural.Count(len(d.Targets), "target"), plural.Count(n, "row"),
			plural.Count(d.Classes, "class"))
	case !d.Multi && (len(d.Labels) != n || d.Classes < 2 || d.Weights != nil && len(d.Weights) != d.Classes):
		return fmt.Errorf("logistic: %s for %s of %s", plural.Count(len(d.Labels), "label"), plural.Count(n, "row"),
			plural.Count(d.Classes, "class"))
	}
	for i, r := range d.Rows {
		if len(r) != len(d.Rows[0]) || len(r) == 0 {
			return fmt.Errorf("logistic: row %d has %s, row 0 has %d", i, plural.Count(len(r), "feature"), len(d.Rows[0]))
		}
		for _, v := range r {
			if v-v != 0 {
				return fmt.Errorf("logistic: row %d holds %g", i, v)
			}
		}
	}
	for i, y := range d.Labels {
		if y < 0 || y >= d.Classes {
			return fmt.Errorf("logistic: row %d has label %d of %s", i, y, plural.Count(d.Classes, "class"))
		}
	}
	return nil
}

// problem is the loss as a function of [outputs, features] weights and the biases
// behind them. Two classes have one output, the second's log-odds.
type problem struct {
	Data
	outputs, features int
	mean, scale       []float64 // of the features; scale is 1/sqrt(variance + epsilon)
	variance          []float64
	penalty           float64 // of half the squared weights, 1/(C n)

	at    []float64 // where value and grad hold, the point last asked for
	known bool
	value float64
	grad  []float64
	parts []*part
}

func newProblem(d Data, mean, variance []float64) *problem {
	p := &problem{Data: d, outputs: d.Classes, features: len(mean), mean: mean, variance: variance}
	if !d.Multi && d.Classes == 2 {
		p.outputs = 1
	}
	p.scale = make([]float64, p.features)
	for j, v := range variance {
		p.scale[j] = 1 / math.Sqrt(v+batchnorm.Epsilon)
	}
	size := p.outputs * (p.features + 1)
	p.at, p.grad = make([]float64, size), make([]float64, size)
	n := len(d.Rows)
	count := min(mostParts, n)
	for i := range count {
		p.parts = append(p.parts, newPart(p, i*n/count, (i+1)*n/count))
	}
	return p
}

// mostParts are summed side by side, each in the order of its rows, and their sums
// in order: however many processors there are, the result has the same bytes.
const mostParts = 16

func (p *problem) loss(x []float64) float64 {
	p.evaluate(x)
	return p.value
}

func (p *problem) gradient(grad, x []float64) {
	p.evaluate(x)
	copy(grad, p.grad)
}

// evaluate computes value and grad at x. The features stay as they are: the weights
// are scaled instead, and what the mean contributes is taken off the sums.
func (p *problem) evaluate(x []float64) {
	if p.known && slices.Equal(x, p.at) {
		return
	}
	copy(p.at, x)
	p.known = true
	w, bias := make([]float32, p.outputs*p.features), make([]float64, p.outputs)
	half := 0.0
	for k := range p.outputs {
		bias[k] = x[p.outputs*p.features+k]
		for j := range p.features {
			v := x[k*p.features+j]
			half += v * v
			v *= p.scale[j]
			w[k*p.features+j] = float32(v)
			bias[k] -= float64(float32(v)) * p.mean[j]
		}
	}
	parallel.For(len(p.parts), 0, func(i int) { p.parts[i].sum(w, bias) })
	n := float64(len(p.Rows))
	clear(p.grad)
	p.value = p.penalty * half / 2
	for _, t := range p.parts {
		p.value += t.loss / n
		for i, v := range t.grad {
			p.grad[i] += v
		}
	}
	for k := range p.outputs {
		residual := p.grad[p.outputs*p.features+k]
		p.grad[p.outputs*p.features+k] = residual / n
		for j := range p.features {
			i := k*p.features + j
			p.grad[i] = p.scale[j]*(p.grad[i]-p.mean[j]*residual)/n + p.penalty*x[i]
		}
	}
}

// flat reports whether x is as near to a minimum as float32 features can tell.
func (p *problem) flat(x []float64) bool {
	p.evaluate(x)
	most := 0.0
	for _, g := range p.grad {
		most = max(most, math.Abs(g))
	}
	return most < 1e-4
}

// model is the head at x.
func (p *problem) model(x []float64, iterations int) *Model {
	p.evaluate(x)
	m := &Model{Mean: narrow(p.mean), Variance: narrow(p.variance), Iterations: iterations}
	for _, t := range p.parts {
		m.Loss += t.loss / float64(len(p.Rows))
	}
	weights, biases := x[:p.outputs*p.features], x[p.outputs*p.features:]
	if p.outputs == p.Classes {
		m.Weight, m.Bias = narrow(weights), narrow(biases)
		return m
	}
	// The second class's log-odds are the difference of two outputs.
	m.Weight, m.Bias = make([]float32, 2*p.features), []float32{float32(-biases[0] / 2), float32(biases[0] / 2)}
	for j, v := range weights {
		m.Weight[j], m.Weight[p.features+j] = float32(-v/2), float32(v/2)
	}
	return m
}

func narrow(x []float64) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}
