package activations

import (
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"finetune/dataset"
)

// collect takes the batches in order, up to the first that is not computed or
// not wanted.
func (f *filler) collect() {
	defer close(f.full)
	out, last, ended := <-f.spare, time.Now(), false
	var begun time.Time
	images := 0
	for b := range f.order {
		if ended = !<-b.computed || ended; ended {
			continue
		}
		if f.emit == nil {
			f.keep(b, out)
		} else if err := f.tellRows(b); err != nil {
			f.fail(err)
			ended = true
		}
		if begun.IsZero() {
			begun = time.Now()
		} else {
			images += len(b.jobs)
			f.report.Steady = float64(images) / time.Since(begun).Seconds()
		}
		f.free <- b
		if n := len(out.paths); n > 0 && (n >= f.o.ShardRows || time.Since(last) > f.o.FlushEvery) {
			f.full <- out
			out, last = <-f.spare, time.Now()
		}
	}
	if len(out.paths) > 0 {
		f.full <- out
	}
}

// keep notes the rows of a batch for the next shard.
func (f *filler) keep(b *imageBatch, out *rows) {
	n := f.body.Features()
	for i, j := range b.jobs {
		if j.err != nil {
			f.settle(func() { f.bad[j.digest] = j.err; f.unread[j.at] = j.err })
			continue
		}
		out.add(j.item.Path, j.item.Class, j.digest, b.features[i*n:(i+1)*n])
		f.settle(func() { f.report.Computed++ })
	}
}

// flush writes shards while the body computes, and reads those of other processes.
func (f *filler) flush() {
	for r := range f.full {
		if err := f.c.save(r); err != nil {
			f.fail(err)
		} else if err := f.c.refresh(); err != nil {
			f.fail(err)
		}
		r.reset()
		f.spare <- r
	}
}

// skipped lists the files without a row, repeats of bad files included.
func (f *filler) skipped() []Bad {
	for _, j := range f.repeats {
		if err := f.bad[j.digest]; err != nil {
			f.unread[j.at] = err
			f.report.Duplicates--
		}
	}
	var list []Bad
	for i, it := range f.items {
		if err := f.unread[i]; err != nil {
			list = append(list, f.verdict(it, err))
		}
	}
	return list
}

// verdict says what is wrong with a file.
func (f *filler) verdict(it dataset.Item, err error) Bad {
	b := Bad{Path: it.Path, File: it.File, Status: "unreadable", Reason: err.Error()}
	var s interface {
		error
		DecodeStatus() (status, reason string)
	}
	if f.o.Status != nil {
		b.Status, b.Reason = f.o.Status(err)
	} else if errors.As(err, &s) {
		b.Status, b.Reason = s.DecodeStatus()
	}
	return b
}

// safely calls load; a decoder that panics on hostile bytes fails that file alone.
func (f *filler) safely(dst []float32, data []byte, it dataset.Item) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the decoder failed: %.200v (%.200s)", p, lastCall(debug.Stack()))
		}
	}()
	return f.load(dst, data, it)
}
