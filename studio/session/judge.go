package session

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"finetune/internal/failure"
)

// Verdict is what the head says of a photograph that is not of the session.
type Verdict struct {
	Guess   []Guess `json:"guess"`   // all classes, the likeliest first
	Nearest []Near  `json:"nearest"` // labelled photographs that it learned from, the likest first
}

// Near is a photograph and the cosine of its features with those of the one at hand.
type Near struct {
	Ask
	Cosine float64 `json:"cosine"`
}

// Judge judges a photograph by its features, with at most n of the likest labelled ones.
func (s *Session) Judge(row []float32, n int) (Verdict, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := s.model
	if m == nil {
		return Verdict{}, failure.Usagef("studio: no model yet; label photographs of two classes first")
	}
	v := Verdict{Guess: []Guess{}, Nearest: []Near{}}
	for c, logp := range m.fit.LogProbabilities([][]float32{row}, s.multi()) {
		v.Guess = append(v.Guess, Guess{s.classes[m.classes[c]], math.Exp(float64(logp))})
	}
	likely(v.Guess)
	at := s.examples(false)
	near := make([]Near, len(at))
	for k, i := range at {
		near[k] = Near{Cosine: cosine(row, s.rows[i]), Ask: Ask{ID: s.photos[i].ID, Path: s.photos[i].Path,
			Label: s.cell(s.last(i).classes)}}
	}
	slices.SortStableFunc(near, func(a, b Near) int { return cmp.Compare(b.Cosine, a.Cosine) })
	v.Nearest = append(v.Nearest, near[:min(n, len(near))]...)
	return v, nil
}

func cosine(a, b []float32) float64 {
	x, y := blas32.Vector{N: len(a), Data: a, Inc: 1}, blas32.Vector{N: len(b), Data: b, Inc: 1}
	if length := float64(blas32.Nrm2(x)) * float64(blas32.Nrm2(y)); length > 0 {
		return float64(blas32.Dot(x, y)) / length
	}
	return 0
}

// likely sorts guesses, the likeliest first.
func likely(list []Guess) {
	slices.SortStableFunc(list, func(a, b Guess) int { return cmp.Compare(b.P, a.P) })
}
