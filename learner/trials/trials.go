// Package trials compares ways to train on photographs that they were not trained on: of the training photographs some
// folds are left out, each way trains on the others, and what it says of those left out decides. The validation
// photographs have no part in it.
package trials

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"finetune/calibration"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/learner/train"
	"finetune/logistic"
	"finetune/onnx/weights"
)

// Way is one way to train.
type Way struct {
	Name   string          // a file name
	What   string          // in words
	Setup  *features.Setup // whose configuration says how
	Shares []float64       // of the weights of the whole network; nil for a head
}

// Result is what photographs that were left out say of a way.
type Result struct {
	Way      string
	Share    float64 // of the fine-tuned weights; 0 for a head
	Loss     float64 // log loss at the temperature that suits the way best
	Accuracy float64
	Images   int // left out

	losses []float64
}

// enough photographs left out for a comparison: with fewer, more folds are trained.
const (
	enough    = 500
	mostFolds = 3
)

// held is how many of the folds are left out, one at a time.
func held(photographs, folds int) int {
	each := max(photographs/folds, 1)
	return min(max((enough+each-1)/each, 1), mostFolds, folds)
}

// Run tries the ways on the training photographs of f and returns their results in the order of ways, those of a
// network by its shares. What it has tried is kept in dir: a second call goes on from there.
func Run(ctx context.Context, s *features.Setup, f *features.Features, ways []Way, dir string) ([]Result, error) {
	fold := train.Folds(s, f)
	var left []dataset.Item
	said := make([][][]float32, len(ways)) // of each way and share the log-probabilities, fold after fold
	for k := range held(len(fold), slices.Max(fold)+1) {
		part := train.WithoutFold(f, fold, k)
		left = append(left, part.Valid.Items...)
		for i, w := range ways {
			path := filepath.Join(dir, fmt.Sprintf("%s-%d.safetensors", w.Name, k))
			logp, err := kept(path, max(len(w.Shares), 1), part.Valid.Len()*len(s.Set.Classes))
			if err == nil && logp == nil {
				if logp, err = train.Trial(ctx, inner(w.Setup, part), part, w.Shares); err == nil {
					err = keep(path, logp)
				}
			}
			if err != nil {
				return nil, err
			}
			if said[i] == nil {
				said[i] = make([][]float32, len(logp))
			}
			for j := range logp {
				said[i][j] = append(said[i][j], logp[j]...)
			}
		}
	}
	var out []Result
	for i, w := range ways {
		for j, logp := range said[i] {
			r := measure(logp, left, len(s.Set.Classes), s.Set.Multi)
			if r.Way = w.Name; w.Shares != nil {
				r.Share = w.Shares[j]
			}
			out = append(out, r)
		}
	}
	return out, nil
}

// inner is s for the photographs of f alone.
func inner(s *features.Setup, f *features.Features) *features.Setup {
	in, set := *s, *s.Set
	set.Train, set.Valid, set.Test, set.Aside = f.Train.Items, f.Valid.Items, nil, nil
	in.Set, in.Together, in.Report = &set, nil, false
	return &in
}

// keep writes what a way says, and kept reads it: nil where there is none, or one of other photographs.
func keep(path string, logp [][]float32) error {
	var list []weights.Tensor
	for j, v := range logp {
		list = append(list, weights.Tensor{Name: fmt.Sprint(j), Shape: []int64{int64(len(v))}, Data: v})
	}
	return runs.WriteTensors(path, list, map[string]string{})
}

func kept(path string, shares, n int) ([][]float32, error) {
	list, _, err := runs.ReadTensors(path)
	if errors.Is(err, os.ErrNotExist) || failure.KindOf(err) == failure.DataKind || err == nil && len(list) != shares {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out, by := make([][]float32, shares), weights.ByName(list)
	for j := range out {
		if out[j] = by[fmt.Sprint(j)].Data; len(out[j]) != n {
			return nil, nil
		}
	}
	return out, nil
}

// measure scales what a way says by the temperature that suits it, as a run does in the end.
func measure(logp []float32, items []dataset.Item, classes int, multi bool) Result {
	rows := runs.Judged(slices.Clone(logp), items, classes, multi)
	calibration.Scale(rows.LogP, classes, multi, rows.Temperature())
	d := logistic.Data{Rows: make([][]float32, len(items)), Labels: rows.Labels, Targets: rows.Targets, Classes: classes,
		Multi: multi}
	score := runs.Measure(rows.LogP, items, classes, multi)
	return Result{Images: len(items), Loss: score.Loss, Accuracy: score.Accuracy, losses: d.Losses(rows.LogP)}
}

// Write writes the table of a run's trials.
func Write(r *runs.Run, results []Result) error {
	return r.WriteTable(runs.TrialsFile, []string{"way", "share", "loss", "accuracy", "n"}, len(results),
		func(i int) []string {
			t := results[i]
			return []string{t.Way, runs.Digits(t.Share), runs.Digits(t.Loss), runs.Digits(t.Accuracy), strconv.Itoa(t.Images)}
		})
}

// Cost is the share of n training photographs that a trial trains on, and how many times it does.
func Cost(n int) (share float64, times int) {
	folds := min(n, train.FoldsOfTraining)
	return 1 - 1/float64(folds), held(n, folds)
}

// Best is the head of the least loss or, where its loss is lower than that head's by more than one standard error of
// the difference, the network of the least loss: chance alone does not make a network of a head.
func Best(results []Result) Result {
	heads := slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Share > 0 })
	may := []Result{slices.MinFunc(heads, func(a, b Result) int { return cmp.Compare(a.Loss, b.Loss) })}
	may = append(may, slices.DeleteFunc(slices.Clone(results), func(r Result) bool { return r.Share == 0 })...)
	losses := make([][]float64, len(may))
	for i, r := range may {
		losses[i] = r.losses
	}
	return may[logistic.Choose(losses, 0)]
}
