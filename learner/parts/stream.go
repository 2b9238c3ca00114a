package parts

import (
	"context"
	"slices"

	"finetune/dataset"
	"finetune/head"
	"finetune/internal/parallel"
	"finetune/internal/rng"
)

// Stream hands out the training rows of a Set in an order that is shuffled anew in each
// epoch, with two windows of rows in memory: the one that is drawn from, and the one that is
// read ahead. An epoch goes through the parts in an order of its own, as many at a time as
// fill a window, and through each window's rows in a shuffled order. All that depends on the
// seed, the epoch and the sizes of the parts alone: any row can be found again. Where one
// window holds all rows, their order is head.Order, as in memory.
type Stream struct {
	set    *Set
	size   int // rows from which on a window is full
	seed   uint64
	epochs int
	all    bool // one window holds all rows

	epoch   int
	windows []window // of epoch
	now     *loaded
	ahead   *loaded
	spare   *loaded // whose memory is free
	ctx     context.Context
	cancel  context.CancelFunc

	batch   []float32
	rows    [][]float32
	classes []int
	targets []float32
}

// window is some parts and the places of their rows in an epoch.
type window struct {
	epoch, number int
	parts         []int // in the order of their numbers
	first, rows   int
}

// loaded is a window in memory.
type loaded struct {
	window
	features []float32 // [rows, width]
	cells    []int32
	order    []int
	done     chan struct{}
	err      error
}

// Stream is one of the training rows. size is about how many rows a window has: it ends with
// the part that fills it. Close the Stream.
func (s *Set) Stream(size int, seed uint64, epochs int) *Stream {
	ctx, cancel := context.WithCancel(context.Background())
	return &Stream{set: s, size: size, seed: seed, epochs: epochs, epoch: -1, all: s.Rows(Train) <= size, ctx: ctx,
		cancel: cancel}
}

// Close ends what is read ahead.
func (t *Stream) Close() {
	t.cancel()
	if t.ahead != nil {
		<-t.ahead.done
	}
}

// All are the training rows and their labels, in the order of the job, where one window holds
// them; nil otherwise. They are valid until another call of Batch.
func (t *Stream) All(ctx context.Context) ([]dataset.Item, [][]float32, error) {
	if !t.all {
		return nil, nil, nil
	}
	if t.now == nil {
		t.epoch, t.windows = 0, t.plan(0)
		if err := t.reach(ctx, 0); err != nil {
			return nil, nil, err
		}
	}
	items, rows := make([]dataset.Item, t.now.rows), make([][]float32, t.now.rows)
	for i, cell := range t.now.cells {
		items[i] = t.set.item(Row{Cell: int(cell)})
		rows[i] = t.now.features[i*t.set.Width : (i+1)*t.set.Width : (i+1)*t.set.Width]
	}
	return items, rows, nil
}

// plan divides an epoch into windows.
func (t *Stream) plan(epoch int) []window {
	var parts []int
	for n, rows := range t.set.train {
		if rows > 0 {
			parts = append(parts, n)
		}
	}
	if !t.all {
		order := rng.New(t.seed, rng.Text("parts.order"), uint64(epoch)).Perm(len(parts))
		for i, k := range order {
			order[i] = parts[k]
		}
		parts = order
	}
	var list []window
	w := window{epoch: epoch}
	end := func() {
		slices.Sort(w.parts)
		list = append(list, w)
		w = window{epoch: epoch, number: w.number + 1, first: w.first + w.rows}
	}
	for _, n := range parts {
		w.parts, w.rows = append(w.parts, n), w.rows+int(t.set.train[n])
		if w.rows >= t.size {
			end()
		}
	}
	if w.rows > 0 {
		end()
	}
	return list
}

// order is how a window's rows are gone through.
func (t *Stream) order(w window) []int {
	if w.number == 0 {
		return head.Order(w.rows, t.seed, w.epoch)
	}
	return rng.New(t.seed, rng.Text("head.order"), uint64(w.epoch), uint64(w.number)).Perm(w.rows)
}

// Batch are the rows at index, places in an epoch that rise by one. They are valid until the
// next call.
func (t *Stream) Batch(ctx context.Context, epoch int, index []int) (head.Batch, error) {
	if epoch != t.epoch {
		t.epoch, t.windows = epoch, t.plan(epoch)
	}
	width, l := t.set.Width, t.set.Options.Labels
	t.batch = slices.Grow(t.batch[:0], len(index)*width)[:len(index)*width]
	t.rows, t.classes, t.targets = t.rows[:0], t.classes[:0], t.targets[:0]
	for k, place := range index {
		if err := t.reach(ctx, place); err != nil {
			return head.Batch{}, err
		}
		i := t.now.order[place-t.now.first]
		row := t.batch[k*width : (k+1)*width : (k+1)*width]
		copy(row, t.now.features[i*width:])
		t.rows = append(t.rows, row)
		if !l.Multi {
			t.classes = append(t.classes, int(t.now.cells[i]))
			continue
		}
		t.targets = append(t.targets, make([]float32, len(l.Classes))...)
		for _, c := range t.set.labels(int(t.now.cells[i])) {
			t.targets[k*len(l.Classes)+c] = 1
		}
	}
	if l.Multi {
		return head.Batch{Rows: t.rows, Targets: t.targets}, nil
	}
	return head.Batch{Rows: t.rows, Labels: t.classes}, nil
}

// reach makes the window of a place the current one, and begins to read the next.
func (t *Stream) reach(ctx context.Context, place int) error {
	if n := t.now; n != nil && n.epoch == t.epoch && place >= n.first && place < n.first+n.rows {
		return nil
	}
	at := slices.IndexFunc(t.windows, func(w window) bool { return place < w.first+w.rows })
	w := t.windows[at]
	if t.all && t.now != nil { // its rows are here
		t.now.window, t.now.order = w, t.order(w)
		return nil
	}
	if t.ahead == nil || t.ahead.epoch != w.epoch || t.ahead.number != w.number {
		if t.ahead != nil { // of a fit that began elsewhere
			<-t.ahead.done
			t.spare = t.ahead
		}
		t.ahead = t.load(w)
	}
	select {
	case <-t.ahead.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if t.ahead.err != nil {
		err := t.ahead.err
		t.ahead = nil
		return err
	}
	t.spare, t.now, t.ahead = t.now, t.ahead, nil
	if next, more := t.after(at); more {
		t.ahead = t.load(next)
	}
	return nil
}

// after is the window that follows, maybe of the next epoch.
func (t *Stream) after(at int) (window, bool) {
	switch {
	case t.all:
		return window{}, false
	case at+1 < len(t.windows):
		return t.windows[at+1], true
	case t.epoch+1 < t.epochs:
		return t.plan(t.epoch + 1)[0], true
	}
	return window{}, false
}

// readers is how many parts are read at once.
const readers = 4

// load reads a window beside whatever else is done.
func (t *Stream) load(w window) *loaded {
	n := t.spare
	t.spare = nil
	if n == nil {
		n = &loaded{}
	}
	n.window, n.err, n.done = w, nil, make(chan struct{})
	go func() {
		defer close(n.done)
		n.order = t.order(w)
		n.err = t.read(n)
	}()
	return n
}

func (t *Stream) read(n *loaded) error {
	width := t.set.Width
	n.features = slices.Grow(n.features[:0], n.rows*width)[:n.rows*width]
	n.cells = slices.Grow(n.cells[:0], n.rows)[:n.rows]
	first, at := make([]int, len(n.parts)), 0
	for i, part := range n.parts {
		first[i] = at
		at += int(t.set.train[part])
	}
	errs := make([]error, len(n.parts))
	parallel.For(len(n.parts), readers, func(i int) {
		at := first[i]
		errs[i] = t.set.Each(t.ctx, n.parts[i], Train, func(r Row) error {
			copy(n.features[at*width:], r.Features)
			n.cells[at] = int32(r.Cell)
			at++
			return nil
		})
	})
	for _, err := range errs { // of the first part, whichever was first to fail
		if err != nil {
			return err
		}
	}
	return nil
}
