// Package look tells where a trained head looks: class activation maps of photographs, by the gradient
// of the head at the features and the body's last map.
package look

import (
	"math"

	"finetune/onnx/bodies"
)

// Places are what a body's features of one photograph are pooled from.
type Places struct {
	Values        []float32 // [channels, rows·columns]
	Rows, Columns int
}

// channel is what channel c has at each place.
func (p Places) channel(c int) []float32 {
	n := p.Rows * p.Columns
	return p.Values[c*n : (c+1)*n]
}

// Share is what each place gives to a score whose gradient at the features is known: the gradient of the mean
// times each place's part of it, and that of the maximum times the maximum at the place that has it, the first of
// equals. Together they are gradient · features, without a class token's half. Row by row.
func (p Places) Share(s bodies.Spec, gradient []float32) []float64 {
	n, k := p.Rows*p.Columns, int(s.Channels)
	out, ofMean := make([]float64, n), gradient[len(gradient)-k:]
	for c := range k {
		x, g, at := p.channel(c), float64(ofMean[c])/float64(n), 0
		for i, v := range x {
			out[i] += g * float64(v)
			if v > x[at] {
				at = i
			}
		}
		if s.Kind != bodies.TokenFeatures {
			out[at] += float64(gradient[c]) * float64(x[at])
		}
	}
	return out
}

// Levels are the places that speak for the class, 255 at the strongest: nil where none does.
func Levels(share []float64) []uint8 {
	most := 0.0
	for _, v := range share {
		most = max(most, v)
	}
	if !(most > 0) || math.IsInf(most, 0) {
		return nil
	}
	out := make([]uint8, len(share))
	for i, v := range share {
		out[i] = uint8(math.Round(255 * max(v, 0) / most))
	}
	return out
}
