package scorejob

import (
	"bytes"
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
	n := New{Place: place, Model: run, Input: data, TaskRows: 4, Machine: m}
	j, err := Plan(t.Context(), n, uitest.Logged{T: t})
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
	o := classify.ScoreOptions{Output: out, NoCache: true}
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
		j, err := Plan(t.Context(), New{Place: filepath.Join(t.TempDir(), "j"), Model: run, Input: "-",
			In: strings.NewReader(tt.input), TaskRows: 100, Machine: m}, uitest.Logged{T: t})
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
	for _, bad := range []string{"", "{}", `{"model":"m"}`, `{"model":"m","root":"r","tta":-1}`,
		`{"model":"m","root":"r","shell":"rm"}`, `{"model":"m","root":"r","max_pixels":-5}`} {
		if _, err := parseOptions([]byte(bad)); err == nil {
			t.Errorf("%s was taken", bad)
		}
	}
	if o, err := parseOptions([]byte(`{"model":"m","root":"r","device":"cpu"}`)); err != nil || o.Root != "r" {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := Open(&job.Job{Spec: job.Spec{Kind: "other"}}, Here{}, uitest.Quiet{}); err == nil {
		t.Error("a job of another kind was opened")
	}
}

func TestPlanRefusesWhatCannotBeScored(t *testing.T) {
	run, m := learnertest.Trained(t)
	empty := t.TempDir()
	for name, tt := range map[string]struct {
		n    New
		kind failure.Kind
	}{
		"no model":   {New{Model: "nowhere", Input: empty, TaskRows: 4}, failure.UsageKind},
		"no folder":  {New{Model: run, Input: filepath.Join(empty, "none"), TaskRows: 4}, failure.DataKind},
		"no files":   {New{Model: run, Input: empty, TaskRows: 4}, failure.DataKind},
		"no paths":   {New{Model: run, Input: "-", In: strings.NewReader("\n\n"), TaskRows: 4}, failure.DataKind},
		"a bucket":   {New{Model: run, Input: "s3://photos", TaskRows: 4}, failure.UsageKind},
		"no rows":    {New{Model: run, Input: "-", In: strings.NewReader("a"), TaskRows: 0}, failure.UsageKind},
		"many wants": {New{Model: run, Input: "-", In: strings.NewReader("a"), TaskRows: 4, Options: Options{Top: 9}}, 2},
	} {
		tt.n.Place, tt.n.Machine = filepath.Join(t.TempDir(), "j"), m
		if _, err := Plan(t.Context(), tt.n, uitest.Logged{T: t}); failure.KindOf(err) != tt.kind {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(tt.n.Place); err == nil {
			t.Errorf("%s left a folder", name)
		}
	}
}
