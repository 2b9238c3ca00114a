package activations

import (
	"context"
	"time"

	"finetune/dataset"
)

// Stream runs the body over items without a cache: what scoring needs. emit is
// called once for each item, in the order of items, from one goroutine, with
// the item's index and either its features, valid during the call, or what is
// wrong with its file. An error of emit ends the Stream.
//
// size is the side of an image in pixels. Images are decoded while the body
// runs and memory does not grow with len(items). Of the report, Computed and
// the times are set. After an error, emit was called for a prefix of items.
func Stream(ctx context.Context, items []dataset.Item, size int, body Body, load Load, o FillOptions,
	emit func(i int, features []float32, bad *Bad) error) (Report, error) {
	start := time.Now()
	f := newFiller(ctx, items, size, body, load, o)
	f.emit = emit
	err := f.run(ctx)
	f.report.Seconds = time.Since(start).Seconds()
	return f.report, err
}

// tellRows hands the rows of a batch to the caller of Stream.
func (f *filler) tellRows(b *imageBatch) error {
	n := f.body.Features()
	for i, j := range b.jobs {
		var err error
		if j.err != nil {
			bad := f.verdict(j.item, j.err)
			err = f.emit(j.at, nil, &bad)
			f.settle(func() {})
		} else {
			err = f.emit(j.at, b.features[i*n:(i+1)*n:(i+1)*n], nil)
			f.settle(func() { f.report.Computed++ })
		}
		if err != nil {
			return err
		}
	}
	return nil
}
