// Package dataset finds photographs and their labels on disk. Nothing is decoded here.
//
// Three layouts are understood:
//
//	DATA/train/CLASS/*  DATA/valid/CLASS/*  DATA/test*/*   and the usual other names
//	                                                      in any case: training, val, dev, testing, train_images
//	DATA/CLASS/*        with Options.ValidPct
//	LABELS.csv          header path,label[,split], with Options.Labels
//
// Lists are sorted by code point, so that caches, reports and runs repeat.
// Errors about the data are marked failure.Data, about options failure.Usage.
package dataset

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"finetune/dataset/exclude"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/internal/remote"
	"finetune/internal/tarshard"
)

// Item is one photograph.
type Item struct {
	Path   string // relative to Set.Root, with slashes, as recorded in caches and predictions
	File   string // the file to open
	Label  int    // index into Set.Classes; -1 when unknown or when the set is multi-label
	Labels []int  // multi-label sets: sorted indices into Set.Classes, maybe none
	Class  string // the class name, or the multi-label cell; empty when unknown
	Digest string // SHA-256 of the file in hex where it is known, else empty
	Group  string // what the column Options.Group says; empty: in no group
}

// Set is a data set: what to train on, what to validate on, what to score.
type Set struct {
	Root     string
	Classes  []string // sorted by code point; an index is a label
	Train    []Item   // by class, then path
	Valid    []Item   // by class, then path
	Aside    []Item   // taken out of Valid by who keeps a figure that nothing is chosen by
	Test     []Item   // by path; Label is -1 unless a CSV gives one
	Multi    bool     // an image may have any number of labels
	Ignored  int      // files that are not photographs, left out
	Excluded int      // photographs that Options.Exclude names, left out
	Warnings []string // what may be wrong, one line each, worth printing
	Drawn    bool     // Valid was drawn from Train
	Share    float64  // of the photographs that Options.Take got, to be drawn to validate on
	Notes    []string // what was decided about the layout where it was not plain, one line each
}

// Options choose the layout.
type Options struct {
	Labels   string        // CSV file; empty: folders
	LabelSep string        // separates labels in a CSV cell; makes the set multi-label
	ValidPct float64       // share of the photographs to validate on, between 0 and 1; 0: the layout says
	Fallback float64       // ValidPct for a layout that does not say; 0: such a layout is an error
	Seed     uint64        // draws the share
	Exclude  *exclude.List // photographs not to be used; nil: none
	Group    string        // column of Labels whose equal values are not torn by the draw; empty: none

	// Take gets the photographs of folders as they come, with their part or "" where it is to be
	// drawn (Set.Share). Then the Set holds none, and CheckCounts is left to the caller.
	Take func(part string, it Item) error
}

const layouts = "expected train/CLASS/* with valid/CLASS/* (or val), or CLASS/* with --valid-pct 0.2, or --labels " +
	"FILE.csv"

// Open lists the data set at root, a folder, also of a bucket. With Options.Labels the paths are
// relative to the CSV's own folder, which becomes Root; root may then be empty.
func Open(root string, o Options) (*Set, error) {
	if !(o.ValidPct >= 0 && o.ValidPct < 1) { // also refuses NaN
		return nil, failure.Usage(fmt.Errorf("dataset: --valid-pct %v: must be between 0 and 1, such as 0.2",
			o.ValidPct))
	}
	if o.LabelSep != "" && o.Labels == "" {
		return nil, failure.Usage(errors.New("dataset: a label separator needs a labels file; add --labels FILE.csv"))
	}
	for _, name := range []string{root, o.Labels} {
		if !utf8.ValidString(name) { // it would not survive the run's config.json
			return nil, failure.Data(fmt.Errorf("dataset: %q: the name is not UTF-8 text; rename it, or make a link of "+
				"another name to it", name))
		}
	}
	root, err := remote.Root(root)
	if err != nil {
		return nil, err
	}
	if root != "" || o.Labels == "" {
		if err := checkFolder(root); err != nil {
			return nil, failure.Data(err)
		}
	}
	set, err := open(root, o)
	if err != nil {
		return nil, o.afterExclude(err)
	}
	if err := set.checkExcluded(o.Exclude); err != nil {
		return nil, failure.Data(err)
	}
	if o.Take != nil && o.Labels == "" {
		return set, nil
	}
	return set, failure.Data(o.afterExclude(set.check()))
}

func open(root string, o Options) (*Set, error) {
	if o.Labels != "" {
		set, err := openCSV(root, o)
		return set, failure.Data(err)
	}
	set, err := openFolders(root, o)
	return set, failure.Data(err)
}

// afterExclude adds to the error of a data set that photographs were left out of it.
func (o Options) afterExclude(err error) error {
	if o.Exclude == nil || err == nil {
		return err
	}
	return fmt.Errorf("%w (without what --exclude %s names)", err, o.Exclude.Name)
}

func (s *Set) checkExcluded(l *exclude.List) error {
	warning, err := l.Check(s.Root)
	if warning != "" {
		s.Warnings = append(s.Warnings, warning)
	}
	return err
}

// orFallback is o for a layout without a validation part.
func (o Options) orFallback() Options {
	if o.ValidPct == 0 {
		o.ValidPct = o.Fallback
	}
	return o
}

// Files lists every file at or below root, also of a bucket, for scoring, sorted by path, each
// with Label -1. Dot files, system files (Thumbs.db) and files named as
// something else than a picture (.txt, .csv) are left out and counted in a
// warning; all others stay, whatever they hold. A root that is a file is its
// own only item, but a tar file is its photographs, with the paths
// SHARD.tar/member; so are the tar files of a folder without photographs.
func Files(root string) (items []Item, warnings []string, err error) {
	visit := func(it Item) error { items = append(items, it); return nil }
	warnings, err = Each(root, visit, func(rel, file string) error {
		names, err := reading.Photographs(context.Background(), file)
		for _, name := range names {
			items = append(items, Item{Path: naming.EscapePath(rel + "/" + name), File: file + "/" + name, Label: -1})
		}
		return err
	})
	if err == nil && len(items) == 0 {
		err = failure.Data(fmt.Errorf("dataset: %s: no photographs here or below", root))
	}
	if err != nil {
		return nil, nil, err
	}
	slices.SortFunc(items, func(a, b Item) int { return strings.Compare(a.Path, b.Path) })
	return items, warnings, nil
}

// Each visits what Files lists, in any order and without holding it. Of tar files, shard gets
// the path below root and the file.
func Each(root string, visit func(Item) error, shard func(rel, file string) error) (warnings []string, err error) {
	if root, err = remote.Root(root); err != nil {
		return nil, err
	}
	info, err := reading.Stat(root)
	if err != nil {
		return nil, failure.Data(fmt.Errorf("dataset: %s: %w; name a folder of photographs", root, failure.Reason(err)))
	}
	w := walker{root: root, keepUnknown: true, visit: visit}
	isShard := tarshard.IsShard(root) || tarshard.Compressed(root)
	switch {
	case isShard && info.Mode().IsRegular():
		err = w.listShard(shard, filepath.Base(root), root)
	case info.Mode().IsRegular():
		return nil, visit(Item{Path: naming.EscapePath(filepath.Base(root)), File: root, Label: -1})
	case !info.IsDir():
		err = fmt.Errorf("dataset: %s: neither a folder nor a file; name a folder of photographs", root)
	default:
		_, err = w.walk("", -1, "")
		if err == nil && w.files == 0 && w.ignored[".tar"] > 0 { // beside photographs a tar is a backup
			w = walker{root: root, keepUnknown: true, visit: visit, shards: shard}
			_, err = w.walk("", -1, "")
		}
	}
	return w.warnings(), failure.Data(err)
}

func checkFolder(root string) error {
	info, err := reading.Stat(root)
	switch {
	case root == "":
		return fmt.Errorf("dataset: no DATA given; %s", layouts)
	case err != nil:
		return fmt.Errorf("dataset: %s: %w; %s", root, failure.Reason(err), layouts)
	case !info.IsDir():
		return fmt.Errorf("dataset: %s: a file, not a folder; %s", root, layouts)
	}
	return nil
}

// check refuses sets that no classifier can be trained on.
func (s *Set) check() error { return s.checkCounts(s.Counts(), len(s.Train), len(s.Valid)) }

// CheckCounts refuses what Open refuses, of a set whose photographs Options.Take got, by the
// photographs of each class, in the order of Classes.
func (s *Set) CheckCounts(counts []Count) error {
	train, valid := 0, 0
	for _, c := range counts {
		train, valid = train+c.Train, valid+c.Valid
	}
	return failure.Data(s.checkCounts(counts, train, valid))
}

func (s *Set) checkCounts(counts []Count, train, valid int) error {
	switch {
	case len(s.Classes) == 0 || train == 0:
		return fmt.Errorf("dataset: %s: no training photographs; %s", s.Root, layouts)
	case len(s.Classes) == 1 && !s.Multi:
		return fmt.Errorf("dataset: %s: only one class, %q; a classifier needs at least two", s.Root, s.Classes[0])
	case valid == 0 && s.Drawn:
		return fmt.Errorf("dataset: %s: no photograph can be held out to validate on: each class has one photograph, or "+
			"copies of one; add photographs, or a folder valid/CLASS/*", s.Root)
	case valid == 0:
		return fmt.Errorf("dataset: %s: no validation photographs; mark some rows valid in the column split, or take the "+
			"column out", s.Root)
	}
	for _, c := range counts {
		if c.Train == 0 {
			return fmt.Errorf("dataset: %s: class %q is in the validation set but not in the training set; add training "+
				"photographs or leave the class out", s.Root, c.Class)
		}
	}
	if names := classesWhere(counts, func(c Count) bool { return c.Valid == 0 }); len(names) > 0 {
		s.warn("%s not known: %s", plural.Of(len(names), "class has no validation photographs, so its accuracy is",
			"classes have no validation photographs, so their accuracy is"), naming.Few(names, 5))
	}
	if names := classesWhere(counts, func(c Count) bool { return c.Train == 1 }); len(names) > 0 {
		s.warn("classes with only one training photograph; add more: %s", naming.Few(names, 5))
	}
	for _, line := range naming.Alike(s.Classes) {
		s.warn("%s", line)
	}
	return nil
}

// Count is how many photographs each part has of a class.
type Count struct {
	Class string `json:"class"`
	Train int    `json:"train"`
	Valid int    `json:"valid"`
	Test  int    `json:"test"` // where a CSV labels them
}

// Counts are the photographs of each class, in the order of Classes. In a
// multi-label set a photograph counts for each of its labels.
func (s *Set) Counts() []Count {
	counts := make([]Count, len(s.Classes))
	for i, c := range s.Classes {
		counts[i].Class = c
	}
	count := func(items []Item, add func(*Count)) {
		for _, it := range items {
			if it.Label >= 0 {
				add(&counts[it.Label])
			}
			for _, l := range it.Labels {
				add(&counts[l])
			}
		}
	}
	count(s.Train, func(c *Count) { c.Train++ })
	count(s.Valid, func(c *Count) { c.Valid++ })
	count(s.Test, func(c *Count) { c.Test++ })
	return counts
}

// classesWhere are the quoted names of the classes that cond holds for.
func classesWhere(counts []Count, cond func(Count) bool) []string {
	var names []string
	for _, c := range counts {
		if cond(c) {
			names = append(names, strconv.Quote(c.Class))
		}
	}
	return names
}

func (s *Set) warn(format string, args ...any) {
	s.Warnings = append(s.Warnings, fmt.Sprintf("dataset: %s: ", s.Root)+fmt.Sprintf(format, args...))
}

// sortItems orders by class, then path: the reference's order, made stable.
func sortItems(items []Item) {
	slices.SortStableFunc(items, func(a, b Item) int {
		return cmp.Or(cmp.Compare(a.Label, b.Label), strings.Compare(a.Path, b.Path))
	})
}
