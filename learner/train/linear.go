package train

import (
	"context"
	"slices"
	"time"

	"gonum.org/v1/gonum/stat"

	"finetune/head"
	"finetune/internal/plural"
	"finetune/learner/fit"
	"finetune/learner/runs"
	"finetune/logistic"
)

// folds of the training photographs compare heads and penalties.
const folds = 5

// FoldsOfTraining is the number of Folds.
const FoldsOfTraining = folds

// outcome is a trained head.
type outcome struct {
	fit    *fit.Fit
	model  *headModel
	choice *runs.HeadChoice // nil where there was none
	held   *heldOut         // nil: not computed yet
}

// trained trains the head that the configuration asks for, and says which it is
// where that was a choice. With keep it shows and saves its progress in the run.
func (tr *training) trained(ctx context.Context, keep bool) (o outcome, err error) {
	o.choice = &runs.HeadChoice{Kind: tr.Config.Train.HeadKind()}
	if o.choice.Kind == runs.HeadAuto {
		if o.held, err = tr.choose(ctx, o.choice); err != nil {
			return o, err
		}
	}
	if o.choice.Kind == runs.HeadLinear {
		return o, tr.fitLinear(ctx, &o, keep)
	}
	if o.choice.OutOfFold == nil {
		o.choice = nil
	}
	o.fit, o.model, err = tr.startFit(ctx)
	switch {
	case err != nil:
	case !keep:
		err = o.fit.Run(ctx)
	default:
		if err = tr.resume(o.fit); err == nil {
			err = tr.runFit(ctx, o.fit, func(path string) error { return tr.saveHead(path, o.model.head) })
		}
	}
	return o, err
}

// choose takes the head with the lower log loss on training photographs that it was
// not trained on, and returns its predictions of those. The validation photographs have no part in it.
func (tr *training) choose(ctx context.Context, choice *runs.HeadChoice) (*heldOut, error) {
	d := tr.rows()
	linear, c, err := tr.linearOutOfFold(ctx, d)
	if err != nil {
		return nil, err
	}
	mlp, _, err := tr.mlpOutOfFold(ctx, d, len(d.Rows))
	if err != nil {
		return nil, err
	}
	choice.OutOfFold = &runs.OutOfFold{Folds: folds, MLP: stat.Mean(d.Losses(mlp), nil),
		Linear: stat.Mean(d.Losses(linear), nil)}
	choice.Kind = runs.HeadMLP
	chosen := mlp
	if choice.OutOfFold.Linear < choice.OutOfFold.MLP {
		choice.Kind, choice.C, chosen = runs.HeadLinear, c, linear
	}
	tr.UI.Say("head       %s, chosen by log loss on training photographs left out: linear %.4f, mlp %.4f", choice.Kind,
		choice.OutOfFold.Linear, choice.OutOfFold.MLP)
	return &heldOut{items: tr.features.Train.Items, logp: chosen}, nil
}

// rows are the training photographs' centre views and labels.
func (tr *training) rows() logistic.Data {
	d := tr.features.Train.Data(len(tr.Set.Classes), tr.Set.Multi)
	if !d.Multi && tr.Config.Train.Balance == "weights" {
		for _, w := range head.ClassWeights(d.Labels, d.Classes) {
			d.Weights = append(d.Weights, float64(w))
		}
	}
	return d
}

// fold is the fold of each training photograph. Groups that the split keeps together stay so, where that leaves each
// fold every class.
func (tr *training) fold(d logistic.Data) []int {
	if groups := tr.Together; len(groups) == len(d.Rows) && len(groups) > 0 {
		if of := logistic.GroupedFolds(groups, d.Labels, folds, tr.Config.Train.Seed); of != nil {
			return of
		}
		tr.UI.Warn("folds of the training photographs do not keep groups together, because one holds a whole class")
	}
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

// fitLinear fits a linear head. It takes less time than a checkpoint is worth: an
// interrupted run begins it again.
func (tr *training) fitLinear(ctx context.Context, o *outcome, keep bool) error {
	begin, d, choice := time.Now(), tr.rows(), o.choice
	if choice.C == 0 {
		logp, c, err := tr.linearOutOfFold(ctx, d)
		if err != nil {
			return err
		}
		choice.C, o.held = c, &heldOut{items: tr.features.Train.Items, logp: logp}
	}
	d, copies, err := tr.withViews(ctx, d)
	if err != nil {
		return err
	}
	fitted, err := logistic.Fit(ctx, d, choice.C/float64(copies))
	if err != nil {
		return err
	}
	linear := *tr
	linear.kind = runs.HeadLinear
	t, m, err := linear.newFit(ctx)
	if err != nil {
		return err
	}
	if err := m.head.Restore(linearTensors(fitted)); err != nil {
		return err
	}
	score, _, err := m.Validate(ctx)
	if err != nil {
		return err
	}
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
	o.fit, o.model = t, m
	return nil
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
