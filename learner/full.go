package learner

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"finetune/dataset"
	"finetune/finetuning"
	"finetune/head"
	"finetune/internal/failure"
	"finetune/onnx"
	"finetune/onnx/artifacts"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/weights"
)

// Names of what full fine-tuning leaves in a run, besides what a head leaves.
const (
	artifactsDir   = "artifacts"              // the four files that training runs
	bodyFile       = "body.onnx"              // the fine-tuned body, with body.json
	checkpointFile = "checkpoint.safetensors" // every parameter and running statistic
	featuresDir    = "features"               // of the fine-tuned body, while a run is finished
)

// fullModel trains the whole network on photographs, through the artifacts.
type fullModel struct {
	l            *Learner
	trainer      *finetuning.Trainer
	photos       *photoLoader
	train, valid []dataset.Item
	classes      int
	multi        bool

	next []upcoming // what the steps after this one take
}

var _ model = (*fullModel)(nil)

func (m *fullModel) step(ctx context.Context, epoch int, index []int, r rates) (float64, error) {
	images, err := m.photos.take(ctx, epoch, index)
	if err != nil {
		return 0, err
	}
	defer m.photos.give(images)
	m.photos.start(m.next)
	decay := make([]float64, len(r.LR))
	for i := range decay {
		decay[i] = r.Decay
	}
	loss, _, err := m.trainer.Step(images, m.labels(index), finetuning.Rates{Rates: r.LR, Decay: decay, Momentum: r.Momentum, Clip: m.l.Config.Train.Clip})
	return loss, err
}

// prefetch names the photographs that the steps after the current one take.
func (m *fullModel) prefetch(next []upcoming) { m.next = next }

func (m *fullModel) labels(index []int) finetuning.Labels {
	if m.multi {
		return finetuning.Labels{Hot: targets(m.train, index, m.classes)}
	}
	y := make([]int64, len(index))
	for k, i := range index {
		y[k] = int64(m.train[i].Label)
	}
	return finetuning.Labels{Classes: y}
}

// predict runs the evaluation model over the centre views.
func (m *fullModel) predict(ctx context.Context) ([]float32, error) {
	const batch = 32
	out := make([]float32, 0, len(m.valid)*m.classes)
	next := m.photos.centre(ctx, m.valid[:min(batch, len(m.valid))])
	for lo := 0; lo < len(m.valid); lo += batch {
		images, err := next()
		if err != nil {
			return nil, err
		}
		if hi := lo + batch; hi < len(m.valid) {
			next = m.photos.centre(ctx, m.valid[hi:min(hi+batch, len(m.valid))])
		}
		logits, err := m.trainer.Predict(images)
		m.photos.give(images)
		if err != nil {
			return nil, err
		}
		out = append(out, head.LogProbabilities(logits, m.classes, m.multi)...)
	}
	return out, nil
}

// weights are parameters and running statistics; the rest of the trainer's
// state is the optimiser's.
func (m *fullModel) weights() ([]weights.Tensor, error)   { return m.part(false) }
func (m *fullModel) optimiser() ([]weights.Tensor, error) { return m.part(true) }

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

func (m *fullModel) set(list []weights.Tensor) error {
	values := make(map[string][]float32, len(list))
	for _, t := range list {
		values[t.Name] = t.Data
	}
	return m.trainer.Load(values)
}

func (m *fullModel) setOptimiser(list []weights.Tensor) error {
	have, err := m.weights()
	if err != nil {
		return err
	}
	return m.trainer.Restore(append(have, list...))
}

// reestimate passes over the training photographs with all rates 0: the weights
// stay and the running statistics become the mean of the batches', as PyTorch's
// swa_utils.update_bn has it.
func (m *fullModel) reestimate(ctx context.Context, batches [][]int) error {
	m.next = nil // no step follows
	still := rates{LR: make([]float64, len(m.groups()))}
	sums := map[string][]float64{}
	stats, err := m.trainer.Stats()
	if err != nil {
		return err
	}
	for name, v := range stats {
		clear(v)
		sums[name] = make([]float64, len(v))
	}
	for _, index := range batches {
		if err := m.trainer.Load(stats); err != nil { // zeros
			return err
		}
		if _, err := m.step(ctx, 0, index, still); err != nil {
			return err
		}
		fresh := 1 - math.Pow(1-m.l.Config.Train.statMomentum(), float64(m.trainer.Runs(len(index)))) // the step's share after zeros
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
			v[i] = float32(sums[name][i] / float64(len(batches)))
		}
	}
	return m.trainer.Load(stats)
}

// Close frees the trainer and the cache of the prefix.
func (m *fullModel) Close() {
	m.photos.Close()
	m.trainer.Close()
}

func (m *fullModel) groups() []string { return m.trainer.Groups() }

// newFullFit writes the artifacts into dir, unless there are some to go on
// with, and prepares a fit of the whole network, at step 0. Close the model.
func (l *Learner) newFullFit(ctx context.Context, f *Features, dir string, fresh bool) (*fit, *fullModel, error) {
	c := l.Config.Train
	if err := c.Check(); err != nil {
		return nil, nil, err
	}
	if fresh {
		if err := l.writeArtifacts(dir, f.Train.Len()+f.Valid.Len()); err != nil {
			return nil, nil, err
		}
	}
	options, err := l.headOptions(f.Train)
	if err != nil {
		return nil, nil, err
	}
	t, err := finetuning.Open(dir, finetuning.Options{
		Seed: c.Seed, Threads: l.Config.Machine.Threads, Device: l.Config.Machine.Device, MicroBatch: c.MicroBatch,
		Exact: l.Config.Machine.NoTF32, ClassWeights: options.Loss.Weights, LabelSmoothing: float32(c.Smoothing),
	})
	if err != nil {
		return nil, nil, err
	}
	m := &fullModel{
		l: l, trainer: t, train: f.Train.items, valid: f.Valid.items, classes: len(l.Set.Classes), multi: l.Set.Multi,
		photos: newPhotoLoader(l, f.Train.items, t.Memory),
	}
	if m.photos.prefix, err = l.openPrefix(ctx, dir, t.Manifest, slices.Concat(m.train, m.valid)); err != nil {
		t.Close()
		return nil, nil, err
	}
	batches := head.Batches(len(m.train), c.BatchSize)
	sched, err := newSchedule(c, batches)
	if err == nil {
		err = l.checkFull(m)
	}
	if err != nil {
		m.Close()
		return nil, nil, failure.Usage(err)
	}
	return &fit{config: l.fullRates(m), multi: l.Set.Multi, classes: m.classes, train: m.train, valid: m.valid, model: m, sched: sched, batches: batches}, m, nil
}

// fullRates is the training configuration with a rate for each group.
func (l *Learner) fullRates(m *fullModel) Training {
	c := l.Config.Train
	if len(c.LRs) == 0 {
		c.LRs = groupRates(c.LR, m.trainer.Manifest.Frozen+len(m.groups()))
	}
	return c
}

// groupRates are the lesson's: rate for the head, which is the last group, and
// from a hundredth of it to a tenth for the body's groups, in equal ratios.
func groupRates(rate float64, groups int) []float64 {
	rates, last := make([]float64, groups), groups-2
	for k := range last + 1 {
		power := 1.0
		if last > 0 {
			power = 2 - float64(k)/float64(last)
		}
		rates[k] = rate / math.Pow(10, power)
	}
	rates[groups-1] = rate
	return rates
}

// layerGroups are the body up to its features and the layer groups of it.
func (l *Learner) layerGroups() (*graph.Model, []artifacts.Group, error) {
	features, err := l.wellFormed()
	if err != nil {
		return nil, nil, err
	}
	groups, err := finetuning.Groups(features, l.Body.Spec)
	return features, groups, err
}

// checkFull refuses rates that do not fit the groups, and a batch that would
// not fit the memory.
func (l *Learner) checkFull(m *fullModel) error {
	all, rates := m.trainer.Manifest.Frozen+len(m.groups()), len(l.fullRates(m).LRs)
	if rates != 1 && rates < len(m.groups()) || rates > all {
		return fmt.Errorf("learner: %d rates for the layer groups %s; give one rate, or one for each", rates, strings.Join(m.groups(), ", "))
	}
	batch := l.Config.Train.BatchSize
	if micro := l.Config.Train.MicroBatch; micro > 0 {
		batch = min(batch, micro)
	}
	manifest := m.trainer.Manifest
	l.ui.Say("memory     about %.1f GB for a step of %d photographs", float64(finetuning.Memory(manifest, batch))/1e9, batch)
	return finetuning.CheckMemory(manifest, batch, finetuning.Available())
}

func (l *Learner) writeArtifacts(dir string, photographs int) error {
	o, err := l.artifactOptions(len(l.Set.Classes), l.Set.Multi)
	if err != nil {
		return err
	}
	if err := l.cutPrefix(&o, photographs); err != nil {
		return err
	}
	_, err = artifacts.Write(dir, o)
	return err
}

// WriteArtifacts writes the files of full fine-tuning for a configuration's body
// and a head of so many classes; portable ones run on any processor.
func WriteArtifacts(dir string, c Config, classes int, multi, portable bool, ui UI) (artifacts.Manifest, error) {
	c.Images.Augment, c.Images.MaxZoom = "none", 1
	l := &Learner{Config: c, ui: ui}
	if err := l.openBody(); err != nil {
		return artifacts.Manifest{}, err
	}
	o, err := l.artifactOptions(classes, multi)
	if err != nil {
		return artifacts.Manifest{}, err
	}
	if portable {
		o.Block = 0
	}
	return artifacts.Write(dir, o)
}

// artifactOptions describe the network. For the CPU they name its kernels' block.
func (l *Learner) artifactOptions(classes int, multi bool) (artifacts.Options, error) {
	c := l.Config.Train
	features, groups, err := l.layerGroups()
	if err != nil {
		return artifacts.Options{}, err
	}
	hc, err := l.headConfig(l.Body.Spec.Features())
	if err != nil {
		return artifacts.Options{}, err
	}
	var block int64
	if !onnx.Accelerated(l.Config.Machine.Device) {
		if block, err = onnx.BlockSize(); err != nil {
			return artifacts.Options{}, err
		}
	}
	return artifacts.Options{
		Block: block,
		Body:  features, Groups: groups, FreezeTo: c.FreezeTo, FreezeBN: c.BNFreeze, Momentum: c.statMomentum(), Size: l.Config.Images.Size, Optimizer: c.Optimiser, Decoupled: c.Decoupled, Multi: multi,
		Head: artifacts.Head{Hidden: hc.Hidden, Drop: hc.Drop, Classes: classes, Seed: hc.Seed},
	}, nil
}

// TrainAll fine-tunes the whole network into the run's folder. With a saved
// state in the folder it goes on from there.
func (l *Learner) TrainAll(ctx context.Context, r *Run, f *Features, started time.Time) (*Summary, error) {
	begin := time.Now()
	_, err := os.Stat(r.Path(stateFile))
	t, m, err := l.newFullFit(ctx, f, r.Path(artifactsDir), err != nil)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	l.ui.Say("groups     %s", strings.Join(m.groups(), ", "))
	if l.Config.Train.Load != "" {
		if err := l.loadFull(m, r); err != nil {
			return nil, err
		}
	}
	if err := l.resume(r, t); err != nil {
		return nil, err
	}
	save := func(path string) error {
		h, err := l.headOf(m)
		if err != nil {
			return err
		}
		return l.saveHead(path, h)
	}
	if err := l.runFit(ctx, r, t, save); err != nil {
		return nil, err
	}
	return l.finishFull(ctx, r, f, t, m, Seconds{Precompute: f.Seconds, Train: time.Since(begin).Seconds()}, started)
}

// loadFull starts the head from a trained one.
func (l *Learner) loadFull(m *fullModel, run *Run) error {
	hc, err := l.headConfig(l.Body.Spec.Features())
	if err != nil {
		return err
	}
	h, err := head.New(hc)
	if err != nil {
		return failure.Usage(err)
	}
	if err := l.load(h, run); err != nil {
		return err
	}
	values := map[string][]float32{}
	for _, t := range h.State() {
		values[artifacts.HeadPrefix+t.Name] = t.Data
	}
	return m.trainer.Load(values)
}

// headOf is the head inside the network.
func (l *Learner) headOf(m *fullModel) (*head.Head, error) {
	hc, err := l.headConfig(l.Body.Spec.Features())
	if err != nil {
		return nil, err
	}
	h, err := head.New(hc)
	if err != nil {
		return nil, err
	}
	all, err := m.weights()
	if err != nil {
		return nil, err
	}
	return h, h.Restore(fromFile(within(artifacts.HeadPrefix, all)))
}

// finishFull writes the fine-tuned body beside the run and lets the frozen
// path, with that body, make everything else a run leaves.
func (l *Learner) finishFull(ctx context.Context, r *Run, f *Features, t *fit, m *fullModel, s Seconds, started time.Time) (*Summary, error) {
	body, err := l.writeBody(r.Path(bodyFile), m)
	if err != nil {
		return nil, err
	}
	all, err := m.weights()
	if err != nil {
		return nil, err
	}
	if err := writeTensors(r.Path(checkpointFile), all, map[string]string{"finetune.body": l.Config.Body.Name}); err != nil {
		return nil, err
	}
	h, err := l.headOf(m)
	if err != nil {
		return nil, err
	}
	tuned := *l
	tuned.Body, tuned.frozen = body, nil
	tuned.Config.Body.Name, tuned.Config.Body.Digest, tuned.Config.Body.File = body.Spec.Name, body.Spec.Digest, body.Path
	tuned.Config.Machine.Cache = r.Path(featuresDir)
	defer os.RemoveAll(r.Path(featuresDir))
	defer tuned.Close()
	after, err := tuned.Precompute(ctx)
	if err != nil {
		return nil, err
	}
	after.Skipped = f.Skipped
	frozen := &headModel{head: h, valid: after.Valid, classes: m.classes, multi: m.multi}
	return tuned.finish(ctx, r, after, t, frozen, s, started)
}

// writeBody writes the body with the trained parameters and statistics.
func (l *Learner) writeBody(path string, m *fullModel) (bodies.Body, error) {
	model, err := graph.Read(l.Body.Path)
	if err != nil {
		return bodies.Body{}, err
	}
	model.Untie()
	all, err := m.trainer.Weights()
	if err != nil {
		return bodies.Body{}, err
	}
	values := map[string][]float32{}
	for name, v := range all {
		if !strings.HasPrefix(name, artifacts.HeadPrefix) {
			values[name] = v
		}
	}
	if err := model.UpdateInitializers(values); err != nil {
		return bodies.Body{}, err
	}
	if err := model.Write(path); err != nil {
		return bodies.Body{}, err
	}
	spec := l.Body.Spec
	spec.Source = fmt.Sprintf("fine-tuned from %s %.12s", spec.Name, spec.Digest)
	spec.Name = strings.TrimSuffix(spec.Name, tunedSuffix) + tunedSuffix
	if spec.Digest, err = model.Digest(); err != nil {
		return bodies.Body{}, err
	}
	return bodies.Body{Path: path, Spec: spec}, bodies.WriteSpec(bodies.SpecPath(path), spec)
}

const tunedSuffix = "-tuned"

// tunedBody is the path of a run's own body, "" if it kept the one it was given.
func tunedBody(run string) string {
	path := filepath.Join(run, bodyFile)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
