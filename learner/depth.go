package learner

import (
	"context"
	"math"
	"sync"

	"finetune/augment"
)

// narrowPhotos counts photographs of 16 bits that are all but one colour.
type narrowPhotos struct {
	mu       sync.Mutex
	n        int
	min, max float64
}

func (p *narrowPhotos) note(lo, hi float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n++; p.n == 1 {
		p.min, p.max = lo, hi
	}
	p.min, p.max = math.Min(p.min, lo), math.Max(p.max, hi)
}

// tell warns once of those that were noted.
func (p *narrowPhotos) tell(ui UI) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.n > 0 {
		ui.Warn("%d photographs are all but one colour: they have 16 bits a sample or more and use %.6g to %.6g of them; --depth-range auto, or MIN,MAX, shows what is there",
			p.n, p.min, p.max)
	}
	p.n = 0
}

// limits is what decoding a photograph of the data set may take, and how.
func (l *Learner) limits(ctx context.Context) augment.Limits {
	limits := l.Config.Machine.limits(ctx)
	limits.Depth = l.pre.Depth
	return limits
}

func (c *Classifier) limits(ctx context.Context) augment.Limits {
	limits := c.Machine.limits(ctx)
	limits.Depth = c.pre.Depth
	return limits
}
