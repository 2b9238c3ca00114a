package train

import (
	"context"
	"strings"

	"finetune/head"
	"finetune/internal/failure"
	"finetune/learner/runs"
	"finetune/onnx/artifacts"
	"finetune/onnx/weights"
)

// firstHead is the head that the whole network begins with: a linear one that is fitted on the features of the
// training photographs, or what --load names; nil for one with random weights.
func (tr *training) firstHead(ctx context.Context) (*head.Head, error) {
	switch t := tr.Config.Train; {
	case t.HeadKind() == runs.HeadLinear:
		s, err := tr.With("none", func(im *runs.Images, t *runs.Training) { im.Augment, t.Unfreeze = "none", false })
		if err != nil {
			return nil, err
		}
		o, err := (&training{Setup: s, run: tr.run, features: tr.features, started: tr.started}).trained(ctx, false)
		if err != nil {
			return nil, err
		}
		tr.UI.Say("head       linear, C %g, fitted on the features of the frozen body", o.choice.C)
		return o.model.head, nil
	case t.Load != "":
		h, err := head.New(tr.headConfig())
		if err != nil {
			return nil, failure.Usage(err)
		}
		return h, tr.load(h)
	}
	return nil, nil
}

// keepsHead reports whether the statistics of the head's normalisation stay as they are: a head that was fitted to
// them does not fit those of small batches.
func (tr *training) keepsHead() bool {
	return tr.Config.Train.BNFreeze && tr.Config.Train.HeadKind() == runs.HeadLinear
}

// begin puts h into the network. Its statistics are in the network's files already where they stay.
func (m *fullModel) begin(h *head.Head, stay bool) error {
	values := map[string][]float32{}
	for _, t := range h.State() {
		name := artifacts.HeadPrefix + t.Name
		if stay && strings.Contains(t.Name, ".running_") {
			m.still = append(m.still, weights.Tensor{Name: name, Shape: t.Shape, Data: t.Data})
			continue
		}
		values[name] = t.Data
	}
	return m.trainer.Load(values)
}
