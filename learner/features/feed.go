package features

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"finetune/activations"
	"finetune/internal/digest"
	"finetune/internal/home"
	"finetune/learner/config"
	"finetune/learner/runs"
	"finetune/onnx"
)

// How a GPU is kept busy: while it computes one run, the images of another are
// copied, from memory that it reads by itself, and those of a third are decoded.
// The batch is the smallest at which it is about as fast as it gets, by
// measurement. It is measured once and remembered, since a GPU's features depend
// on it in their last bits: so that they are the same bytes the next time.

// batchSizes are tried in turn.
var batchSizes = []int{16, 32, 64, 128, 256}

// fed is how a session on a device is fed. The zero value is one on a processor,
// which needs nothing.
type fed struct {
	session *onnx.Session // nil: on a processor
	id      string        // of all that the best batch depends on
	pixels  int           // floats an image
	rows    int           // floats a row

	once sync.Once
	best measuredBatch
}

// measuredBatch is what measuring found.
type measuredBatch struct {
	Batch int         `json:"batch"`
	Rates map[int]int `json:"images_per_second"` // by batch
}

// newFed prepares for a session whose network the parts of id name.
func newFed(s *onnx.Session, m runs.Machine, pixels, rows int, id ...string) *fed {
	f := &fed{pixels: pixels, rows: rows}
	if m.HasDevice() && (s.Provider != "CPU" || m.AsDevice) {
		f.session = s
		f.id = digest.Of(append(id, s.Provider, m.Runtime, graphicsCard(), fmt.Sprint(m.NoTF32, pixels, rows))...)
	}
	return f
}

// feed implements activations.Device for the body that runs by run.
func (f *fed) feed(ctx context.Context, run bodyRun) activations.Feed {
	if f.session == nil {
		return activations.Feed{}
	}
	f.once.Do(func() { f.best = f.recall(ctx, run) })
	return activations.Feed{Batch: f.best.Batch, Memory: f.memory}
}

// memory is n floats that the device copies by itself, or any, if it has none left.
func (f *fed) memory(n int) ([]float32, func(), error) {
	h, err := f.session.Floats(n)
	if err != nil {
		return make([]float32, n), func() {}, nil
	}
	return h.Data, h.Close, nil
}

// recall reads what was measured before, or measures and writes it. A folder
// that cannot be written to costs a measurement the next time, no more.
func (f *fed) recall(ctx context.Context, run bodyRun) measuredBatch {
	path := home.Path("batches", f.id+".json")
	var m measuredBatch
	if data, err := os.ReadFile(path); err == nil && json.Unmarshal(data, &m) == nil && m.Batch > 0 &&
		m.Batch <= batchSizes[len(batchSizes)-1] {
		return m
	}
	m = f.measure(ctx, run, batchSizes, 150*time.Millisecond)
	if m.Batch > 0 && ctx.Err() == nil && os.MkdirAll(filepath.Dir(path), 0o777) == nil {
		_ = runs.WriteJSON(path, m)
	}
	return m
}

// bodyRun is activations.Body's Run.
type bodyRun func(ctx context.Context, images []float32, n int, rows []float32) error

// measure runs the body for about so long with each batch, as it will be run,
// and stops where it gets slower or memory ends. A batch of 0 says that none ran.
func (f *fed) measure(ctx context.Context, run bodyRun, sizes []int, long time.Duration) measuredBatch {
	m, most := measuredBatch{Rates: map[int]int{}}, 0
	for _, n := range sizes {
		rate, err := f.rate(ctx, run, n, long)
		if err != nil {
			break
		}
		m.Rates[n], most = rate, max(most, rate)
		if rate*10 < most*9 {
			break
		}
	}
	m.Batch = smallestFast(m.Rates, sizes)
	return m
}

// smallestFast is the smallest batch with 95 % of the highest rate, 0 if there is none.
func smallestFast(rates map[int]int, sizes []int) int {
	most := 0
	for _, r := range rates {
		most = max(most, r)
	}
	for _, n := range sizes {
		if r, ok := rates[n]; ok && 20*r >= 19*most {
			return n
		}
	}
	return 0
}

// rate is images a second in batches of n.
func (f *fed) rate(ctx context.Context, run bodyRun, n int, long time.Duration) (int, error) {
	errs, counts := [config.DeviceRuns]error{}, [config.DeviceRuns]int{}
	var ready, all sync.WaitGroup
	ready.Add(config.DeviceRuns)
	start := make(chan time.Time)
	for k := range config.DeviceRuns {
		all.Go(func() {
			images, free, _ := f.memory(n * f.pixels)
			defer free()
			rows, freeRows, _ := f.memory(n * f.rows)
			defer freeRows()
			errs[k] = run(ctx, images, n, rows) // the first of a size is slow
			ready.Done()
			for begin := <-start; errs[k] == nil && (counts[k] < 2 || time.Since(begin) < long); counts[k]++ {
				errs[k] = run(ctx, images, n, rows)
			}
		})
	}
	ready.Wait()
	begin := time.Now()
	for range config.DeviceRuns {
		start <- begin
	}
	all.Wait()
	runs := 0
	for k, err := range errs {
		if err != nil {
			return 0, err
		}
		runs += counts[k]
	}
	return int(float64(runs*n) / time.Since(begin).Seconds()), nil
}

// graphicsCard is the models of NVIDIA's cards, as their driver names them.
func graphicsCard() string {
	var models []string
	files, _ := filepath.Glob("/proc/driver/nvidia/gpus/*/information")
	for _, path := range files {
		text, _ := os.ReadFile(path)
		for line := range strings.Lines(string(text)) {
			if model, ok := strings.CutPrefix(line, "Model:"); ok {
				models = append(models, strings.TrimSpace(model))
			}
		}
	}
	return strings.Join(models, ", ")
}

// Feed implements activations.Device.
func (b *frozenBody) Feed(ctx context.Context) (activations.Feed, error) {
	if b.fed == nil || b.single {
		return activations.Feed{}, nil
	}
	run := func(ctx context.Context, images []float32, n int, rows []float32) error {
		return runRows(ctx, b.session, images, n, b.size, rows, int64(b.features))
	}
	return b.fed.feed(ctx, run), nil
}

// Feed implements activations.Device.
func (b *prefixBody) Feed(ctx context.Context) (activations.Feed, error) {
	return b.fed.feed(ctx, b.Run), nil
}

// Feed implements activations.Device.
func (u *unopened) Feed(ctx context.Context) (activations.Feed, error) {
	if !u.s.Config.Machine.HasDevice() || u.s.cachedOnly {
		return activations.Feed{}, nil
	}
	b, err := u.open()
	if err != nil {
		return activations.Feed{}, err
	}
	feed, err := b.Feed(ctx)
	if batch, rates := u.s.Fed(); batch > 0 {
		u.s.UI.Say("device     batches of %d; images a second by batch: %v", batch, rates)
	}
	return feed, err
}

// Fed is the batch in which the device takes photographs and how many a second
// it took in each that was tried; 0 for a processor, or if it took none.
func (s *Setup) Fed() (batch int, rates map[int]int) {
	body := s.Session.opened()
	if body == nil || body.fed == nil {
		return 0, nil
	}
	return body.fed.best.Batch, body.fed.best.Rates
}
