package learner

import (
	"cmp"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/scores"
)

// photographsFile lists what a run trains and validates on. A run that goes on
// with other photographs or labels would be neither the old one nor a new one.
const photographsFile = "photographs.csv"

var photographsHeader = []string{"split", "path", "label", "sha256"}

// listed is a row of photographs.csv.
type listed struct{ split, path, label, digest string }

// KeepPhotographs writes down what the run begins with or, where that is done
// already, compares. Runs of earlier versions, which have no list, pass.
//
// Errors: photographs that are gone, new, changed or labelled otherwise are
// failure.Data and named.
func (l *Learner) KeepPhotographs(r *Run, f *Features) error {
	now := l.listed(f)
	was, err := readPhotographs(r.Path(photographsFile))
	if errors.Is(err, os.ErrNotExist) {
		if there(r.Path(stateFile)) {
			return nil
		}
		if err := r.writePhotographs(now); err != nil {
			return err
		}
		return r.writeSums(configFile, photographsFile)
	}
	if err != nil {
		return err
	}
	if changes := compare(was, now); changes != "" {
		return failure.Data(fmt.Errorf("learner: %s: not the photographs that %s began with: %s; put them back, or train anew under another --run", l.Config.Data.Path, r.Name, changes))
	}
	return nil
}

func (l *Learner) listed(f *Features) []listed {
	var out []listed
	for _, part := range []struct {
		name  string
		items []dataset.Item
	}{{"train", f.Train.items}, {"valid", f.Valid.items}} {
		for _, it := range part.items {
			label := className(l.Set.Classes, it.Label)
			if l.Set.Multi {
				label = classNames(l.Set.Classes, it.Labels, cmp.Or(l.Config.Data.LabelSep, ";"))
			}
			out = append(out, listed{part.name, scores.Disarm(it.Path), scores.Disarm(label), it.Digest})
		}
	}
	return out
}

func (r *Run) writePhotographs(rows []listed) error {
	return r.table(photographsFile, photographsHeader, len(rows), func(i int) []string {
		return []string{rows[i].split, rows[i].path, rows[i].label, rows[i].digest}
	})
}

// maxPhotographs bounds the list: ten million photographs.
const maxPhotographs = 2 << 30

func readPhotographs(path string) ([]listed, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	defer f.Close()
	table := csv.NewReader(io.LimitReader(f, maxPhotographs))
	table.FieldsPerRecord, table.ReuseRecord = len(photographsHeader), true
	var out []listed
	for line := 1; ; line++ {
		cells, err := table.Read()
		if errors.Is(err, io.EOF) && line > 1 {
			return out, nil
		}
		if err == nil && line == 1 && !slices.Equal(cells, photographsHeader) {
			err = fmt.Errorf("the header is %s", strings.Join(cells, ","))
		}
		if err != nil {
			return nil, failure.Data(fmt.Errorf("learner: %s: damaged: %w; take it from a backup, or train again with --overwrite", path, err))
		}
		if line > 1 {
			out = append(out, listed{cells[0], cells[1], cells[2], cells[3]})
		}
	}
}

// compare says in words what differs, "" for nothing.
func compare(was, now []listed) string {
	type key struct{ split, path string }
	before, digests := make(map[key]listed, len(was)), map[string]bool{}
	for _, p := range was {
		before[key{p.split, p.path}] = p
	}
	var gone, fresh, moved, labels, content []string
	var unknown []listed
	for _, p := range now {
		b, ok := before[key{p.split, p.path}]
		delete(before, key{p.split, p.path})
		switch {
		case !ok:
			unknown = append(unknown, p)
		case b.label != p.label:
			labels = append(labels, p.path)
		case b.digest != p.digest:
			content = append(content, p.path)
		}
	}
	for _, b := range before {
		digests[b.digest] = true
	}
	found := map[string]bool{}
	for _, p := range unknown {
		if digests[p.digest] {
			moved, found[p.digest] = append(moved, p.path), true
		} else {
			fresh = append(fresh, p.path)
		}
	}
	for _, b := range before {
		if !found[b.digest] {
			gone = append(gone, b.path)
		}
	}
	var parts []string
	for _, c := range []struct {
		what  string
		paths []string
	}{{"gone", gone}, {"new", fresh}, {"moved or renamed", moved}, {"labelled otherwise", labels}, {"with another content", content}} {
		if n := len(c.paths); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s%s)", n, c.what, slices.Min(c.paths), map[bool]string{true: ", …"}[n > 1]))
		}
	}
	return strings.Join(parts, ", ")
}
