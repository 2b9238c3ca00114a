package activations

import (
	"time"

	"finetune/internal/failure"
)

// compute runs the body over batches as they come.
func (f *filler) compute() {
	for b := range f.ready {
		b.pending.Wait()
		err := f.ctx.Err()
		if err == nil {
			if err = f.runBody(b); err != nil {
				f.fail(err)
			}
		}
		b.computed <- err == nil
	}
}

// runBody calls the body on the whole batch, failed images included as zeros,
// so that its size changes for the last batch alone.
func (f *filler) runBody(b *imageBatch) error {
	n := len(b.jobs)
	good := false
	for _, j := range b.jobs {
		good = good || j.err == nil
	}
	if !good {
		return nil
	}
	if f.feed.Batch > n {
		clear(b.images[n*f.pixels:])
		n = f.feed.Batch
	}
	f.bodyRuns(+1)
	defer f.bodyRuns(-1)
	return failure.Guard(func() error {
		if err := f.body.Run(f.ctx, b.images[:n*f.pixels], n, b.features[:n*f.body.Features()]); err != nil {
			return err
		}
		f.judge(b)
		return nil
	})
}

// judge marks the images of which the body could make no row.
func (f *filler) judge(b *imageBatch) {
	body, ok := f.body.(Judge)
	if !ok {
		return
	}
	n := body.Features()
	for i, j := range b.jobs {
		if j.err != nil {
			continue
		}
		if reason := body.Wrong(b.features[i*n : (i+1)*n]); reason != "" {
			j.err = &badFile{"failed", reason, nil}
		}
	}
}

// bodyRuns counts the runs going on and adds the time since the last change,
// if there were any.
func (f *filler) bodyRuns(change int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.running > 0 {
		f.report.BodySeconds += now.Sub(f.changed).Seconds()
	}
	f.running, f.changed = f.running+change, now
}

// ask lets a Device say how it is fed.
func (f *filler) ask() error {
	f.feed = &Feed{}
	d, ok := f.body.(Device)
	if !ok {
		return nil
	}
	feed, err := d.Feed(f.ctx)
	if err != nil {
		return err
	}
	if feed.Batch > 0 {
		f.o.Batch = feed.Batch
	}
	f.feed = &feed
	return nil
}

// memory is n floats of a batch, given back by release.
func (f *filler) memory(b *imageBatch, n int) ([]float32, error) {
	if f.feed.Memory == nil {
		return make([]float32, n), nil
	}
	data, free, err := f.feed.Memory(n)
	if err == nil {
		b.free = append(b.free, free)
	}
	return data, err
}

func (b *imageBatch) release() {
	for _, free := range b.free {
		free()
	}
}
