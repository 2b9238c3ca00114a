package tasks

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/dataset"
	"finetune/internal/buckettest"
	"finetune/internal/failure"
	"finetune/internal/learnertest"
	"finetune/internal/photos"
	"finetune/internal/uitest"
	"finetune/job"
	"finetune/learner/classify"
	"finetune/learner/parts"
	"finetune/learner/runs"
	"finetune/scores"
)

// inputs are photographs in three forms, below a folder each: files, and tars of them.
func inputs(t *testing.T) (files, tars string) {
	t.Helper()
	files, tars = t.TempDir(), t.TempDir()
	if err := photos.Write(files, []string{"circle", "square"}, 6); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(files, "circle", "bad.jpg"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	pack(t, files, filepath.Join(tars, "train-b.tar"), 0, 2)
	pack(t, files, filepath.Join(tars, "val-a.tar"), 1, 2)
	return files, tars
}

// pack writes each step-th photograph from the first to a tar, with its class as a label.
func pack(t *testing.T, dir, to string, first, step int) {
	t.Helper()
	var file bytes.Buffer
	w, n := tar.NewWriter(&file), 0
	add := func(name string, data []byte) {
		err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		if n++; (n-1-first)%step != 0 {
			return nil
		}
		data, err := os.ReadFile(p)
		key := fmt.Sprintf("%03d", n)
		add(key+filepath.Ext(p), data)
		add(key+".cls", []byte(filepath.Base(filepath.Dir(p))))
		return err
	})
	if err == nil {
		err = w.Close()
	}
	if err == nil {
		err = os.WriteFile(to, file.Bytes(), 0o666)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func complete(t *testing.T, j *job.Job) error {
	t.Helper()
	c, err := Open(j, Here{Threads: 1, Workers: 2}, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	return j.Work(t.Context(), c, job.Share{I: 0, N: 1}, func(job.Done) error { return nil })
}

func table(t *testing.T, j *job.Job) string {
	t.Helper()
	var got bytes.Buffer
	err := j.Merge(t.Context(), func(columns []scores.Column, each func(yield func(scores.Row) error) error) error {
		return scores.WriteTo(&got, scores.CSV, columns, each, false)
	})
	if err != nil {
		t.Fatal(err)
	}
	return got.String()
}

// Wherever photographs are, in files or tars, on a disk or in a bucket, their job gives the
// table that score writes.
func TestJobsOverBucketsAndTars(t *testing.T) {
	run, m := learnertest.Trained(t)
	b := buckettest.New(t)
	files, tars := inputs(t)
	b.Copy(t, files, "in/files")
	b.Copy(t, tars, "in/tars")
	whole, err := classify.Open(run, m, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	for input, far := range map[string]string{files: "in/files", tars: "in/tars",
		filepath.Join(tars, "val-a.tar"): "in/tars/val-a.tar"} {
		items, _, err := dataset.Files(input)
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out.csv")
		o := classify.ScoreOptions{Output: out, NoCache: true, Odd: classify.OddFlag}
		if _, err := whole.Score(t.Context(), items, o, uitest.Logged{T: t}); err != nil {
			t.Fatal(err)
		}
		want, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		for _, place := range []string{input, b.Place(far)} {
			n := New{Place: filepath.Join(t.TempDir(), "j"), Input: place, TaskRows: 3}
			j, err := PlanScore(t.Context(), n, run, ScoreOptions{Odd: classify.OddFlag}, m, uitest.Logged{T: t})
			if err != nil {
				t.Fatal(err)
			}
			if err := complete(t, j); err != nil {
				t.Fatal(err)
			}
			if got := table(t, j); got != string(want) || strings.Count(got, "\n") < 6 {
				t.Errorf("%s:\n%s\nwant\n%s", place, got, want)
			}
			if err := j.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}

// Labels in tars become those of a job's rows, and tars are called after their part.
func TestLabelsInTars(t *testing.T) {
	_, m := learnertest.Trained(t)
	b := buckettest.New(t)
	_, tars := inputs(t)
	b.Copy(t, tars, "t")
	c := runs.Config{Machine: m, Body: runs.BodyConfig{Name: "seed:resnet18:7", Precision: "float32"},
		Images: runs.Images{Size: 64, Augment: "none", MaxZoom: 1.1, Crop: "random"}}
	var first string
	for _, place := range []string{tars, b.Place("t")} {
		n := New{Place: filepath.Join(t.TempDir(), "j"), Input: place, TaskRows: 4}
		j, err := PlanFeatures(t.Context(), n, c, uitest.Logged{T: t})
		if err != nil {
			t.Fatal(err)
		}
		if err := complete(t, j); err != nil {
			t.Fatal(err)
		}
		if first == "" {
			first = table(t, j)
		} else if got := table(t, j); got != first {
			t.Errorf("%.500s\nwant\n%.500s", got, first)
		}
		set, err := parts.Open(t.Context(), n.Place)
		if err != nil {
			t.Fatal(err)
		}
		if fmt.Sprint(set.Options.Labels.Classes, set.Rows(parts.Train), set.Rows(parts.Valid), set.Skipped) !=
			"[circle square] 6 6 1" {
			t.Errorf("%v, %d, %d, %d", set.Options.Labels.Classes, set.Rows(parts.Train), set.Rows(parts.Valid),
				set.Skipped)
		}
		if err := set.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A tar that was changed since it was planned over leaves no part.
func TestATarThatChanged(t *testing.T) {
	run, m := learnertest.Trained(t)
	files, tars := inputs(t)
	n := New{Place: filepath.Join(t.TempDir(), "j"), Input: tars, TaskRows: 3}
	j, err := PlanScore(t.Context(), n, run, ScoreOptions{}, m, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	shard := filepath.Join(tars, "train-b.tar")
	whole, err := os.ReadFile(shard)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(){
		"another":   func() { pack(t, files, shard, 1, 3) },
		"truncated": func() { _ = os.Truncate(shard, 2000) },
		"missing":   func() { _ = os.Remove(shard) },
	} {
		change()
		err := complete(t, j)
		if err == nil || !strings.Contains(err.Error(), "train-b.tar") ||
			name != "missing" && failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s: %v", name, err)
		}
		if s, err := j.Status(t.Context()); err != nil || s.RowsDone != int64(s.Status[scores.OK]) || s.Done > 2 {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		if err := os.WriteFile(shard, whole, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if err := complete(t, j); err != nil {
		t.Error(err)
	}
}
