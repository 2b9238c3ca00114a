// Package rng makes random numbers that depend on named counters alone.
//
// A stream is splitmix64 (Steele, Lea and Flood 2014) run in counter mode: draw
// i of a stream is a pure function of its key and i. Streams of different keys
// are independent, so results do not depend on the number of workers, and a
// position (Key, N) can be stored and resumed. testdata/reference/rng.py is the
// same in Python; TestTwin holds the two together.
package rng

import "math"

const golden = 0x9E3779B97F4A7C15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

// Stream is a position in a random sequence. The zero value is usable.
type Stream struct{ Key, N uint64 }

// New returns the stream named by parts, at its start.
func New(parts ...uint64) *Stream {
	key := uint64(0)
	for _, p := range parts {
		key = mix(key + golden + mix(p+golden))
	}
	return &Stream{Key: key}
}

// Text turns a name into a part of a stream's name (FNV-1a, 64 bits).
func Text(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := 0; i < len(s); i++ {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}

// Uint64 draws 64 uniform bits.
func (s *Stream) Uint64() uint64 {
	s.N++
	return mix(s.Key + s.N*golden)
}

// Float64 draws from [0, 1) with 53 bits.
func (s *Stream) Float64() float64 { return float64(s.Uint64()>>11) / (1 << 53) }

// Uniform draws from [lo, hi).
func (s *Stream) Uniform(lo, hi float64) float64 { return lo + (hi-lo)*s.Float64() }

// Normal draws from N(0, 1) by Box and Muller, two uniforms a draw.
func (s *Stream) Normal() float64 {
	u, v := 1-s.Float64(), s.Float64()
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*v)
}

// Intn draws from 0..n-1; n must be positive. The bias is below n/2^53.
func (s *Stream) Intn(n int) int { return int(s.Float64() * float64(n)) }

// Perm returns a permutation of 0..n-1 (Fisher and Yates, from the end).
func (s *Stream) Perm(n int) []int {
	p := make([]int, n)
	for i := range p {
		p[i] = i
	}
	for i := n - 1; i > 0; i-- {
		j := s.Intn(i + 1)
		p[i], p[j] = p[j], p[i]
	}
	return p
}
