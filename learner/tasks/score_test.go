package tasks

import (
	"bytes"
	"math"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/learnertest"
	"finetune/internal/photos"
	"finetune/internal/uitest"
	"finetune/job"
	"finetune/learner/classify"
	"finetune/learner/features"
	"finetune/learner/parts"
	"finetune/learner/runs"
	"finetune/scores"
)

func TestMain(m *testing.M) { learnertest.Main(m) }

// A job in a bucket gives the table that Score writes, of a folder and of a tar's members.
func TestAJobInABucketGivesTheTableOfScore(t *testing.T) {
	run, m := learnertest.Trained(t)
	data, backend := t.TempDir(), s3mem.New()
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	if err := backend.CreateBucket("jobs"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
	if err := photos.Write(data, []string{"circle", "square"}, 5); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "odd \\x41\xff\nname.jpg"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	place := "s3://jobs/a/b?region=us-east-1&use_path_style=true&endpoint=" + server.URL
	n := New{Place: place, Input: data, TaskRows: 4}
	j, err := PlanScore(t.Context(), n, run, ScoreOptions{Coverage: .8, Odd: classify.OddReject}, m, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	c, err := Open(j, Here{Threads: 1, Workers: 1}, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := j.Work(t.Context(), c, job.Share{I: 0, N: 1}, func(job.Done) error { return nil }); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	err = j.Merge(t.Context(), func(columns []scores.Column, each func(yield func(scores.Row) error) error) error {
		return scores.WriteTo(&got, scores.CSV, columns, each, false)
	})
	if err != nil {
		t.Fatal(err)
	}
	whole, err := classify.Open(run, m, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer whole.Close()
	items, _, err := dataset.Files(data)
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "out.csv")
	o := classify.ScoreOptions{Output: out, NoCache: true, Odd: classify.OddReject}
	o.Table.Coverage = .8
	if _, err := whole.Score(t.Context(), items, o, uitest.Logged{T: t}); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(out)
	if err != nil || got.String() != string(want) || !strings.Contains(got.String(), "unreadable") {
		t.Errorf("%v\n%s\nwant\n%s", err, got.String(), want)
	}
}

// A machine without the folder of the photographs leaves no part; single files may be missing.
func TestPhotographsThatAreNotHereLeaveNoPart(t *testing.T) {
	run, m := learnertest.Trained(t)
	here := t.TempDir()
	for name, tt := range map[string]struct {
		input string
		rows  int // 0: refused
	}{
		"no folder":  {"/nowhere/a.jpg\n/nowhere/b.jpg\n", 0},
		"few files":  {here + "/a.jpg\n" + here + "/b.jpg\n", 2},
		"many files": {numbered(here, 30), 0},
	} {
		j, err := PlanScore(t.Context(), New{Place: filepath.Join(t.TempDir(), "j"), Input: "-",
			In: strings.NewReader(tt.input), TaskRows: 100}, run, ScoreOptions{}, m, uitest.Logged{T: t})
		if err != nil {
			t.Fatal(err)
		}
		c, err := Open(j, Here{}, uitest.Logged{T: t})
		if err != nil {
			t.Fatal(err)
		}
		err = j.Work(t.Context(), c, job.Share{I: 0, N: 1}, func(job.Done) error { return nil })
		if refused := err != nil && strings.Contains(err.Error(), "--photographs"); refused != (tt.rows == 0) {
			t.Errorf("%s: %v", name, err)
		}
		if s, err := j.Status(t.Context()); err != nil || s.RowsDone != int64(tt.rows) {
			t.Errorf("%s: %+v, %v", name, s, err)
		}
		c.Close()
	}
}

func numbered(dir string, n int) (list string) {
	for i := range n {
		list += filepath.Join(dir, strconv.Itoa(i)) + ".jpg\n"
	}
	return list
}

func TestOptionsAreChecked(t *testing.T) {
	for _, kind := range []string{Score, parts.Kind, "other"} {
		for _, bad := range []string{`{}`, `{"model":"m"}`, `{"model":"m","root":"r","tta":-1}`, `{"body":3}`,
			`{"model":"m","root":"r","shell":"rm"}`, `{"model":"m","root":"r","max_pixels":-5}`} {
			j := &job.Job{Spec: job.Spec{Kind: kind, Options: []byte(bad)}}
			if _, err := Open(j, Here{}, uitest.Quiet{}); err == nil {
				t.Errorf("%s of kind %s was opened", bad, kind)
			}
		}
	}
}

func TestPlanRefusesWhatCannotBeScored(t *testing.T) {
	run, m := learnertest.Trained(t)
	empty := t.TempDir()
	list := func(text string) New { return New{Input: "-", In: strings.NewReader(text), TaskRows: 4} }
	for name, tt := range map[string]struct {
		n     New
		model string
		o     ScoreOptions
		kind  failure.Kind
	}{
		"no model":   {list("a"), "nowhere", ScoreOptions{}, failure.UsageKind},
		"no folder":  {New{Input: filepath.Join(empty, "none"), TaskRows: 4}, run, ScoreOptions{}, failure.DataKind},
		"no files":   {New{Input: empty, TaskRows: 4}, run, ScoreOptions{}, failure.DataKind},
		"no paths":   {list("\n\n"), run, ScoreOptions{}, failure.DataKind},
		"no bucket":  {New{Input: "s3://a:b@photos", TaskRows: 4}, run, ScoreOptions{}, failure.UsageKind},
		"no rows":    {New{Input: "-", In: strings.NewReader("a")}, run, ScoreOptions{}, failure.UsageKind},
		"many wants": {list("a"), run, ScoreOptions{Top: 9}, failure.UsageKind},
	} {
		tt.n.Place = filepath.Join(t.TempDir(), "j")
		if _, err := PlanScore(t.Context(), tt.n, tt.model, tt.o, m, uitest.Logged{T: t}); failure.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(tt.n.Place); err == nil {
			t.Errorf("%s left a folder", name)
		}
	}
	c := runs.Config{Body: runs.BodyConfig{Precision: runs.Int8}}
	if _, err := PlanFeatures(t.Context(), list("a"), c, uitest.Quiet{}); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("int8: %v", err)
	}
}

// The features of a job are those that training caches.
func TestFeaturesOfAJobAreThoseThatAreCached(t *testing.T) {
	_, m := learnertest.Trained(t)
	data := t.TempDir()
	for _, split := range []string{"train", "valid"} {
		if err := photos.Write(filepath.Join(data, split), []string{"circle", "square"}, 3); err != nil {
			t.Fatal(err)
		}
	}
	config := runs.Config{Data: runs.DataConfig{Path: data}, Machine: m,
		Body:   runs.BodyConfig{Name: "seed:resnet18:7", Precision: "float32"},
		Images: runs.Images{Size: 64, Augment: "none", MaxZoom: 1.1, Crop: "random"}}
	s, err := features.Open(t.Context(), config, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	f, err := s.Precompute(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]float32{}
	for _, split := range []features.Split{f.Train, f.Valid} {
		for i, it := range split.Items {
			want[it.Path] = split.Rows[i]
		}
	}
	if err := os.WriteFile(filepath.Join(data, "train", "circle", "bad.jpg"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	n := New{Place: filepath.Join(t.TempDir(), "j"), Input: data, TaskRows: 5}
	j, err := PlanFeatures(t.Context(), n, config, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	c, err := Open(j, Here{Threads: 1, Workers: 1}, uitest.Logged{T: t})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := j.Work(t.Context(), c, job.Share{I: 0, N: 1}, func(job.Done) error { return nil }); err != nil {
		t.Fatal(err)
	}
	seen := 0
	err = j.Merge(t.Context(), func(columns []scores.Column, each func(yield func(scores.Row) error) error) error {
		return each(func(r scores.Row) error {
			row, ok := want[r[0].Text]
			if r[1].Text != scores.OK {
				if r[0].Text != "train/circle/bad.jpg" || !math.IsNaN(float64(r[5].Number)) {
					t.Errorf("%v", r[:6])
				}
				return nil
			}
			seen++
			if !ok || len(row)+5 != len(r) || columns[5].Name != "f_0" {
				t.Fatalf("%s: %d features, want %d", r[0].Text, len(r)-5, len(row))
			}
			if split, label := r[4].Text, r[3].Text; !strings.HasPrefix(r[0].Text, split+"/"+label+"/") {
				t.Errorf("%s is a %s of the split %s", r[0].Text, label, split)
			}
			for k, v := range row {
				if r[k+5].Number != v {
					t.Fatalf("%s: feature %d is %v, want %v", r[0].Text, k, r[k+5].Number, v)
				}
			}
			return nil
		})
	})
	if err != nil || seen != 12 {
		t.Errorf("%d rows, %v", seen, err)
	}
}
