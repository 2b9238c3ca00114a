package tasks

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"finetune/dataset"
	"finetune/dataset/draw"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/parallel"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/internal/rng"
	"finetune/internal/sorting"
	"finetune/internal/store"
	"finetune/internal/tarshard"
	"finetune/learner/features"
	"finetune/learner/parts"
	"finetune/learner/runs"
)

// labelled is the input of a data set; nil, and why, if its photographs have no labels. Those of
// a folder are not held; those of a CSV file are, which has ten million rows at most.
func (n New) labelled(c *runs.Config, ui runs.UI) (_ *parts.Labels, _ *input, none, err error) {
	folder := n.Input != "-" && !tarshard.IsShard(strings.TrimSuffix(n.Input, "/"))
	if folder && !store.IsURL(n.Input) {
		info, err := os.Stat(n.Input)
		folder = err == nil && info.IsDir()
	}
	if c.Data.Labels == "" && !folder {
		return nil, nil, nil, nil
	}
	l := &lines{seed: c.Train.Seed, counts: map[string]*dataset.Count{}}
	set, err := l.read(c)
	var labels *parts.Labels
	var root string
	if err == nil {
		labels, root, err = l.labels(set, *c)
	}
	if err != nil {
		err = errors.Join(err, l.close())
		if l.failed == nil && failure.KindOf(err) == failure.DataKind && c.Data.Labels == "" && c.Data.Exclude == "" {
			return nil, nil, err, nil
		}
		return nil, nil, nil, err
	}
	features.TellOf(ui, *c, set, l.of(set.Classes), l.n)
	return labels, &input{root: root, each: l.each, close: l.close}, nil, nil
}

// lines are those of a job's labelled photographs. They are sorted in temporary files: memory
// does not grow with their number.
type lines struct {
	seed   uint64
	sorter sorting.Sorter
	counts map[string]*dataset.Count // by class
	n      [3]int                    // of each split
	failed error                     // why a labelled photograph is no line

	pending []dataset.Item // to be drawn, and not digested yet
	draw    draw.Stream
}

// digested is how many photographs are read at once.
const digested = 1024

// read lists the data set of c.
func (l *lines) read(c *runs.Config) (*dataset.Set, error) {
	set, err := features.List(c, l.take)
	if err != nil || c.Data.Labels != "" {
		return set, err
	}
	if set.Drawn {
		if err := l.drawn(set); err != nil {
			return nil, err
		}
	}
	return set, set.CheckCounts(l.of(set.Classes))
}

// take implements dataset.Options.Take.
func (l *lines) take(part string, it dataset.Item) error {
	if part != "" {
		return l.add(slices.Index(splits, part), it.Class, it.Path)
	}
	if l.pending = append(l.pending, it); len(l.pending) < digested {
		return nil
	}
	return l.digest()
}

// digest hands what is pending to the draw, which is by content.
func (l *lines) digest() error {
	errs := make([]error, len(l.pending))
	parallel.For(len(l.pending), 0, func(i int) {
		sum, err := reading.Digest(l.pending[i].File)
		if l.pending[i].Digest = sum; failure.System(err) {
			errs[i] = fmt.Errorf("tasks: %w", err)
		}
	})
	for i, it := range l.pending {
		if errs[i] != nil {
			return errs[i]
		}
		// What cannot be read is counted, and a row that says so.
		if err := l.draw.Add(it.Class, cmp.Or(it.Digest, "unreadable "+it.Path), it.Path); err != nil {
			return err
		}
	}
	l.pending = l.pending[:0]
	return nil
}

// drawn draws the validation part, as training on the folder does.
func (l *lines) drawn(set *dataset.Set) error {
	if err := l.digest(); err != nil {
		return err
	}
	l.draw.Share, l.draw.Seed = set.Share, l.seed
	twice, first, err := l.draw.Each(func(d draw.Drawn) error {
		split := 0
		if d.Valid {
			split = 1
		}
		return l.add(split, d.Label, d.Text)
	})
	if twice > 0 {
		slices.Sort(first)
		set.Warnings = append(set.Warnings, fmt.Sprintf("dataset: %s: %s: %s", set.Root, plural.Of(twice,
			"photograph has two labels", "photographs have two labels each, the first"), naming.Few(first, 4)))
	}
	return errors.Join(err, l.draw.Close())
}

// add takes a photograph. Those to train on come in an order of chance, so that each part has
// rows of all classes; the others by class and path.
func (l *lines) add(split int, label, path string) error {
	text, err := parts.Input{Split: splits[split], Label: label, Path: path}.Text()
	if err != nil {
		l.failed = err
		return err
	}
	order := label
	if split == 0 {
		order = fmt.Sprintf("%016x", rng.New(l.seed, rng.Text("parts.list"), rng.Text(path)).Uint64())
	}
	l.n[split]++
	if label != "" {
		if l.counts[label] == nil {
			l.counts[label] = &dataset.Count{Class: label}
		}
		c := l.counts[label]
		*[]*int{&c.Train, &c.Valid, &c.Test}[split]++
	}
	return l.sorter.Add(fmt.Sprintf("%d%s\x00%s\x00%s", split, order, path, text))
}

// each hands over the lines.
func (l *lines) each(yield func(string) error) error {
	_, err := l.sorter.Each(func(line string) error { return yield(strings.SplitN(line, "\x00", 3)[2]) })
	return err
}

func (l *lines) close() error { return errors.Join(l.sorter.Close(), l.draw.Close()) }

// of are the counts of classes.
func (l *lines) of(classes []string) []dataset.Count {
	list := make([]dataset.Count, len(classes))
	for i, class := range classes {
		if list[i].Class = class; l.counts[class] != nil {
			list[i] = *l.counts[class]
		}
	}
	return list
}

// labels are what a job says of its labels, and the folder that its paths are below. Photographs
// that the set holds become lines.
func (l *lines) labels(set *dataset.Set, c runs.Config) (_ *parts.Labels, root string, err error) {
	root, at := c.Data.Path, set.Root
	if _, mounted := reading.Mounted(set.Root); !mounted {
		if root, err = filepath.Abs(set.Root); err != nil {
			return nil, "", fmt.Errorf("tasks: %w", err)
		}
		at = root
	}
	to := &parts.Labels{Data: c.Data, Seed: c.Train.Seed, Classes: set.Classes, Multi: set.Multi}
	for _, path := range []*string{&to.Data.Path, &to.Data.Labels, &to.Data.Exclude} {
		if *path != "" && !store.IsURL(*path) {
			if *path, err = filepath.Abs(*path); err != nil {
				return nil, "", fmt.Errorf("tasks: %w", err)
			}
		}
	}
	for split, items := range [][]dataset.Item{set.Train, set.Valid, set.Test} {
		for _, it := range items {
			if err := under(at, it); err != nil {
				return nil, "", err
			}
			label := runs.ClassName(set.Classes, it.Label)
			if set.Multi {
				label = runs.ClassNames(set.Classes, it.Labels, to.Separator())
			}
			if err := l.add(split, label, it.Path); err != nil {
				return nil, "", err
			}
		}
	}
	if set.Multi { // a photograph counts for each of its labels
		for _, c := range set.Counts() {
			l.counts[c.Class] = &c
		}
	}
	return to, root, nil
}

// under refuses a photograph that is not below root.
func under(root string, it dataset.Item) (err error) {
	abs := filepath.Clean(it.File)
	if _, mounted := reading.Mounted(abs); !mounted {
		abs, err = filepath.Abs(it.File)
	}
	if err != nil || filepath.Clean(file(root, it.Path)) != abs {
		return errors.Join(err, failure.Data(fmt.Errorf("tasks: %s: is not below %s", it.File, root)))
	}
	return nil
}
