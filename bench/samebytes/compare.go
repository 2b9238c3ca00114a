//go:build unix

package main

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// exception is files that may differ.
type exception struct {
	glob   string // of the file's name, or of its whole path where it holds a slash
	reason string
	strip  func([]byte) ([]byte, error) // leaves out what may differ, and the rest must be equal; nil: all of it may
}

// change is an exception for what a later version makes otherwise on purpose. It holds
// while the older program is one from before the change: where that one made a file of
// its own called file, in which text stands, both must make the same.
type change struct {
	exception
	file, text string
}

const newStage = "recipe/steps/linear/summary.json"

// changed are the changes since 526883a.
var changed = []change{
	{exception{"home/audits/*", "findings of the audit are kept", nil}, "home/audits/*", ""},
	{exception{"recipe/steps/linear/*", "a stage that recipes did not have", nil}, newStage, ""},
	{exception{"recipe/recipe.csv", "has a row more; stages have other names, and seconds", stripStages}, newStage, ""},
	copied("SHA256SUMS"), copied("config.json"), copied("head.safetensors"), copied("history.csv"), copied("model.onnx"),
	copied("neighbours.csv"), copied("predictions.csv"), copied("report/*"), copied("steps.csv"), copied("summary.json"),
	copied("body.json"), copied("body.onnx"), copied("checkpoint.safetensors"),
	{exception{"*/report/confusion.png", "says predicted for called", nil}, aPage, newWords},
	{exception{"*/report/reliability.png", "says underconfident, and accuracy for share right", nil}, aPage, newWords},
	{exception{"*/report/loss-by-step.png", "counts one step, not 1 steps", nil}, aPage, newWords},
	{exception{"*/report/scores.png", "says hardest class", nil}, aPage, newWords},
}

// copied is a file of a recipe's run that is one of its best stage, or made from it.
// Which stage that is, and that the files are copied, trial.copiesStage checks.
func copied(name string) change {
	return change{exception{"recipe/" + name, "the new stage may be the best, whose files a recipe's run copies", nil},
		newStage, ""}
}

const (
	aPage    = "head/report/index.html"
	newWords = "accuracy of always predicting"
)

// inForce are the changes that the folder of the older program is from before.
func inForce(old string) (list []exception, err error) {
	for _, c := range changed {
		files, err := filepath.Glob(filepath.Join(old, filepath.FromSlash(c.file)))
		if err != nil {
			return nil, err
		}
		after := false
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				return nil, err
			}
			after = after || bytes.Contains(data, []byte(c.text))
		}
		if !after {
			list = append(list, c.exception)
		}
	}
	return ofTunedBody(old, list)
}

// ofTunedBody adds the cache of the recipe's fine-tuned body, which its export fills
// where that was the best stage, if files of that stage may differ.
func ofTunedBody(old string, list []exception) ([]exception, error) {
	var body struct{ Digest string }
	data, err := os.ReadFile(filepath.Join(old, "recipe/body.json"))
	if covering(list, "recipe/body.onnx") < 0 || errors.Is(err, fs.ErrNotExist) {
		return list, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &body)
	}
	keys, bad := filepath.Glob(filepath.Join(old, "home/cache/*/key.json"))
	if err = errors.Join(err, bad); err != nil || body.Digest == "" {
		return nil, fmt.Errorf("recipe/body.json: no digest (%w)", err)
	}
	for _, key := range keys {
		data, err := os.ReadFile(key)
		if err != nil {
			return nil, err
		}
		if bytes.Contains(data, []byte(body.Digest)) {
			cache := "home/cache/" + filepath.Base(filepath.Dir(key)) + "/*"
			list = append(list, exception{cache, "features of the recipe's fine-tuned body, where that was the best", nil})
		}
	}
	return list, nil
}

// timed are the files that differ between two runs of one program, or may in another version without harm.
var timed = []exception{
	{"summary.json", "holds seconds", stripJSON},
	{"evaluated/*.json", "holds seconds", stripJSON},
	{"history.csv", "holds seconds", stripColumn},
	{"recipe.csv", "holds seconds", stripColumn},
	{"*-unfinished/state.safetensors", "a run was killed at another step", nil},
	{"*-unfinished/.*[0-9]", "a file that was being written when the run was killed", nil},
	{"state.safetensors", "the history in it holds seconds, and its checksum covers them", stripState},
	{"report/index.html", "holds seconds", stripPage},
	{"*/report/index.html", "holds seconds", stripPage},
	{"*/report/gains.png", "draws seconds", nil},
	{"training_model.onnx", "its nodes may have other names; what it trained is in checkpoints, which are equal", nil},
}

// exceptions are all files that may differ: those named, those that hold seconds, and the digests of both.
func exceptions(named []exception) []exception {
	list := append(slices.Clone(named), timed...)
	sums := func(data []byte) ([]byte, error) { return stripSums(data, list) }
	return append(list, exception{"SHA256SUMS", "holds digests of files that may differ", sums})
}

func (e exception) covers(name string) bool {
	if !strings.Contains(e.glob, "/") {
		name = path.Base(name)
	}
	ok, _ := path.Match(e.glob, name)
	return ok
}

// outside are parts of a trial's folder that its program did not make.
func outside(name string) bool {
	return name == "finetune" || slices.ContainsFunc(downloads, func(d string) bool {
		return strings.HasPrefix(name, "home/"+d+"/")
	})
}

// digests are those of all files below a folder that the trial made, by path. The
// shards of a cache count as one file, DIR/*.arrow: its rows in order.
func digests(dir string, list []exception) (map[string]string, error) {
	all, rows := map[string]string{}, map[string][]string{}
	err := filepath.WalkDir(dir, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, file)
		if err != nil || outside(filepath.ToSlash(name)) {
			return err
		}
		name = filepath.ToSlash(name)
		data, err := os.ReadFile(file)
		if dir, base := path.Split(name); err == nil && path.Ext(base) == ".arrow" {
			rows[dir], err = appendRows(rows[dir], data)
			if err != nil {
				err = fmt.Errorf("%s: %w", file, err)
			}
			return err
		}
		if i := covering(list, name); err == nil && i >= 0 && list[i].strip != nil {
			data, err = list[i].strip(data)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		all[name] = fmt.Sprintf("%x", sha256.Sum256(data))
		return nil
	})
	for dir, list := range rows {
		slices.Sort(list)
		all[dir+"*.arrow"] = fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(list, "\n"))))
	}
	return all, err
}

func appendRows(rows []string, shard []byte) ([]string, error) {
	more, err := rowsOf(shard)
	return append(rows, more...), err
}

func covering(list []exception, name string) int {
	return slices.IndexFunc(list, func(e exception) bool { return e.covers(name) })
}

// compare lists every file of both folders, and fails on differences without a reason.
func compare(w io.Writer, old, now string, list []exception) error {
	a, errA := digests(old, list)
	b, errB := digests(now, list)
	if err := errors.Join(errA, errB); err != nil {
		return err
	}
	names := maps.Clone(a)
	maps.Copy(names, b)
	same, explained, unexplained := 0, 0, 0
	for _, name := range slices.Sorted(maps.Keys(names)) {
		i := covering(list, name)
		switch {
		case a[name] == b[name] && i >= 0 && list[i].strip != nil:
			same++
			fmt.Fprintf(w, "same       %.12s  %s, but for what %s\n", a[name], name, list[i].reason)
		case a[name] == b[name]:
			same++
			fmt.Fprintf(w, "same       %.12s  %s\n", a[name], name)
		case i >= 0 && list[i].strip == nil:
			explained++
			fmt.Fprintf(w, "may differ %.12s  %.12s  %s: %s\n", text(a[name]), text(b[name]), name, list[i].reason)
		default:
			unexplained++
			fmt.Fprintf(w, "DIFFERENT  %.12s  %.12s  %s\n", text(a[name]), text(b[name]), name)
		}
	}
	fmt.Fprintf(w, "%d files the same, %d differ and may, %d differ\n", same, explained, unexplained)
	if unexplained > 0 {
		return fmt.Errorf("%d files differ without a reason; see DIFFERENT above", unexplained)
	}
	return nil
}

// text is a digest, or that the file is not there.
func text(digest string) string { return cmp.Or(digest, "absent......") }
