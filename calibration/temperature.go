package calibration

import (
	"math"

	"gonum.org/v1/gonum/floats"

	"finetune/internal/parallel"
	"finetune/metrics"
)

// widest is the largest logarithm of a temperature, up or down: a factor of 20.
const widest = 3.0

// Temperature is the number T for which logits divided by T have the least log loss
// (Guo et al. 2017). Few photographs, or such as are all right, ask for an extreme
// one: half the squared logarithm of T counts as loss too, as if T were drawn around 1.
// It is 1 of no rows.
func Temperature(logp []float32, labels []int, classes int) float64 {
	return fit(len(labels), func(i int, beta float64, z []float64) float64 {
		for c, v := range logp[i*classes : (i+1)*classes] {
			z[c] = beta * float64(v)
		}
		return floats.LogSumExp(z) - z[labels[i]]
	}, classes)
}

// MultiTemperature is Temperature of several labels an image: one for all sigmoids.
// targets are [n, classes] of 0 and 1.
func MultiTemperature(logp, targets []float32, classes int) float64 {
	return fit(len(logp)/max(classes, 1), func(i int, beta float64, _ []float64) (loss float64) {
		for k := i * classes; k < (i+1)*classes; k++ {
			z := beta * logit(float64(logp[k]))
			loss += softplus(z) - float64(targets[k])*z
		}
		return loss
	}, classes)
}

// fit minimises the sum of the losses of n rows over the logarithm of the temperature
// by golden sections. loss gets the inverse of the temperature and room for a row.
func fit(n int, loss func(i int, beta float64, z []float64) float64, classes int) float64 {
	const parts = 16 // sums do not depend on the number of processors
	at := func(u float64) float64 {
		var sums [parts]float64
		parallel.For(parts, 0, func(p int) {
			z := make([]float64, classes)
			for i := p * n / parts; i < (p+1)*n/parts; i++ {
				sums[p] += loss(i, math.Exp(-u), z)
			}
		})
		return floats.Sum(sums[:]) + u*u/2
	}
	golden := (math.Sqrt(5) - 1) / 2
	lo, hi := -widest, widest
	a, b := hi-golden*(hi-lo), lo+golden*(hi-lo)
	fa, fb := at(a), at(b)
	for hi-lo > 1e-4 {
		if fa <= fb {
			hi, b, fb = b, a, fa
			a = hi - golden*(hi-lo)
			fa = at(a)
		} else {
			lo, a, fa = a, b, fb
			b = lo + golden*(hi-lo)
			fb = at(b)
		}
	}
	if n == 0 {
		return 1
	}
	return math.Exp((lo + hi) / 2)
}

// Scale divides the logits behind log-probabilities by the temperature, in place: of a
// softmax or, with multi, of a sigmoid for each class. Rows that hold no numbers stay so.
func Scale(logp []float32, classes int, multi bool, temperature float64) {
	beta := 1 / temperature
	if multi {
		for k, v := range logp {
			logp[k] = float32(-softplus(-beta * logit(float64(v))))
		}
		return
	}
	z := make([]float64, classes)
	for lo := 0; classes > 0 && lo+classes <= len(logp); lo += classes {
		row := logp[lo : lo+classes]
		if math.IsInf(float64(row[max(metrics.Best(row), 0)]), 0) {
			continue
		}
		for c, v := range row {
			z[c] = beta * float64(v)
		}
		total := floats.LogSumExp(z)
		for c := range row {
			row[c] = float32(z[c] - total)
		}
	}
}

// logit is log(p/(1-p)) of a logarithm of p, kept finite: a float32 of 0 is the least below it.
func logit(logp float64) float64 {
	logp = min(logp, -1e-38)
	return logp - math.Log(-math.Expm1(logp))
}

// softplus is log(1 + exp(z)) without overflow.
func softplus(z float64) float64 { return max(z, 0) + math.Log1p(math.Exp(-math.Abs(z))) }
