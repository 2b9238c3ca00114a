package runs

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"finetune/internal/failure"
	"finetune/scores"
)

var photographsHeader = []string{"split", "path", "label", "sha256"}

// Listed is a row of photographs.csv, with a label as the file has it.
type Listed struct{ Split, Path, Label, Digest string }

// KeepPhotographs writes down what the run begins with or, where that is done
// already, compares; data names the data set in errors. Runs of earlier versions,
// which have no list, pass.
//
// Errors: photographs that are gone, new, changed or labelled otherwise are
// failure.Data and named.
func (r *Run) KeepPhotographs(now []Listed, data string) error {
	was, err := readPhotographs(r.Path(PhotographsFile))
	if errors.Is(err, os.ErrNotExist) {
		if there(r.Path(StateFile)) {
			return nil
		}
		if err := r.writePhotographs(now); err != nil {
			return err
		}
		return r.WriteSums(ConfigFile, PhotographsFile)
	}
	if err != nil {
		return err
	}
	if changes := compare(was, now); changes != "" {
		return failure.Data(fmt.Errorf("learner: %s: the photographs differ from those that %s began with: %s; put "+
			"them back, or train again with another --run", data, r.Name, changes))
	}
	return nil
}

func (r *Run) writePhotographs(rows []Listed) error {
	return r.WriteTable(PhotographsFile, photographsHeader, len(rows), func(i int) []string {
		return []string{rows[i].Split, rows[i].Path, rows[i].Label, rows[i].Digest}
	})
}

// maxPhotographs bounds the list: ten million photographs.
const maxPhotographs = 2 << 30

// Sides are the parts, train or valid, of the photographs that a run began with, by their paths. It is nil
// for a run of an earlier version, which has no list.
func Sides(run string) (map[string]string, error) {
	list, err := readPhotographs(filepath.Join(run, PhotographsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	sides := make(map[string]string, len(list))
	for _, p := range list {
		sides[scores.Rearm(p.Path)] = p.Split
	}
	return sides, err
}

func readPhotographs(path string) ([]Listed, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	defer f.Close()
	table := csv.NewReader(io.LimitReader(f, maxPhotographs))
	table.FieldsPerRecord, table.ReuseRecord = len(photographsHeader), true
	var out []Listed
	for line := 1; ; line++ {
		cells, err := table.Read()
		if errors.Is(err, io.EOF) && line > 1 {
			return out, nil
		}
		if err == nil && line == 1 && !slices.Equal(cells, photographsHeader) {
			err = fmt.Errorf("the header is %s", strings.Join(cells, ","))
		}
		if err != nil {
			return nil, failure.Data(fmt.Errorf("learner: %s: damaged: %w; take it from a backup, or train again with "+
				"--overwrite", path, err))
		}
		if line > 1 {
			out = append(out, Listed{cells[0], cells[1], cells[2], cells[3]})
		}
	}
}

// compare says in words what differs, "" for nothing.
func compare(was, now []Listed) string {
	type key struct{ split, path string }
	before, digests := make(map[key]Listed, len(was)), map[string]bool{}
	for _, p := range was {
		before[key{p.Split, p.Path}] = p
	}
	var gone, fresh, moved, labels, content []string
	var unknown []Listed
	for _, p := range now {
		b, ok := before[key{p.Split, p.Path}]
		delete(before, key{p.Split, p.Path})
		switch {
		case !ok:
			unknown = append(unknown, p)
		case b.Label != p.Label:
			labels = append(labels, p.Path)
		case b.Digest != p.Digest:
			content = append(content, p.Path)
		}
	}
	for _, b := range before {
		digests[b.Digest] = true
	}
	found := map[string]bool{}
	for _, p := range unknown {
		if digests[p.Digest] {
			moved, found[p.Digest] = append(moved, p.Path), true
		} else {
			fresh = append(fresh, p.Path)
		}
	}
	for _, b := range before {
		if !found[b.Digest] {
			gone = append(gone, b.Path)
		}
	}
	var parts []string
	for _, c := range []struct {
		what  string
		paths []string
	}{{"gone", gone}, {"new", fresh}, {"moved or renamed", moved}, {"labelled otherwise", labels}, {"with another content",
		content}} {
		if n := len(c.paths); n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s (%s%s)", n, c.what, slices.Min(c.paths),
				map[bool]string{true: ", …"}[n > 1]))
		}
	}
	return strings.Join(parts, ", ")
}
