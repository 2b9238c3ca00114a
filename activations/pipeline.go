package activations

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"finetune/dataset"
)

// job is one item on its way through Fill.
type job struct {
	at     int
	item   dataset.Item
	digest Digest
	data   *[]byte // the file, until it is decoded; nil for a large one, read again then
	err    error
	batch  *imageBatch
	slot   int
}

// imageBatch is a buffer of images and what the body made of them; the body
// runs when the last is decoded.
type imageBatch struct {
	images   []float32 // [Batch, 3, S, S]
	features []float32 // [Batch, F]
	jobs     []*job    // by slot
	pending  sync.WaitGroup
	computed chan bool // takes one word when the body is through: whether there are features
	free     []func()  // what gives its memory back
}

// filler is one Fill, or one Stream, which has no cache:
//
//	workers   read + hash ──► sequence ──► workers decode ──► Runs × compute ──► collect ──► flush
//	          any order       item order   any order          any order          batch order
//
// sequence decides, in the order of items, which files need the body and which
// slot of which batch they get, so that batches and shards do not depend on
// timing. window bounds the files in memory, free the batches.
type filler struct {
	c       *Cache                                          // nil in a Stream
	emit    func(i int, features []float32, bad *Bad) error // nil in a Fill
	pixels  int                                             // floats an image
	items   []dataset.Item
	body    Body
	load    Load
	o       FillOptions
	feed    *Feed           // once the first image needs the body
	ctx     context.Context // ends with the caller's, or at the first failure
	cancel  context.CancelFunc
	release func() // the lock, once it is taken

	next    atomic.Int64
	window  chan struct{}
	hashed  chan *job
	decode  chan *job
	ready   chan *imageBatch // to compute
	order   chan *imageBatch // the same, to collect
	free    chan *imageBatch
	batches []*imageBatch // all of them
	buffers sync.Pool

	full  chan *rows // to flush
	spare chan *rows

	decodeTime atomic.Int64
	mu         sync.Mutex // guards what follows
	report     Report
	done       int
	told       time.Time
	running    int // Body.Runs
	changed    time.Time
	err        error
	bad        map[Digest]error
	unread     map[int]error // by item
	claimed    map[Digest]bool
	repeats    []*job
}

func newFiller(ctx context.Context, items []dataset.Item, size int, body Body, load Load, o FillOptions) *filler {
	if o.Workers <= 0 {
		o.Workers = runtime.GOMAXPROCS(0)
	}
	if o.Runs <= 0 {
		o.Runs = 1
	}
	if o.Batch <= 0 {
		o.Batch = 32
	}
	if o.FlushEvery <= 0 {
		o.FlushEvery = 3 * time.Second
	}
	f := &filler{pixels: 3 * size * size, items: items, body: body, load: load, o: o,
		bad: map[Digest]error{}, unread: map[int]error{}, claimed: map[Digest]bool{}}
	f.ctx, f.cancel = context.WithCancel(ctx)
	ahead := 2*o.Workers + 4
	f.window = make(chan struct{}, ahead)
	f.hashed, f.decode = make(chan *job, ahead), make(chan *job, ahead)
	for range ahead {
		f.window <- struct{}{}
	}
	batches := 2*o.Runs + 1 // for each run one in the body and one waiting, and one being filled
	f.ready, f.order, f.free = make(chan *imageBatch, batches), make(chan *imageBatch, batches),
		make(chan *imageBatch, batches)
	for range batches {
		f.batches = append(f.batches, &imageBatch{computed: make(chan bool, 1)})
		f.free <- f.batches[len(f.batches)-1]
	}
	f.full, f.spare = make(chan *rows, 1), make(chan *rows, 2)
	f.spare <- &rows{}
	f.spare <- &rows{}
	f.buffers.New = func() any { return new([]byte) }
	return f
}

// run starts the stages and waits for the last. The error is the first
// failure's, or that of the caller's context.
func (f *filler) run(ctx context.Context) error {
	defer f.cancel()
	var workers, stages sync.WaitGroup
	for range min(f.o.Workers, max(len(f.items), 1)) {
		workers.Go(f.work)
	}
	for range f.o.Runs {
		stages.Go(f.compute)
	}
	stages.Go(f.collect)
	stages.Go(f.flush)
	f.sequence()
	close(f.decode) // no more images: workers finish what is queued
	workers.Wait()
	close(f.ready)
	close(f.order)
	stages.Wait()
	for _, b := range f.batches {
		b.release()
	}
	f.tell(true)
	f.report.DecodeSeconds = time.Duration(f.decodeTime.Load()).Seconds()
	if f.err != nil {
		return f.err
	}
	return ctx.Err()
}

// fail records the first failure and stops the stages.
func (f *filler) fail(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.err == nil && err != nil {
		f.err = err
	}
	f.cancel()
}

func (f *filler) warn(line string) {
	if f.o.Warn == nil {
		f.c.warn("%s", line)
		return
	}
	f.o.Warn("activations: " + line)
}

// sequence takes the hashed files in the order of items.
func (f *filler) sequence() {
	waiting := map[int]*job{}
	var cur *imageBatch
	for at := 0; at < len(f.items); at++ {
		for waiting[at] == nil {
			select {
			case j := <-f.hashed:
				waiting[j.at] = j
			case <-f.ctx.Done():
				return
			}
		}
		j := waiting[at]
		delete(waiting, at)
		if f.c != nil && !f.needed(j) {
			f.drop(j)
			continue
		}
		if cur == nil {
			select {
			case cur = <-f.free:
			case <-f.ctx.Done():
				return
			}
			if err := f.clear(cur); err != nil {
				f.fail(err)
				return
			}
		}
		f.place(cur, j)
		if len(cur.jobs) == f.o.Batch {
			f.send(cur)
			cur = nil
		}
	}
	if cur != nil {
		f.send(cur)
	}
}

// send hands a batch on; never blocks: both channels hold all batches.
func (f *filler) send(b *imageBatch) {
	f.order <- b
	f.ready <- b
}

// clear makes a batch ready to be filled.
func (f *filler) clear(b *imageBatch) error {
	b.jobs = b.jobs[:0]
	if b.images != nil {
		return nil
	}
	if f.feed == nil {
		if err := f.ask(); err != nil {
			return err
		}
	}
	var err error
	if b.images, err = f.memory(b, f.o.Batch*f.pixels); err == nil {
		b.features, err = f.memory(b, f.o.Batch*f.body.Features())
	}
	return err
}

// place gives a job the next slot of a batch and has it decoded into it. In a
// Stream an unreadable file takes a slot too, to be told in its turn.
func (f *filler) place(b *imageBatch, j *job) {
	j.batch, j.slot = b, len(b.jobs)
	b.jobs = append(b.jobs, j)
	if j.err != nil {
		clear(f.image(j))
		f.drop(j)
		return
	}
	b.pending.Add(1)
	f.decode <- j // never blocks: window bounds the jobs, decode holds as many
}

// image is the slot of a job.
func (f *filler) image(j *job) []float32 { return j.batch.images[j.slot*f.pixels:][:f.pixels] }

// needed settles a file that is unreadable, stored or a repeat; any other one
// is to be computed.
func (f *filler) needed(j *job) bool {
	if j.err != nil {
		f.settle(func() { f.unread[j.at] = j.err })
		return false
	}
	f.c.remember(j.item.File, j.digest)
	if f.claimed[j.digest] {
		f.settle(func() { f.repeats = append(f.repeats, j); f.report.Duplicates++ })
		return false
	}
	_, have := f.c.row(j.digest)
	if !have && f.release == nil {
		if err := f.lock(); err != nil {
			f.fail(err)
			return false
		}
		_, have = f.c.row(j.digest) // another process may have had the lock, and the row
	}
	if have {
		f.settle(func() { f.report.Reused++ })
		return false
	}
	f.claimed[j.digest] = true
	return true
}

// drop returns a job's file to the pool and lets another be read.
func (f *filler) drop(j *job) {
	if j.data != nil {
		if cap(*j.data) <= keepBuffer {
			f.buffers.Put(j.data)
		}
		j.data = nil
	}
	f.window <- struct{}{}
}

// settle counts one item as done.
func (f *filler) settle(change func()) {
	f.mu.Lock()
	change()
	f.done++
	f.mu.Unlock()
	f.tell(false)
}

// tell reports progress, at most ten times a second unless it is the end.
func (f *filler) tell(end bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.o.Progress == nil || !end && time.Since(f.told) < 100*time.Millisecond {
		return
	}
	f.told = time.Now()
	f.o.Progress(f.done, len(f.items), f.report.Computed)
}
