package train

import (
	"context"
	"fmt"
	"iter"
	"math"
	"os"
	"slices"
	"strings"
	"time"

	"finetune/dataset"
	"finetune/finetuning"
	"finetune/head"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/batches"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/learner/runs"
	"finetune/onnx/weights"
)

// fullModel trains the whole network on photographs, through the artifacts.
type fullModel struct {
	setup        *features.Setup
	trainer      *finetuning.Trainer
	photos       *batches.Loader
	train, valid []dataset.Item
	classes      int
	multi        bool

	still []weights.Tensor // statistics of the head that do not train
	next  []fit.NextBatch  // what the steps after this one take
}

var _ fit.Model = (*fullModel)(nil)

func (m *fullModel) Step(ctx context.Context, epoch int, index []int, r fit.Rates) (float64, error) {
	images, err := m.photos.Take(ctx, epoch, index)
	if err != nil {
		return 0, err
	}
	defer m.photos.Give(images)
	m.photos.Start(m.next)
	decay := make([]float64, len(r.LR))
	for i := range decay {
		decay[i] = r.Decay
	}
	loss, _, err := m.trainer.Step(images, m.labels(index),
		finetuning.Rates{Rates: r.LR, Decay: decay, Momentum: r.Momentum, Clip: m.setup.Config.Train.Clip})
	return loss, err
}

// Prefetch names the photographs that the steps after the current one take.
func (m *fullModel) Prefetch(next []fit.NextBatch) { m.next = next }

func (m *fullModel) labels(index []int) finetuning.Labels {
	if m.multi {
		return finetuning.Labels{Hot: runs.Targets(m.train, index, m.classes)}
	}
	y := make([]int64, len(index))
	for k, i := range index {
		y[k] = int64(m.train[i].Label)
	}
	return finetuning.Labels{Classes: y}
}

// Validate implements fit.Model.
func (m *fullModel) Validate(ctx context.Context) (runs.Score, []float32, error) {
	logp, err := m.Predict(ctx)
	if err != nil {
		return runs.Score{}, nil, err
	}
	return runs.Measure(logp, m.valid, m.classes, m.multi), logp, nil
}

// Predict runs the evaluation model over the centre views.
func (m *fullModel) Predict(ctx context.Context) ([]float32, error) {
	const batch = 32
	out := make([]float32, 0, len(m.valid)*m.classes)
	next := m.photos.Centre(ctx, m.valid[:min(batch, len(m.valid))])
	for lo := 0; lo < len(m.valid); lo += batch {
		images, err := next()
		if err != nil {
			return nil, err
		}
		if hi := lo + batch; hi < len(m.valid) {
			next = m.photos.Centre(ctx, m.valid[hi:min(hi+batch, len(m.valid))])
		}
		logits, err := m.trainer.Predict(images)
		m.photos.Give(images)
		if err != nil {
			return nil, err
		}
		out = append(out, head.LogProbabilities(logits, m.classes, m.multi)...)
	}
	return out, nil
}

// Weights are parameters and running statistics; the rest of the trainer's
// state is the optimiser's.
func (m *fullModel) Weights() ([]weights.Tensor, error) {
	list, err := m.part(false)
	return append(list, m.still...), err
}

func (m *fullModel) Optimiser() ([]weights.Tensor, error) { return m.part(true) }

func (m *fullModel) part(optimiser bool) ([]weights.Tensor, error) {
	known, err := m.trainer.Weights()
	if err != nil {
		return nil, err
	}
	state, err := m.trainer.State()
	return slices.DeleteFunc(state, func(t weights.Tensor) bool {
		_, isWeight := known[t.Name]
		return isWeight == optimiser
	}), err
}

func (m *fullModel) SetWeights(list []weights.Tensor) error {
	values := make(map[string][]float32, len(list))
	for _, t := range list {
		values[t.Name] = t.Data
	}
	for _, t := range m.still {
		delete(values, t.Name)
	}
	return m.trainer.Load(values)
}

func (m *fullModel) SetOptimiser(list []weights.Tensor) error {
	have, err := m.part(false)
	if err != nil {
		return err
	}
	return m.trainer.Restore(append(have, list...))
}

// Reestimate passes over the training photographs with all rates 0: the weights
// stay and the running statistics become the mean of the batches', as PyTorch's
// swa_utils.update_bn has it.
func (m *fullModel) Reestimate(ctx context.Context, parts iter.Seq[[]int]) error {
	m.next = nil // no step follows
	if len(m.trainer.Manifest.Stats) == 0 {
		return nil
	}
	still := fit.Rates{LR: make([]float64, len(m.Groups()))}
	sums := map[string][]float64{}
	stats, err := m.trainer.Stats()
	if err != nil {
		return err
	}
	for name, v := range stats {
		clear(v)
		sums[name] = make([]float64, len(v))
	}
	n := 0
	for index := range parts {
		n++
		if err := m.trainer.Load(stats); err != nil { // zeros
			return err
		}
		if _, err := m.Step(ctx, 0, index, still); err != nil {
			return err
		}
		// the step's share after zeros
		fresh := 1 - math.Pow(1-m.setup.Config.Train.StatMomentum(), float64(m.trainer.Runs(len(index))))
		moved, err := m.trainer.Stats()
		if err != nil {
			return err
		}
		for name, v := range moved {
			for i := range v {
				sums[name][i] += float64(v[i]) / fresh
			}
		}
	}
	for name, v := range stats {
		for i := range v {
			v[i] = float32(sums[name][i] / float64(n))
		}
	}
	return m.trainer.Load(stats)
}

// Close frees the trainer and the cache of the prefix.
func (m *fullModel) Close() {
	m.photos.Close()
	m.trainer.Close()
}

func (m *fullModel) Groups() []string { return m.trainer.Groups() }

// newFullFit writes the artifacts into dir, unless there are some to continue
// with, and prepares a fit of the whole network, at step 0. Close the model.
func (tr *training) newFullFit(ctx context.Context, dir string, fresh bool) (*fit.Fit, *fullModel, error) {
	c, f := tr.Config.Train, tr.features
	begin, err := tr.firstHead(ctx)
	if err != nil {
		return nil, nil, err
	}
	if fresh {
		if err := tr.writeArtifacts(dir, f.Train.Len()+f.Valid.Len(), begin); err != nil {
			return nil, nil, err
		}
	}
	options, err := tr.headOptions(f.Train.Items)
	if err != nil {
		return nil, nil, err
	}
	trainer, err := finetuning.Open(dir, finetuning.Options{
		Seed: c.Seed, Threads: tr.Config.Machine.Threads, Device: tr.Config.Machine.Device, MicroBatch: c.MicroBatch,
		NoTF32: tr.Config.Machine.NoTF32, ClassWeights: options.Loss.Weights, LabelSmoothing: float32(c.Smoothing),
	})
	if err != nil {
		return nil, nil, err
	}
	m := &fullModel{
		setup: tr.Setup, trainer: trainer, train: f.Train.Items, valid: f.Valid.Items, classes: len(tr.Set.Classes),
		multi:  tr.Set.Multi,
		photos: batches.New(tr.Setup, f.Train.Items, trainer.Memory),
	}
	if m.photos.Prefix, err = tr.OpenPrefix(ctx, dir, trainer.Manifest, slices.Concat(m.train, m.valid)); err != nil {
		trainer.Close()
		return nil, nil, err
	}
	steps := head.Batches(len(m.train), c.BatchSize)
	sched, err := fit.NewSchedule(c, steps)
	if err == nil {
		err = tr.checkFull(m)
	}
	if err != nil {
		m.Close()
		return nil, nil, failure.Usage(err)
	}
	t := &fit.Fit{Config: tr.fullRates(m), Draw: fit.Shuffled(c, m.train, m.classes), Model: m, Schedule: sched,
		Batches: steps}
	if begin != nil {
		err = m.begin(begin, tr.keepsHead())
	}
	if err == nil && c.Mixes() {
		t.Start, err = m.Weights()
	}
	if err != nil {
		m.Close()
		return nil, nil, err
	}
	return t, m, nil
}

// fullRates is the training configuration with a rate for each group.
func (tr *training) fullRates(m *fullModel) runs.Training {
	return fit.WithGroupRates(tr.Config.Train, m.trainer.Manifest.Frozen+len(m.Groups()), m.Groups())
}

// checkFull refuses rates that do not fit the groups, and a batch that would
// not fit the memory.
func (tr *training) checkFull(m *fullModel) error {
	all, rates := m.trainer.Manifest.Frozen+len(m.Groups()), len(tr.fullRates(m).LRs)
	if rates != 1 && rates < len(m.Groups()) || rates > all {
		return fmt.Errorf("learner: %s for the layer groups %s; give one rate, or one for each", plural.Count(rates, "rate"),
			strings.Join(m.Groups(), ", "))
	}
	batch := tr.Config.Train.BatchSize
	if micro := tr.Config.Train.MicroBatch; micro > 0 {
		batch = min(batch, micro)
	}
	manifest := m.trainer.Manifest
	tr.UI.Say("memory     about %.1f GB for a step of %s", float64(finetuning.Memory(manifest, batch))/1e9,
		plural.Count(batch, "photograph"))
	return finetuning.CheckMemory(manifest, batch, finetuning.Available())
}

// Network fine-tunes the whole network into the run's folder. With a saved
// state in the folder it continues from there. Errors are as for Head.
func Network(ctx context.Context, s *features.Setup, r *runs.Run, f *features.Features,
	started time.Time) (*runs.Summary, error) {
	if err := s.Config.Validate(); err != nil {
		return nil, err
	}
	tr, begin := &training{Setup: s, run: r, features: f, started: started}, time.Now()
	_, err := os.Stat(r.Path(runs.StateFile))
	t, m, err := tr.newFullFit(ctx, r.Path(runs.ArtifactsDir), err != nil)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	tr.UI.Say("groups     %s", strings.Join(m.Groups(), ", "))
	if err := tr.resume(t); err != nil {
		return nil, err
	}
	save := func(path string) error {
		h, err := tr.headOf(m)
		if err != nil {
			return err
		}
		return tr.saveHead(path, h)
	}
	if err := tr.runFit(ctx, t, save); err != nil {
		return nil, err
	}
	if c := tr.Config.Train; c.Mixes() {
		way := fmt.Sprintf("%g of the way", c.Mix)
		if c.Mix == 0.5 {
			way = "half way"
		}
		tr.UI.Say("kept       %s from the first weights to the fine-tuned ones", way)
	}
	return tr.finishFull(ctx, t, m, time.Since(begin))
}
