package train

import (
	"context"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"finetune/head"
	"finetune/internal/plural"
	"finetune/learner/features"
	"finetune/learner/fit"
	"finetune/learner/runs"
	"finetune/logistic"
)

// folds of the training photographs compare heads and penalties.
const folds = 5

// trained trains the head that the configuration asks for, and says which it is
// where that was a choice. With keep it shows and saves its progress in the run.
func (tr *training) trained(ctx context.Context, keep bool) (*fit.Fit, *headModel, *runs.HeadChoice, error) {
	choice := &runs.HeadChoice{Kind: tr.Config.Train.HeadKind()}
	if choice.Kind == runs.HeadAuto {
		if err := tr.choose(ctx, choice); err != nil {
			return nil, nil, nil, err
		}
	}
	if choice.Kind == runs.HeadLinear {
		t, m, err := tr.fitLinear(ctx, choice, keep)
		return t, m, choice, err
	}
	if choice.OutOfFold == nil {
		choice = nil
	}
	t, m, err := tr.startFit(ctx)
	switch {
	case err != nil:
	case !keep:
		err = t.Run(ctx)
	default:
		if err = tr.resume(t); err == nil {
			err = tr.runFit(ctx, t, func(path string) error { return tr.saveHead(path, m.head) })
		}
	}
	return t, m, choice, err
}

// choose takes the head with the lower log loss on training photographs that it was
// not trained on. The validation photographs have no part in it.
func (tr *training) choose(ctx context.Context, choice *runs.HeadChoice) error {
	d := tr.rows()
	linear, c, err := tr.linearOutOfFold(ctx, d)
	if err != nil {
		return err
	}
	mlp, err := tr.mlpOutOfFold(ctx, d)
	if err != nil {
		return err
	}
	choice.OutOfFold = &runs.OutOfFold{Folds: folds, MLP: stat.Mean(d.Losses(mlp), nil),
		Linear: stat.Mean(d.Losses(linear), nil)}
	choice.Kind = runs.HeadMLP
	if choice.OutOfFold.Linear < choice.OutOfFold.MLP {
		choice.Kind, choice.C = runs.HeadLinear, c
	}
	tr.UI.Say("head       %s, chosen by log loss on training photographs left out: linear %.4f, mlp %.4f", choice.Kind,
		choice.OutOfFold.Linear, choice.OutOfFold.MLP)
	return nil
}

// rows are the training photographs' centre views and labels.
func (tr *training) rows() logistic.Data {
	s := tr.features.Train
	d := logistic.Data{Rows: s.Rows, Classes: len(tr.Set.Classes), Multi: tr.Set.Multi}
	if d.Multi {
		d.Targets = runs.Targets(s.Items, runs.Indices(len(s.Items)), d.Classes)
		return d
	}
	d.Labels = runs.Labels(s.Items)
	if tr.Config.Train.Balance == "weights" {
		for _, w := range head.ClassWeights(d.Labels, d.Classes) {
			d.Weights = append(d.Weights, float64(w))
		}
	}
	return d
}

// fold is the fold of each training photograph.
func (tr *training) fold(d logistic.Data) []int {
	return logistic.Folds(len(d.Rows), d.Labels, min(folds, len(d.Rows)), tr.Config.Train.Seed)
}

// linearOutOfFold are log-probabilities of linear heads, and their C.
func (tr *training) linearOutOfFold(ctx context.Context, d logistic.Data) ([]float32, float64, error) {
	logp, err := logistic.OutOfFold(ctx, d, logistic.Strengths, tr.fold(d))
	if err != nil {
		return nil, 0, err
	}
	losses := make([][]float64, len(logp))
	for i := range logp {
		losses[i] = d.Losses(logp[i])
	}
	best := logistic.Choose(losses, logistic.Usual)
	return logp[best], logistic.Strengths[best], nil
}

// mlpOutOfFold are log-probabilities of heads that train as the configuration says.
func (tr *training) mlpOutOfFold(ctx context.Context, d logistic.Data) ([]float32, error) {
	of, out := tr.fold(d), make([]float32, len(d.Rows)*d.Classes)
	for fold := range slices.Max(of) + 1 {
		f := &features.Features{}
		for i, item := range tr.features.Train.Items {
			to := &f.Train
			if of[i] == fold {
				to = &f.Valid
			}
			to.Items, to.Rows = append(to.Items, item), append(to.Rows, d.Rows[i])
		}
		t, m, err := (&training{Setup: tr.Setup, features: f, started: tr.started}).newFit(ctx)
		if err != nil {
			return nil, err
		}
		if err := t.Run(ctx); err != nil {
			return nil, err
		}
		logp, err := m.Predict(ctx)
		if err != nil {
			return nil, err
		}
		logistic.Scatter(out, logp, of, fold, d.Classes)
	}
	return out, nil
}

// fitLinear fits a linear head. It takes less time than a checkpoint is worth: an
// interrupted run begins it again.
func (tr *training) fitLinear(ctx context.Context, choice *runs.HeadChoice, keep bool) (*fit.Fit, *headModel, error) {
	begin, d := time.Now(), tr.rows()
	if choice.C == 0 {
		var err error
		if _, choice.C, err = tr.linearOutOfFold(ctx, d); err != nil {
			return nil, nil, err
		}
	}
	d, copies, err := tr.withViews(ctx, d)
	if err != nil {
		return nil, nil, err
	}
	fitted, err := logistic.Fit(ctx, d, choice.C/float64(copies))
	if err != nil {
		return nil, nil, err
	}
	linear := *tr
	linear.kind = runs.HeadLinear
	t, m, err := linear.newFit(ctx)
	if err != nil {
		return nil, nil, err
	}
	if err := m.head.Restore(linearTensors(fitted)); err != nil {
		return nil, nil, err
	}
	logp, err := m.Predict(ctx)
	if err != nil {
		return nil, nil, err
	}
	score := runs.Measure(logp, tr.features.Valid.Items, d.Classes, d.Multi)
	loss := fitted.Loss
	if d.Multi {
		loss /= float64(d.Classes)
	}
	row := runs.Epoch{LR: []float64{0}, TrainLoss: loss, ValidLoss: score.Loss, Accuracy: score.Accuracy,
		Seconds: time.Since(begin).Seconds()}
	t.History, t.Done = []runs.Epoch{row}, true
	if keep {
		tr.UI.Say("head       linear, C %g, converged in %s", choice.C, plural.Count(fitted.Iterations, "iteration"))
		tr.header()
		tr.row(row)
	}
	return t, m, nil
}

// withViews adds the augmented views of the training photographs, where the
// configuration asks for augmentation, and says how many rows each has.
func (tr *training) withViews(ctx context.Context, d logistic.Data) (logistic.Data, int, error) {
	if tr.Config.Images.Augment == "none" {
		return d, 1, nil
	}
	all, n := d, len(d.Rows)
	all.Rows = slices.Clone(d.Rows)
	for k := range tr.Config.Images.Views {
		rows, err := tr.AugmentedRows(ctx, tr.features.Train.Items, k)
		if err != nil {
			return d, 0, err
		}
		all.Rows = append(all.Rows, rows...)
	}
	copies := len(all.Rows) / n
	all.Labels, all.Targets = slices.Repeat(d.Labels, copies), slices.Repeat(d.Targets, copies)
	return all, copies, nil
}

// linearTensors are the tensors of a head without hidden layers.
func linearTensors(m *logistic.Model) []head.Tensor {
	features, classes := len(m.Mean), len(m.Bias)
	wide, ones := []int64{int64(features)}, slices.Repeat([]float32{1}, features)
	return []head.Tensor{
		{Name: "0.weight", Shape: wide, Data: ones},
		{Name: "0.bias", Shape: wide, Data: make([]float32, features)},
		{Name: "0.running_mean", Shape: wide, Data: m.Mean},
		{Name: "0.running_var", Shape: wide, Data: m.Variance},
		{Name: "1.weight", Shape: []int64{int64(classes), int64(features)}, Data: m.Weight},
		{Name: "1.bias", Shape: []int64{int64(classes)}, Data: m.Bias},
	}
}
