package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/buckettest"
	"finetune/internal/store"
)

// With a real server, commands on buckets end in the bytes of those on folders: photographs,
// a run, a model, a job and tables, each in the bucket.
func TestCommandsOnARealBucket(t *testing.T) {
	place := buckettest.Real(t)
	k := newKiller(t)
	copyTo(t, filepath.Join(k.dir, "data"), place("in/data"))
	k.run("train", "data", "--run", "here", "--body=seed:resnet18:7", "--size=64", "--epochs", "1", "--no-report")
	k.run("score", "here", "data", "--no-cache", "-o", "here.csv")
	copyTo(t, filepath.Join(k.dir, "here"), place("runs/here"))
	k.run("score", place("runs/here"), place("in/data"), "--no-cache", "-o", place("out/scores.csv"))
	k.run("export", place("runs/here"), "-o", place("out/model.onnx"))
	k.run("evaluate", place("out/model.onnx"), place("in/data"))
	k.run("plan", "score", place("runs/here"), place("in/data"), place("jobs/one"), "--task-rows", "7")
	k.run("run", place("jobs/one"), "--workers", "2")
	k.run("merge", place("jobs/one"), "-o", place("out/merged.csv"))
	want, err := os.ReadFile(filepath.Join(k.dir, "here.csv"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), place("out"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range []string{"scores.csv", "merged.csv"} {
		if got, err := s.Get(t.Context(), name, 1<<20); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %v\n%.300s\nwant\n%.300s", name, err, got, want)
		}
	}
	left, _ := filepath.Glob(filepath.Join(k.dir, "home", "outgoing", "*"))
	if len(left) > 0 {
		t.Errorf("left behind: %s", strings.Join(left, ", "))
	}
}

// copyTo puts the files below a folder into a bucket.
func copyTo(t *testing.T, dir, place string) {
	t.Helper()
	from, err := store.Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	to, err := store.Open(context.Background(), place)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	err = from.List(t.Context(), "", func(e store.Entry) error {
		data, err := from.Get(t.Context(), e.Name, 1<<30)
		if err != nil {
			return err
		}
		return to.Put(t.Context(), e.Name, store.Bytes(data))
	})
	if err != nil {
		t.Fatal(err)
	}
}
