// Package dataset finds photographs and their labels on disk. Nothing is decoded here.
//
//	set, err := dataset.Open("photos", dataset.Options{ValidPct: 0.2, Seed: 7})
//	fmt.Println(set.Classes, len(set.Train), len(set.Valid))
//
// Three layouts are understood:
//
//	DATA/train/CLASS/*  DATA/valid/CLASS/* (or val)  DATA/test*/*
//	DATA/CLASS/*        with Options.ValidPct
//	LABELS.csv          header path,label[,split], with Options.Labels
//
// Lists are sorted by code point, so that caches, reports and runs repeat.
// Errors about the data are marked failure.Data, about options failure.Usage.
package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"finetune/internal/failure"
)

// Item is one photograph.
type Item struct {
	Path   string // relative to Set.Root, with slashes, as recorded in caches and predictions
	File   string // the file to open
	Label  int    // index into Set.Classes; -1 when unknown or when the set is multi-label
	Labels []int  // multi-label sets: sorted indices into Set.Classes, maybe none
	Class  string // the class name, or the multi-label cell; empty when unknown
	Digest string // SHA-256 of the file in hex where it is known, else empty
}

// Set is a data set: what to train on, what to validate on, what to score.
type Set struct {
	Root     string
	Classes  []string // sorted by code point; an index is a label
	Train    []Item   // by class, then path
	Valid    []Item   // by class, then path
	Test     []Item   // by path; Label is -1 unless a CSV gives one
	Multi    bool     // an image may have any number of labels
	Ignored  int      // files that are not photographs, left out
	Warnings []string // one line each, worth printing
}

// Options choose the layout.
type Options struct {
	Labels   string  // CSV file; empty: folders
	LabelSep string  // separates labels in a CSV cell; makes the set multi-label
	ValidPct float64 // share of the photographs to validate on, between 0 and 1; 0: the layout says
	Fallback float64 // ValidPct for a layout that does not say; 0: such a layout is an error
	Seed     uint64  // draws the share
}

const layouts = "expected train/CLASS/* with valid/CLASS/* (or val), or CLASS/* with --valid-pct 0.2, or --labels FILE.csv"

// Open lists the data set at root, a folder. With Options.Labels the paths are
// relative to the CSV's own folder, which becomes Root; root may then be empty.
func Open(root string, o Options) (*Set, error) {
	if !(o.ValidPct >= 0 && o.ValidPct < 1) { // also refuses NaN
		return nil, failure.Usage(fmt.Errorf("dataset: share of validation images %v; choose one between 0 and 1, as in --valid-pct 0.2", o.ValidPct))
	}
	if o.LabelSep != "" && o.Labels == "" {
		return nil, failure.Usage(errors.New("dataset: a label separator needs a labels file; add --labels FILE.csv"))
	}
	if root != "" || o.Labels == "" {
		if err := checkFolder(root); err != nil {
			return nil, failure.Data(err)
		}
	}
	set, err := open(root, o)
	if err != nil {
		return nil, err
	}
	if err := set.check(); err != nil {
		return nil, failure.Data(err)
	}
	return set, nil
}

func open(root string, o Options) (*Set, error) {
	if o.Labels != "" {
		set, err := openCSV(root, o)
		return set, failure.Data(err)
	}
	set, err := openFolders(root, o)
	return set, failure.Data(err)
}

// orFallback is o for a layout without a validation part.
func (o Options) orFallback() Options {
	if o.ValidPct == 0 {
		o.ValidPct = o.Fallback
	}
	return o
}

// Files lists every file at or below root for scoring, sorted by path, each
// with Label -1. Dot files, system files (Thumbs.db) and files named as
// something else than a picture (.txt, .csv) are left out and counted in a
// warning; all others stay, whatever they hold. A root that is a file is its
// own only item.
func Files(root string) (items []Item, warnings []string, err error) {
	info, err := os.Stat(root)
	if err != nil {
		return nil, nil, failure.Data(fmt.Errorf("dataset: %s: %w; name a folder of photographs", root, reason(err)))
	}
	if info.Mode().IsRegular() {
		return []Item{{Path: filepath.Base(root), File: root, Label: -1}}, nil, nil
	}
	if !info.IsDir() {
		return nil, nil, failure.Data(fmt.Errorf("dataset: %s: neither a folder nor a file; name a folder of photographs", root))
	}
	w := walker{root: root, keepUnknown: true}
	if items, err = w.walk("", -1, ""); err != nil {
		return nil, nil, failure.Data(err)
	}
	if len(items) == 0 {
		return nil, nil, failure.Data(fmt.Errorf("dataset: %s: no photographs here or below", root))
	}
	return items, w.warnings(), nil
}

func checkFolder(root string) error {
	info, err := os.Stat(root)
	switch {
	case root == "":
		return fmt.Errorf("dataset: no DATA given; %s", layouts)
	case err != nil:
		return fmt.Errorf("dataset: %s: %w; %s", root, reason(err), layouts)
	case !info.IsDir():
		return fmt.Errorf("dataset: %s: a file, not a folder; %s", root, layouts)
	}
	return nil
}

// reason drops the path that fs errors repeat.
func reason(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// check refuses sets that no classifier can be trained on.
func (s *Set) check() error {
	switch {
	case len(s.Classes) == 0 || len(s.Train) == 0:
		return fmt.Errorf("dataset: %s: no training photographs; %s", s.Root, layouts)
	case len(s.Classes) == 1 && !s.Multi:
		return fmt.Errorf("dataset: %s: only one class, %q; a classifier needs at least two", s.Root, s.Classes[0])
	case len(s.Valid) == 0:
		return fmt.Errorf("dataset: %s: no validation photographs; add them, or add --valid-pct 0.2", s.Root)
	}
	trained, validated := s.used(s.Train), s.used(s.Valid)
	for i, c := range s.Classes {
		if !trained[i] && validated[i] {
			return fmt.Errorf("dataset: %s: class %q is in the validation set but not in the training set; add training photographs or leave the class out", s.Root, c)
		}
	}
	for i, c := range s.Classes {
		if trained[i] && !validated[i] {
			s.warn("class %q has no validation photographs: its accuracy stays unknown", c)
		}
	}
	return nil
}

// used marks the classes that items carry.
func (s *Set) used(items []Item) []bool {
	seen := make([]bool, len(s.Classes))
	for _, it := range items {
		if it.Label >= 0 {
			seen[it.Label] = true
		}
		for _, l := range it.Labels {
			seen[l] = true
		}
	}
	return seen
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
