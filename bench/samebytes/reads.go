//go:build unix

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// reading is one thing that the new program does with what the old one left, and
// the files of both that must then be equal.
type reading struct {
	job
	was, is string // the file that the old program wrote and the one that the new one writes now
}

// readings are done in this order on one copy of the old program's folder.
var readings = []reading{
	{job: job{args: "report head"}},
	{job{args: "evaluate head --json", into: "read-evaluated.json"}, "evaluated/head.json", "read-evaluated.json"},
	{job{args: "evaluate tuned --json", into: "read-tuned.json"}, "evaluated/tuned.json", "read-tuned.json"},
	{job{args: "score head DATA/valid -o read.csv"}, "scores/head.csv", "read.csv"},
	{job{args: "score head DATA/valid --tta 2 -o read-tta.csv"}, "scores/tta.csv", "read-tta.csv"},
	{job{args: "score int8 DATA/valid -o read-int8.csv"}, "scores/int8.csv", "read-int8.csv"},
	{job{args: "score tuned DATA/valid -o read-tuned.csv"}, "scores/tuned.csv", "read-tuned.csv"},
	{job{args: "score exported/head.onnx DATA/valid --no-cache -o read-m.csv"}, "scores/exported.csv", "read-m.csv"},
	{job: job{args: "evaluate exported/head.onnx DATA/valid --json"}},
	{job{args: "export head -o read.onnx"}, "exported/head.onnx", "read.onnx"},
	{job: job{args: trainLong + "killed-unfinished --resume"}},
	{job: job{args: tuneLong + "tuned-killed-unfinished --resume"}},
	{job: job{args: "train --run head --resume --no-report"}}, // finished: prints its result
	{job: job{args: "cache ls"}},
}

// readsBack has a program work on a copy of the folder that another one left. What
// is amiss is unread; err says that the trial itself failed.
func (t trial) readsBack(program, left string) (unread, err error) {
	if err := os.CopyFS(t.dir, os.DirFS(left)); err != nil {
		return nil, err
	}
	if err := errors.Join(os.Remove(t.program()), os.Link(program, t.program())); err != nil {
		return nil, err
	}
	unread = t.usesCache()
	for _, r := range readings {
		if err := t.do(r.job); err != nil {
			unread = errors.Join(unread, fmt.Errorf("reading: finetune %s: %w", r.args, err))
		} else if r.was != "" {
			unread = errors.Join(unread, t.equal(r.was, r.is))
		}
	}
	unread = errors.Join(unread, t.sameAsWhole("-unfinished"))
	if unread == nil {
		fmt.Println("all of it is read, with the same results; the killed runs end in the bytes of those never stopped")
	}
	return unread, nil
}

// usesCache has the program precompute what is cached and fails where it computes anything.
func (t trial) usesCache() error {
	j := job{args: "precompute DATA --json", into: "read-cache.json"}
	if err := t.do(j); err != nil {
		return fmt.Errorf("reading: finetune %s: %w", j.args, err)
	}
	var counts struct{ Computed, Train, Valid *int }
	data, err := os.ReadFile(filepath.Join(t.dir, j.into))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, &counts); err != nil {
		return fmt.Errorf("finetune %s: %w", j.args, err)
	}
	known := counts.Computed != nil && counts.Train != nil && counts.Valid != nil
	if !known || *counts.Computed != 0 || *counts.Train == 0 {
		return fmt.Errorf("finetune %s: not all features came from the old program's cache: %s", j.args, data)
	}
	fmt.Printf("           the cache is used: %d photographs, none computed\n", *counts.Train+*counts.Valid)
	return nil
}
