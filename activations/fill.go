package activations

import (
	"context"
	"fmt"
	"time"

	"finetune/dataset"
	"finetune/internal/plural"
)

// Body computes features.
type Body interface {
	// Run reads images [n, 3, S, S] and writes features [n, F]. It is called
	// from FillOptions.Runs goroutines at once and borrows both slices until it
	// returns.
	Run(ctx context.Context, images []float32, n int, features []float32) error
	Features() int
}

// Judge may be implemented by a Body that cannot give a row for every image:
// Wrong says what is wrong with a row that Run wrote, "" if nothing is. Such a
// file is a Bad one with the status "failed", and its row is not kept.
type Judge interface {
	Body
	Wrong(row []float32) string
}

// Device is a Body that computes apart from the processors that decode, as a GPU
// does, and says how it is fed best.
type Device interface {
	Body
	// Feed is called once, when the first image needs the body.
	Feed(ctx context.Context) (Feed, error)
}

// Feed is how a Device takes its images.
type Feed struct {
	// Batch is the images of a Run. Every Run has as many, the last one padded
	// with zeros, whose rows nobody reads: a device prepares itself for each size
	// anew, and may compute differently for another. 0: as FillOptions say.
	Batch int
	// Memory returns n floats that the device copies by itself, and frees them.
	// nil: any memory will do.
	Memory func(n int) (data []float32, free func(), err error)
}

// Load turns the bytes of a file into an image [3, S, S] in dst. it.Digest is
// set: draw augmentation from it, so that equal files give equal rows. Load is
// called from several goroutines, once for each distinct file that has no row;
// it must not keep data. Its error makes the file a Bad one, not the run.
type Load = func(dst []float32, data []byte, it dataset.Item) error

// FillOptions may be left zero.
type FillOptions struct {
	Workers    int           // goroutines that read and decode; 0: one a core
	Runs       int           // Body.Runs that run at once; 0: 1
	Batch      int           // images a Body.Run, unless a Device says; 0: 32
	ShardRows  int           // rows a shard; 0: about 8 MB
	FlushEvery time.Duration // longest time between shards; 0: 3 s
	// Progress is told how many items are settled, of how many, and how many of
	// them the body computed; at most ten times a second, and at the end. It must
	// be quick: the stages wait for it.
	Progress func(done, total, computed int)
	// Warn is told what is odd as it happens; nil: kept for Cache.Warnings.
	Warn func(line string)
	// Status names what is wrong with a file from Load's error. nil: errors
	// with a method DecodeStatus() (status, reason string) say so themselves,
	// all others are "unreadable".
	Status func(err error) (status, reason string)
}

// Bad is a file that has no row.
type Bad struct {
	Path   string // dataset.Item.Path
	File   string
	Status string // unreadable, too_large, empty, unsupported or failed
	Reason string
}

// Report says what Fill did. Computed + Reused + Duplicates + len(Skipped) is
// the number of items, unless Fill returned an error.
type Report struct {
	Computed      int     // rows that the body computed
	Reused        int     // items whose row was there
	Duplicates    int     // items equal to an earlier one of the same Fill
	Skipped       []Bad   // in the order of items
	Seconds       float64 // wall time of it all
	DecodeSeconds float64 // core-seconds of reading, hashing and decoding
	BodySeconds   float64 // wall time in which the body ran, once or several times side by side
	Steady        float64 // images a second after the first batch, which waits for the body to load; 0: there was no other
}

// Fill computes the rows that items lack and stores them. Rows do not depend on
// the order of items, on Workers and Runs or on what else is computed beside them.
//
// Memory does not grow with len(items), except for a digest each. Cancelling
// ctx stores what is computed and returns the context's error; after that, and
// after a kill, the next Fill continues where this one stopped. Files that cannot
// be decoded are in the report and not an error.
func (c *Cache) Fill(ctx context.Context, items []dataset.Item, body Body, load Load, o FillOptions) (Report, error) {
	if body.Features() != c.key.Features {
		return Report{}, fmt.Errorf("activations: the body gives %s, the cache was opened for %d",
			plural.Count(body.Features(), "feature"), c.key.Features)
	}
	if c.key.Key.Size < 1 {
		return Report{}, fmt.Errorf("activations: image size %d in the key", c.key.Key.Size)
	}
	start := time.Now()
	if o.ShardRows <= 0 {
		o.ShardRows = c.shardRows()
	}
	f := newFiller(ctx, items, c.key.Key.Size, body, load, o)
	f.c = c
	defer f.unlock()
	err := f.run(ctx)
	f.report.Skipped = f.skipped()
	if err == nil && f.report.Computed > 0 {
		if err := c.compact(); err != nil {
			f.warn(err.Error()) // the rows are safe, in more files than need be
		}
	}
	f.report.Seconds = time.Since(start).Seconds()
	return f.report, err
}
