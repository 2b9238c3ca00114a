package studio

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"sync"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/remote"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/studio/session"
)

// Options say what is labelled.
type Options struct {
	Config     runs.Config // of features; Data.Path is the folder, Data.Labels and LabelSep as in training
	Output     string      // folder of labels.csv; "": the photographs'
	Classes    []string
	Unlabelled bool // names of folders are no labels
}

// Studio is an open session with its server.
type Studio struct {
	*Server
	Session *session.Session
	o       Options
	ui      *watched
	items   []dataset.Item
	setup   *features.Setup
}

// Open lists the photographs and takes up what was said of them. Nothing is decoded; Learn does that.
func Open(o Options, ui runs.UI) (*Studio, error) {
	o.Config = o.Config.WithSlashes()
	root, err := remote.Root(o.Config.Data.Path)
	if err != nil {
		return nil, err
	}
	if o.Output == "" {
		if o.Output = root; root != o.Config.Data.Path {
			return nil, failure.Usagef("studio: %s is no folder of this machine; write labels with -o DIR", o.Config.Data.Path)
		}
	}
	items, warnings, err := dataset.Files(root)
	if err != nil {
		return nil, err
	}
	for _, w := range warnings {
		ui.Warn("%s", w)
	}
	known, err := labelsOf(o, items, ui)
	if err != nil {
		return nil, err
	}
	photos := make([]session.Photo, len(items))
	for i, it := range items {
		photos[i] = session.Photo{Path: it.Path, File: it.File}
	}
	s, err := session.Open(photos, known, session.Options{Folder: o.Output, Classes: o.Classes,
		Separator: o.Config.Data.LabelSep, Who: who(), Seed: o.Config.Train.Seed})
	if err != nil {
		return nil, err
	}
	w := &watched{UI: ui}
	st := &Studio{Session: s, o: o, ui: w, items: items}
	st.Server = New(s, o.Config.Machine.Limits, w.status)
	n := s.State()
	st.Command = trainCommand(o, n.File)
	ui.Say("studio     %s, %d labelled; labels go to %s", plural.Count(n.Photographs, "photograph"), n.Labels+n.Held,
		n.File)
	return st, nil
}

// labelsOf are the labels that the data set has already.
func labelsOf(o Options, items []dataset.Item, ui runs.UI) ([]session.Known, error) {
	d := o.Config.Data
	if o.Unlabelled {
		return nil, nil
	}
	const heldShare = .1 // where the data set does not say what is held out
	set, err := dataset.Open(d.Path, dataset.Options{Labels: d.Labels, LabelSep: d.LabelSep, ValidPct: d.ValidPct,
		Fallback: heldShare, Seed: o.Config.Train.Seed})
	switch {
	case err != nil && d.Labels != "":
		return nil, err
	case err != nil: // photographs without folders of classes
		ui.Say("labels     none: %v", err)
		return nil, nil
	}
	at := map[string]string{}
	for _, it := range items {
		at[absolute(it.File)] = it.Path
	}
	var known []session.Known
	for _, part := range []struct {
		items []dataset.Item
		valid bool
	}{{set.Train, false}, {set.Valid, true}} {
		for _, it := range part.items {
			label := runs.ClassName(set.Classes, it.Label)
			if set.Multi {
				label = runs.ClassNames(set.Classes, it.Labels, d.LabelSep)
			}
			if path, there := at[absolute(it.File)]; there {
				known = append(known, session.Known{Path: path, Label: label, Valid: part.valid})
			}
		}
	}
	return known, nil
}

// trainCommand is what trains on the labels.
func trainCommand(o Options, labels string) string {
	words := []string{"finetune", "train", o.Config.Data.Path, "--labels", labels}
	if sep := o.Config.Data.LabelSep; sep != "" {
		words = append(words, "--label-sep", sep)
	}
	for i, w := range words {
		if strings.ContainsFunc(w, func(r rune) bool { return strings.ContainsRune(" '\"\\$`;&|<>()*?[]#~!{}", r) }) {
			words[i] = "'" + strings.ReplaceAll(w, "'", `'\''`) + "'"
		}
	}
	return strings.Join(words, " ")
}

func absolute(file string) string {
	if abs, err := filepath.Abs(file); err == nil {
		return abs
	}
	return file
}

// who labels, as the system knows them.
func who() string {
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return os.Getenv("USER")
}

// Close frees what the studio holds.
func (st *Studio) Close() error {
	var err error
	if st.setup != nil {
		err = st.setup.Close()
	}
	return errors.Join(err, st.Session.Close())
}

// Learn computes the features that are not cached, and lets the head learn until ctx ends. Its error is told to those
// who look on, too.
func (st *Studio) Learn(ctx context.Context) error {
	rows, err := st.features(ctx)
	if err != nil {
		if ctx.Err() == nil {
			st.Session.Fail(err)
		}
		return err
	}
	st.ui.set(Status{})
	st.Embed = st.embed // before Ready, which lets Try in
	st.Session.Ready(ctx, rows)
	return nil
}

func (st *Studio) features(ctx context.Context) ([][]float32, error) {
	st.ui.set(Status{What: "starting"})
	c := st.o.Config
	c.Data.MaxBad, c.Images.Augment = 1, "none"
	setup, err := features.OpenBody(c, st.ui)
	if err != nil {
		return nil, err
	}
	st.setup = setup
	setup.Set = &dataset.Set{Root: c.Data.Path, Train: st.items}
	all := setup.Part(func(n int) (int, int) { return 0, n })
	f, err := all.Precompute(ctx)
	if err != nil {
		return nil, err
	}
	at := make(map[string]int, len(st.items))
	for i, it := range st.items {
		at[it.Path] = i
	}
	rows := make([][]float32, len(st.items))
	for k, it := range f.Train.Items {
		rows[at[it.Path]] = f.Train.Rows[k]
	}
	if f.Train.Len() == 0 {
		return nil, failure.Data(fmt.Errorf("studio: %s: none of %s can be read", c.Data.Path,
			plural.Count(len(st.items), "photograph")))
	}
	return rows, nil
}

// watched keeps how far work is, for the page.
type watched struct {
	runs.UI
	mu  sync.Mutex
	now Status
}

func (w *watched) set(s Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = s
}

func (w *watched) status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// Progress implements runs.UI.
func (w *watched) Progress(what, unit string) (func(done, total int), func()) {
	show, end := w.UI.Progress(what, unit)
	return func(done, total int) { w.set(Status{what, done, total}); show(done, total) }, end
}
