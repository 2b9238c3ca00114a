// Package learnertest has a trained run for tests of what uses one.
package learnertest

import (
	"encoding/csv"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"finetune/internal/onnxtest"
	"finetune/internal/photos"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/learner/train"
)

// shared is a home and a run on synthetic photographs, made by the first test
// that needs them and only read.
var shared struct {
	sync.Once
	dir string
}

// Main runs the tests of a package and removes what Trained made.
func Main(m *testing.M) {
	code := m.Run()
	os.RemoveAll(shared.dir)
	os.Exit(code)
}

// Trained returns the shared run.
func Trained(t *testing.T) (run string, m runs.Machine) {
	t.Helper()
	onnxtest.Start(t)
	shared.Do(func() {
		var err error
		if shared.dir, err = os.MkdirTemp("", "learner"); err != nil {
			t.Fatal(err)
		}
	})
	onnxtest.Home(t, "cpu", filepath.Join(shared.dir, "home"))
	m = runs.Machine{Device: "cpu", Threads: 2, Workers: 2, Cache: filepath.Join(shared.dir, "cache")}
	run = filepath.Join(shared.dir, "run")
	if _, err := os.Stat(filepath.Join(run, runs.SummaryFile)); err != nil {
		trainShared(t, shared.dir, run, m)
	}
	return run, m
}

func trainShared(t *testing.T, dir, run string, m runs.Machine) {
	t.Helper()
	for part, n := range map[string]int{"train": 16, "valid": 8} {
		if err := photos.Write(filepath.Join(dir, "data", part), []string{"circle", "square"}, n); err != nil {
			t.Fatal(err)
		}
	}
	TrainOn(t, run, runs.Config{
		Data:   runs.DataConfig{Path: filepath.Join(dir, "data"), MaxBad: .1},
		Body:   runs.BodyConfig{Name: "seed:resnet18:7", Precision: "float32"},
		Images: runs.Images{Size: 64, Augment: "none", MaxZoom: 1.1, Crop: "random"}, Machine: m,
		Train: runs.Training{BatchSize: 16, LR: .01, Schedule: "constant", Epochs: 2, Momentum: .9, Optimiser: "sgd",
			Hidden: config.Widths{32}, Dropout: config.Shares{.25, .5}},
	})
}

// TrainOn trains and returns the run and what was left out.
func TrainOn(t *testing.T, run string, config runs.Config) (*runs.Run, []runs.Skipped) {
	t.Helper()
	l, err := features.Open(t.Context(), config, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	r, err := runs.Create(run, runs.Options{}, l.Config)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	f, err := l.Precompute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := train.Head(t.Context(), l, r, f, time.Now()); err != nil {
		t.Fatal(err)
	}
	return r, f.Skipped
}

// ReadTable reads a CSV of scores: rows by path, each by column.
func ReadTable(t *testing.T, path string) map[string]map[string]string {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines, err := csv.NewReader(f).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string]map[string]string{}
	for _, line := range lines[1:] {
		row := map[string]string{}
		for k, v := range line {
			row[lines[0][k]] = v
		}
		rows[line[0]] = row
	}
	return rows
}
