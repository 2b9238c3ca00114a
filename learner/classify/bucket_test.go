package classify

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/dataset"
	"finetune/internal/buckettest"
	"finetune/internal/learnertest"
	"finetune/internal/photos"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/learner/runs"
)

// Training, scoring and evaluation on photographs in a bucket end in the bytes of a folder.
func TestPhotographsInABucket(t *testing.T) {
	_, m := learnertest.Trained(t)
	b, dir := buckettest.New(t), t.TempDir()
	for _, part := range []string{"train", "valid"} {
		if err := photos.Write(filepath.Join(dir, part), []string{"circle", "square"}, 6); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "valid", "circle", "bad.jpg"), []byte("no picture"), 0o666); err != nil {
		t.Fatal(err)
	}
	b.Copy(t, dir, "a/b")
	files := map[string][]byte{}
	for i, place := range []string{dir, b.Place("a/b")} {
		run := filepath.Join(t.TempDir(), "run")
		m.Cache = filepath.Join(t.TempDir(), "cache")
		learnertest.TrainOn(t, run, runs.Config{Data: runs.DataConfig{Path: place, MaxBad: .5}, Machine: m,
			Body:   runs.BodyConfig{Name: "seed:resnet18:7", Precision: "float32"},
			Images: runs.Images{Size: 64, Augment: "flips", MaxZoom: 1.1, Crop: "random", Views: 2},
			Train: runs.Training{BatchSize: 4, LR: .01, Schedule: "constant", Epochs: 2, Momentum: .9, Optimiser: "sgd",
				Hidden: config.Widths{8}, Dropout: config.Shares{.25, .5}}})
		c, err := Open(run, m, uitest.Logged{T: t})
		if err != nil {
			t.Fatal(err)
		}
		items, _, err := dataset.Files(place)
		if err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out.csv")
		if _, err := c.Score(t.Context(), items, ScoreOptions{Output: out, Odd: OddFlag},
			uitest.Logged{T: t}); err != nil {
			t.Fatal(err)
		}
		for _, data := range []string{"", place} {
			e, err := c.Evaluate(t.Context(), runs.DataConfig{Path: data, MaxBad: .5}, ScoreOptions{Odd: OddFlag},
				uitest.Logged{T: t})
			if err != nil || e.Images != 12 || e.Skipped != 1 || e.Accuracy == 0 {
				t.Errorf("%q: %+v, %v", data, e, err)
			}
		}
		for _, file := range []string{out, filepath.Join(run, runs.HeadFile)} {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			name := filepath.Base(file)
			if i == 0 {
				files[name] = data
			} else if !bytes.Equal(data, files[name]) {
				t.Errorf("%s is another:\n%.2000s\nwant\n%.2000s", name, data, files[name])
			}
		}
		if !strings.Contains(string(files["out.csv"]), "valid/circle/bad.jpg,un") {
			t.Errorf("%s", files["out.csv"])
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
