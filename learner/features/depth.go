package features

import (
	"context"
	"math"
	"sync"

	"finetune/augment/picture"
	"finetune/internal/plural"
	"finetune/learner/runs"
)

// NarrowPhotos counts photographs of 16 bits that are all but one colour.
type NarrowPhotos struct {
	mu       sync.Mutex
	n        int
	min, max float64
}

// Note counts a photograph with samples from lo to hi. Any number of goroutines.
func (p *NarrowPhotos) Note(lo, hi float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n++; p.n == 1 {
		p.min, p.max = lo, hi
	}
	p.min, p.max = math.Min(p.min, lo), math.Max(p.max, hi)
}

// Tell warns once of those that were noted.
func (p *NarrowPhotos) Tell(ui runs.UI) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n > 0 {
		who := plural.Of(p.n, "photograph looks almost uniform: it has 16 bits or more per sample, but uses",
			"photographs look almost uniform: they have 16 bits or more per sample, but use")
		ui.Warn("%s only the values %.6g to %.6g; add --depth-range auto or --depth-range MIN,MAX", who, p.min, p.max)
	}
	p.n = 0
}

// Limits is what decoding a photograph of the data set may take, and how.
func (s *Setup) Limits(ctx context.Context) picture.Limits {
	limits := s.Config.Machine.Limits(ctx)
	limits.Depth = s.Preprocess.Depth
	return limits
}
