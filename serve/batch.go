package serve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// errClosed says that the server shuts down.
var errClosed = errors.New("serve: shutting down")

// errNoNumbers is of a photograph of which the network makes no numbers.
var errNoNumbers = errors.New("not a number: the network gives no probabilities for this photograph")

// job is one decoded photograph on its way to a batch.
type job struct {
	ctx   context.Context
	image []float32
	done  chan result // buffered: a client that has left does not block the batch
}

type result struct {
	logp []float32
	odd  *float32 // nil: not known
	err  error
}

// batcher gathers photographs of all requests into batches.
type batcher struct {
	predict func(ctx context.Context, images []float32, n int) (logp, odd []float32, err error)
	pixels  int // floats a photograph
	max     int
	delay   time.Duration
	jobs    chan *job
	observe func(size int, seconds float64)

	predicted func() // a photograph had numbers
}

// run predicts batches until ctx ends. It is the one goroutine that predicts.
func (b *batcher) run(ctx context.Context) {
	images := make([]float32, b.max*b.pixels)
	for {
		select {
		case first := <-b.jobs:
			b.flush(ctx, b.gather(ctx, first), images)
		case <-ctx.Done():
			b.refuse()
			return
		}
	}
}

// gather waits for more photographs, but not long. What waits already is taken
// at once.
func (b *batcher) gather(ctx context.Context, first *job) []*job {
	batch := []*job{first}
	timer := time.NewTimer(b.delay)
	defer timer.Stop()
	for len(batch) < b.max {
		select {
		case j := <-b.jobs:
			batch = append(batch, j)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// flush predicts a batch, without the photographs whose clients have left.
func (b *batcher) flush(ctx context.Context, batch []*job, images []float32) {
	var live []*job
	for _, j := range batch {
		if j.ctx.Err() == nil {
			copy(images[len(live)*b.pixels:], j.image)
			live = append(live, j)
		}
	}
	if len(live) == 0 {
		return
	}
	start := time.Now()
	logp, odd, err := b.safely(context.WithoutCancel(ctx), images, len(live))
	b.observe(len(live), time.Since(start).Seconds())
	for i, j := range live {
		r := result{err: err}
		if err == nil {
			c := len(logp) / len(live)
			r.logp = logp[i*c : (i+1)*c]
			if odd != nil {
				r.odd = &odd[i]
			}
			if slices.ContainsFunc(r.logp, func(v float32) bool { return v != v }) {
				r = result{err: errNoNumbers}
			} else {
				b.predicted()
			}
		}
		j.done <- r
	}
}

// safely turns a panic of the classifier into the error of one batch.
func (b *batcher) safely(ctx context.Context, images []float32, n int) (logp, odd []float32, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("serve: the classifier failed: %v", p)
		}
	}()
	return b.predict(ctx, images[:n*b.pixels], n)
}

// refuse answers what is left when the server ends.
func (b *batcher) refuse() {
	for {
		select {
		case j := <-b.jobs:
			j.done <- result{err: errClosed}
		default:
			return
		}
	}
}

// submit waits for what is made of a photograph.
func (b *batcher) submit(ctx context.Context, image []float32) result {
	j := &job{ctx: ctx, image: image, done: make(chan result, 1)}
	select {
	case b.jobs <- j:
	case <-ctx.Done():
		return result{err: ctx.Err()}
	}
	select {
	case r := <-j.done:
		return r
	case <-ctx.Done():
		return result{err: ctx.Err()}
	}
}
