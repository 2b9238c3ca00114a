// Package batches decodes the photographs that the whole network trains on and is validated on.
package batches

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"finetune/activations"
	"finetune/augment/picture"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/reading"
	"finetune/internal/rng"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/onnx"
)

// Loader decodes batches of photographs on several goroutines, the next
// training batches while the network works on this one.
type Loader struct {
	setup *features.Setup
	items []dataset.Item // to train on

	Prefix *activations.Cache // what the network's frozen prefix makes of the centre views; nil: photographs are decoded

	depth  int                             // batches decoded ahead
	memory func(n int) (*onnx.Host, error) // that the network's device copies by itself; nil, or nil from it: Go's
	ahead  []pending                       // in the order of their steps
	mu     sync.Mutex                      // guards what follows
	hosts  []*onnx.Host
	spare  [][]float32 // of batches that nobody needs any more

	ctx    context.Context // of what is decoded ahead; ends with the loader
	cancel context.CancelFunc
	busy   sync.WaitGroup // the goroutines that decode
}

// pending is a batch that is being decoded.
type pending struct {
	fit.NextBatch
	wait func() ([]float32, error)
}

// New loads items to train on. memory makes n floats that the network's device copies by itself; it may be nil.
// Close it.
func New(s *features.Setup, items []dataset.Item, memory func(n int) (*onnx.Host, error)) *Loader {
	p := &Loader{setup: s, items: items, depth: 1, memory: memory}
	if s.Config.Machine.HasDevice() {
		p.depth = fit.StepsAhead
	}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	return p
}

// Start begins to decode the next training batches, as many as the depth allows.
func (p *Loader) Start(next []fit.NextBatch) {
	for i, u := range next[:min(len(next), p.depth)] {
		if i < len(p.ahead) {
			continue // begun a step ago
		}
		u.Index = slices.Clone(u.Index)
		p.ahead = append(p.ahead, pending{u, p.batch(p.ctx, u.Epoch, u.Index)})
	}
}

// Take returns a training batch [len(index), 3, size, size], or the rows of the
// prefix, the one that Start began or, if that was another, one decoded now. Give
// it back.
func (p *Loader) Take(ctx context.Context, epoch int, index []int) ([]float32, error) {
	if len(p.ahead) > 0 && p.ahead[0].Epoch == epoch && slices.Equal(p.ahead[0].Index, index) {
		next := p.ahead[0]
		p.ahead = p.ahead[1:]
		return next.wait()
	}
	p.drop()
	return p.batch(ctx, epoch, index)()
}

// drop lets go of what is decoded ahead.
func (p *Loader) drop() {
	for _, a := range p.ahead {
		if images, err := a.wait(); err == nil {
			p.Give(images)
		}
	}
	p.ahead = nil
}

// room is memory for n floats.
func (p *Loader) room(n int) []float32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.spare, func(s []float32) bool { return cap(s) >= n }); i >= 0 {
		found := p.spare[i][:n]
		p.spare = slices.Delete(p.spare, i, i+1)
		return found
	}
	if p.memory != nil {
		if h, err := p.memory(n); err == nil && h != nil {
			p.hosts = append(p.hosts, h)
			return h.Data
		}
	}
	return make([]float32, n)
}

// Give takes a batch back whose network is through with it.
func (p *Loader) Give(images []float32) {
	if p.Prefix != nil {
		return // rows of the cache, copied by it
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spare = append(p.spare, images)
}

// Close frees the memory, once nothing is decoded into it any more, and the
// prefix's cache. The network must not need it any more.
func (p *Loader) Close() {
	p.cancel()
	p.busy.Wait()
	p.ahead = nil
	for _, h := range p.hosts {
		h.Close()
	}
	p.hosts, p.spare = nil, nil
	if p.Prefix != nil {
		_ = p.Prefix.Close() // it was only read
	}
}

// batch decodes training photographs as the epoch's augmentation draws them,
// one random stream for each (seed, epoch, photograph).
func (p *Loader) batch(ctx context.Context, epoch int, index []int) func() ([]float32, error) {
	if p.setup.Config.Images.Augment == "none" {
		items := make([]dataset.Item, len(index))
		for k, i := range index {
			items[k] = p.items[i]
		}
		return p.Centre(ctx, items)
	}
	seed := p.setup.Config.Train.Seed
	return p.decode(ctx, len(index), func(dst []float32, k int) error {
		limits := p.setup.Limits(ctx)
		limits.MinSide = p.setup.Policy.MinSide(p.setup.Config.Images.Size)
		im, err := p.open(p.items[index[k]], limits)
		if err != nil {
			return err
		}
		return p.setup.Preprocess.Augmented(dst, im, p.setup.Policy,
			rng.New(seed, rng.Text("photo"), uint64(epoch), uint64(index[k])))
	})
}

// Centre decodes the centre views of items, or finds what the prefix made of them.
func (p *Loader) Centre(ctx context.Context, items []dataset.Item) func() ([]float32, error) {
	if p.Prefix != nil {
		return func() ([]float32, error) { return p.cached(items) }
	}
	return p.decode(ctx, len(items), func(dst []float32, k int) error {
		data, err := reading.File(items[k].File, reading.MaxPhoto)
		if err != nil {
			return features.PhotoChanged(items[k], err)
		}
		if err := p.setup.Preprocess.Load(dst, data, p.setup.Limits(ctx)); err != nil {
			return features.PhotoChanged(items[k], err)
		}
		return nil
	})
}

func (p *Loader) open(it dataset.Item, limits picture.Limits) (*picture.Image, error) {
	data, err := reading.File(it.File, reading.MaxPhoto)
	if err != nil {
		return nil, features.PhotoChanged(it, err)
	}
	im, err := picture.Decode(data, limits)
	if err != nil {
		return nil, features.PhotoChanged(it, err)
	}
	return im, nil
}

// decode fills n tensors by load on the configured workers and returns how to
// wait for them.
func (p *Loader) decode(ctx context.Context, n int,
	load func(dst []float32, k int) error) func() ([]float32, error) {
	size := p.setup.Preprocess.Len()
	images, errs := p.room(n*size), make([]error, n)
	next := make(chan int, n)
	for k := range n {
		next <- k
	}
	close(next)
	var wg sync.WaitGroup
	for range min(p.setup.Config.Machine.Workers, n) {
		p.busy.Add(1)
		wg.Go(func() {
			defer p.busy.Done()
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

// cached returns the rows that the prefix made of items.
func (p *Loader) cached(items []dataset.Item) ([]float32, error) {
	rows, ok := p.Prefix.Rows(items)
	for i, it := range items {
		if !ok[i] {
			return nil, failure.Data(fmt.Errorf("learner: %s: its features are missing from the cache; add --resume",
				it.File))
		}
	}
	return rows, nil
}
