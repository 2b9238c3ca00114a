package train

import (
	"context"
	"fmt"
	"os"

	"finetune/learner/features"
	"finetune/learner/runs"
)

// Trial trains as s says on the training photographs of f and returns what comes of it on f's validation photographs:
// log-probabilities [photographs, classes], for the whole network one for each of shares, which is the part of the
// trained weights in those that are measured; the rest are those that training began from. A head has one. It keeps
// nothing.
func Trial(ctx context.Context, s *features.Setup, f *features.Features, shares []float64) ([][]float32, error) {
	quiet := *s
	quiet.UI = runs.Mute{UI: s.UI}
	tr := &training{Setup: &quiet, features: f}
	if !tr.Config.Train.Unfreeze {
		return tr.trialHead(ctx)
	}
	dir, err := os.MkdirTemp("", "finetune-trial-")
	if err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	defer os.RemoveAll(dir)
	t, m, err := tr.newFullFit(ctx, dir, true)
	if err != nil {
		return nil, err
	}
	defer m.Close()
	begin, err := m.Weights()
	if err != nil {
		return nil, err
	}
	show, end := tr.UI.Progress("trial", "steps")
	defer end()
	t.Tick = show
	if err := t.Run(ctx); err != nil {
		return nil, err
	}
	trained, err := m.Weights()
	if err != nil {
		return nil, err
	}
	var out [][]float32
	for _, share := range shares {
		t.Start, t.Config.Mix = begin, share
		if err := m.SetWeights(trained); err != nil {
			return nil, err
		}
		if err := t.Mix(ctx); err != nil {
			return nil, err
		}
		_, logp, err := m.Validate(ctx)
		if err != nil {
			return nil, err
		}
		out = append(out, logp)
	}
	return out, nil
}

// trialHead is Trial of a head. One that begins with a loaded head begins with one that was trained as that was, on
// these photographs.
func (tr *training) trialHead(ctx context.Context) ([][]float32, error) {
	var m *headModel
	var err error
	if tr.Config.Train.HeadKind() == runs.HeadMLP {
		m, err = tr.foldHead(ctx)
	} else {
		var o outcome
		o, err = tr.trained(ctx, false)
		m = o.model
	}
	if err != nil {
		return nil, err
	}
	_, logp, err := m.Validate(ctx)
	return [][]float32{logp}, err
}

// WithoutFold has the training photographs of f that are not in the fold, and those that are to validate on.
func WithoutFold(f *features.Features, of []int, fold int) *features.Features {
	part := &features.Features{}
	for i, it := range f.Train.Items {
		to := &part.Train
		if of[i] == fold {
			to = &part.Valid
		}
		to.Items, to.Rows = append(to.Items, it), append(to.Rows, f.Train.Rows[i])
	}
	return part
}

// Folds are those of the training photographs of f, which compare what they can be trained with.
func Folds(s *features.Setup, f *features.Features) []int {
	tr := &training{Setup: s, features: f}
	return tr.fold(tr.rows())
}
