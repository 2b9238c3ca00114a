package tasks

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"finetune/dataset"
	"finetune/dataset/kinds"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/internal/rng"
	"finetune/internal/sorting"
	"finetune/internal/tarshard"
	"finetune/learner/parts"
	"finetune/learner/runs"
)

// labeller makes the input of labelled photographs in tars. Nothing is held of them.
type labeller struct {
	config runs.Config
	ui     runs.UI
	labels *parts.Labels             // of the input, nil where photographs have none
	counts map[string]*dataset.Count // by class
	sorter *sorting.Sorter
	drawn  bool
}

// splits are the parts of a data set in the order of a job's rows.
var splits = []string{parts.Train, parts.Valid, parts.Test}

// tars implements ofTars. Whether there are labels is told by the first tar. Rows keep the
// order of tars, so that a task reads its part of one in a stream: as for webdataset, the
// photographs of all classes should be mixed in them.
func (l *labeller) tars(ctx context.Context, root string, tars []string, s *sorting.Sorter) (*input, error) {
	samples := func(m reading.Mount, file string) ([]tarshard.Sample, error) { return m.Shards().Samples(ctx, file) }
	labelled := false
	err := eachTar(root, tars[:1], samples, func(_ string, s tarshard.Sample) error {
		labelled = labelled || s.Label != "" || s.LabelErr != nil
		return nil
	})
	if err != nil {
		return nil, err
	}
	if !labelled {
		l.ui.Say("labels     none, so that no head can be trained on the job: %s has no .cls or .json members", tars[0])
		return photographsOf(ctx, root, tars, s)
	}
	l.sorter, l.counts = s, map[string]*dataset.Count{}
	l.drawn = !slices.ContainsFunc(tars, func(t string) bool { return kinds.PartOf(t) == kinds.ValidPart })
	if l.drawn && l.config.Data.ValidPct == 0 {
		l.config.Data.ValidPct = .2
	}
	if err := eachTar(root, tars, samples, l.add); err != nil {
		return nil, err
	}
	if err := l.finish(root); err != nil {
		return nil, err
	}
	return &input{each: func(yield func(string) error) error {
		_, err := s.Each(func(text string) error {
			f := strings.SplitN(text[1:], "\x00", 3)
			line, err := parts.Input{Split: splits[text[0]-'0'], Label: f[2], Path: f[1] + " " + f[0]}.Text()
			if err != nil {
				return err
			}
			return yield(line)
		})
		return err
	}}, nil
}

// add takes a photograph: its split is what its tar is called after, or drawn by its path.
func (l *labeller) add(tar string, s tarshard.Sample) error {
	path, place := where(tar, s.Photo)
	split := max(slices.Index(splits, kinds.PartOf(tar)), 0)
	if split == 0 && l.drawn && rng.New(rng.Text("split"), l.config.Train.Seed, rng.Text(path)).Float64() <
		l.config.Data.ValidPct {
		split = 1
	}
	switch {
	case s.LabelErr != nil:
		return fmt.Errorf("%s: %w", tar, s.LabelErr)
	case s.Label == "" && splits[split] != parts.Test:
		return fmt.Errorf("%s: %q has no label in a .cls or .json member; add one, or take it out", tar, s.Photo.Name)
	}
	if c := l.counts[s.Label]; c != nil {
		*[]*int{&c.Train, &c.Valid, &c.Test}[split]++
	} else if s.Label != "" {
		c := &dataset.Count{Class: s.Label}
		*[]*int{&c.Train, &c.Valid, &c.Test}[split]++
		l.counts[s.Label] = c
	}
	return l.sorter.Add(fmt.Sprintf("%d%s\x00%s\x00%s", split, path, place, s.Label))
}

// finish checks the classes and says what there is.
func (l *labeller) finish(root string) error {
	var list []dataset.Count
	var train, valid, test int
	for _, class := range slices.Sorted(maps.Keys(l.counts)) {
		c := *l.counts[class]
		if train, valid, test = train+c.Train, valid+c.Valid, test+c.Test; c.Train > 0 {
			list = append(list, c)
		} else if c.Valid > 0 {
			return failure.Data(fmt.Errorf("tasks: %s: class %q is in the validation set but not in the training set; add "+
				"training photographs or leave the class out", root, class))
		}
	}
	if len(list) < 2 || valid == 0 {
		return failure.Data(fmt.Errorf("tasks: %s: %s with %s to train on and %d to validate on; a classifier needs two "+
			"classes, and photographs to validate on: call tars after their part, such as val-0001.tar, or add "+
			"--valid-pct 0.2", root, plural.Count(len(list), "class"), plural.Count(train, "photograph"), valid))
	}
	data := l.config.Data
	data.Path = root
	l.labels = &parts.Labels{Data: data, Seed: l.config.Train.Seed}
	for _, c := range list {
		l.labels.Classes = append(l.labels.Classes, c.Class)
	}
	l.ui.Say("data       %s: %d train, %d valid, %s in %s", root, train, valid,
		plural.Count(test, "labelled test photograph"), plural.Count(len(list), "class"))
	if l.drawn {
		l.ui.Say("held out   %d for validation, drawn by path with --seed %d", valid, l.config.Train.Seed)
	}
	for _, line := range naming.Alike(l.labels.Classes) {
		l.ui.Warn("%s", line)
	}
	return nil
}
