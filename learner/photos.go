package learner

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"finetune/activations"
	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/reading"
	"finetune/internal/rng"
)

// photoLoader decodes batches of photographs on several goroutines, the next
// training batch while the network works on this one.
type photoLoader struct {
	l     *Learner
	items []dataset.Item // to train on

	prefix *activations.Cache // what the network's frozen prefix makes of the centre views; nil: photographs are decoded

	epoch int
	index []int
	next  func() ([]float32, error) // of the batch that start began
}

func newPhotoLoader(l *Learner, items []dataset.Item, prefix *activations.Cache) *photoLoader {
	return &photoLoader{l: l, items: items, prefix: prefix}
}

// start begins to decode a training batch.
func (p *photoLoader) start(epoch int, index []int) {
	p.epoch, p.index = epoch, slices.Clone(index)
	p.next = p.batch(context.Background(), epoch, p.index)
}

// take returns a training batch [len(index), 3, size, size], or the rows of the
// prefix, the one that start began or, if that was another, one decoded now.
func (p *photoLoader) take(ctx context.Context, epoch int, index []int) ([]float32, error) {
	next := p.next
	if p.next = nil; next == nil || epoch != p.epoch || !slices.Equal(index, p.index) {
		next = p.batch(ctx, epoch, index)
	}
	return next()
}

// batch decodes training photographs as the epoch's augmentation draws them,
// one random stream for each (seed, epoch, photograph).
func (p *photoLoader) batch(ctx context.Context, epoch int, index []int) func() ([]float32, error) {
	if p.l.Config.Images.Augment == "none" {
		items := make([]dataset.Item, len(index))
		for k, i := range index {
			items[k] = p.items[i]
		}
		return p.centre(ctx, items)
	}
	seed := p.l.Config.Train.Seed
	return p.decode(ctx, len(index), func(dst []float32, k int) error {
		limits := p.l.limits(ctx)
		limits.MinSide = p.l.policy.MinSide(p.l.Config.Images.Size)
		im, err := p.open(p.items[index[k]], limits)
		if err != nil {
			return err
		}
		return p.l.pre.Augmented(dst, im, p.l.policy, rng.New(seed, rng.Text("photo"), uint64(epoch), uint64(index[k])))
	})
}

// centre decodes the centre views of items, or finds what the prefix made of them.
func (p *photoLoader) centre(ctx context.Context, items []dataset.Item) func() ([]float32, error) {
	if p.prefix != nil {
		return func() ([]float32, error) { return p.cached(items) }
	}
	return p.decode(ctx, len(items), func(dst []float32, k int) error {
		data, err := reading.File(items[k].File, maxPhoto)
		if err != nil {
			return gone(items[k], err)
		}
		if err := p.l.pre.Load(dst, data, p.l.limits(ctx)); err != nil {
			return gone(items[k], err)
		}
		return nil
	})
}

func (p *photoLoader) open(it dataset.Item, limits augment.Limits) (*augment.Image, error) {
	data, err := reading.File(it.File, maxPhoto)
	if err != nil {
		return nil, gone(it, err)
	}
	im, err := augment.Decode(data, limits)
	if err != nil {
		return nil, gone(it, err)
	}
	return im, nil
}

// maxPhoto bounds a file, as activations does.
const maxPhoto = 256 << 20

// gone is the error of a photograph that could be read before training.
func gone(it dataset.Item, err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case failure.System(err):
		return fmt.Errorf("learner: %w", err) // which names the file, and the storage as what is to blame
	}
	return failure.Data(fmt.Errorf("learner: %s: changed while training: %w; put it back and add --resume", it.File, err))
}

// decode fills n tensors by load on the configured workers and returns how to
// wait for them.
func (p *photoLoader) decode(ctx context.Context, n int, load func(dst []float32, k int) error) func() ([]float32, error) {
	size := p.l.pre.Len()
	images, errs := make([]float32, n*size), make([]error, n)
	next := make(chan int, n)
	for k := range n {
		next <- k
	}
	close(next)
	var wg sync.WaitGroup
	for range min(p.l.Config.Machine.Workers, n) {
		wg.Go(func() {
			for k := range next {
				if errs[k] = ctx.Err(); errs[k] == nil {
					errs[k] = failure.Guard(func() error { return load(images[k*size:(k+1)*size], k) })
				}
			}
		})
	}
	return func() ([]float32, error) {
		wg.Wait()
		for _, err := range errs {
			if err != nil {
				return nil, err
			}
		}
		return images, nil
	}
}
