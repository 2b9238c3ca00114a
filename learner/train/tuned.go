package train

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"finetune/head"
	"finetune/learner/fit"
	"finetune/learner/runs"
	"finetune/onnx/artifacts"
	"finetune/onnx/bodies"
	"finetune/onnx/forms"
	"finetune/onnx/surgery"
)

// headOf is the head inside the network.
func (tr *training) headOf(m *fullModel) (*head.Head, error) {
	h, err := head.New(tr.headConfig())
	if err != nil {
		return nil, err
	}
	all, err := m.Weights()
	if err != nil {
		return nil, err
	}
	return h, h.Restore(runs.HeadTensors(runs.WithoutPrefix(artifacts.HeadPrefix, all)))
}

// finishFull writes the fine-tuned body beside the run and lets the frozen
// path, with that body, make everything else a run leaves.
func (tr *training) finishFull(ctx context.Context, t *fit.Fit, m *fullModel,
	took time.Duration) (*runs.Summary, error) {
	r := tr.run
	body, err := tr.writeBody(r.Path(runs.BodyFile), m)
	if err != nil {
		return nil, err
	}
	all, err := m.Weights()
	if err != nil {
		return nil, err
	}
	if err := runs.WriteTensors(r.Path(runs.CheckpointFile), all,
		map[string]string{"finetune.body": tr.Config.Body.Name}); err != nil {
		return nil, err
	}
	h, err := tr.headOf(m)
	if err != nil {
		return nil, err
	}
	tuned := tr.Tuned(body, r.Path(runs.FeaturesDir))
	defer os.RemoveAll(r.Path(runs.FeaturesDir))
	defer tuned.Close()
	after, err := tuned.Precompute(ctx)
	if err != nil {
		return nil, err
	}
	after.Skipped, after.Seconds = tr.features.Skipped, tr.features.Seconds
	frozen := &headModel{head: h, rows: &inMemory{valid: after.Valid, classes: m.classes, multi: m.multi}}
	_, logp, err := frozen.Validate(ctx) // heads of folds would stand on a body that has seen their photographs
	if err != nil {
		return nil, err
	}
	return (&training{Setup: tuned, run: r, features: after, started: tr.started}).finish(ctx,
		outcome{fit: t, model: frozen, held: &heldOut{after.Valid.Items, logp, true}}, took)
}

// writeBody writes the body with the trained parameters and statistics.
func (tr *training) writeBody(path string, m *fullModel) (bodies.Body, error) {
	model, err := forms.Read(tr.Body.Path)
	if err != nil {
		return bodies.Body{}, err
	}
	surgery.UnshareInitializers(model)
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
	spec := tr.Body.Spec
	spec.Source = fmt.Sprintf("fine-tuned from %s %.12s", spec.Name, spec.Digest)
	spec.Name = strings.TrimSuffix(spec.Name, tunedSuffix) + tunedSuffix
	if spec.Digest, err = model.Digest(); err != nil {
		return bodies.Body{}, err
	}
	return bodies.Body{Path: path, Spec: spec}, bodies.WriteSpec(bodies.SpecPath(path), spec)
}

const tunedSuffix = "-tuned"
