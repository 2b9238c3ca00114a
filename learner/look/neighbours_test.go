package look_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/dataset"
	"finetune/learner/features"
	"finetune/learner/look"
	"finetune/learner/runs"
)

func TestNeighboursOfMistakes(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	train := features.Split{
		Items: []dataset.Item{
			{Path: "far", File: file("far", "1"), Label: 0},
			{Path: "copy", File: file("copy", "same"), Label: 1},
			{Path: "near", File: file("near", "2"), Label: 1},
			{Path: "off", File: file("off", "3"), Label: 0},
		},
		Rows: [][]float32{{-1, 0, 3}, {2, 2, 0}, {2, 1.8, 0}, {0, -2, 1}},
	}
	valid := features.Split{
		Items: []dataset.Item{{Path: "right", Label: 1}, {Path: "wrong", File: file("wrong", "same"), Label: 0}},
		Rows:  [][]float32{{1, 1, 1}, {2, 2, 0}},
	}
	logp := []float32{-3, -.1, -2, -.2} // both say class 1
	got := look.Neighbours(valid, train, logp, 2)
	if len(got) != 3 {
		t.Fatalf("%d neighbours, want 3 of the one mistake", len(got))
	}
	if n := got[0]; n.Path != "wrong" || n.Neighbour != "copy" || !n.Duplicate || n.Distance > 1e-6 || n.Rank != 1 {
		t.Errorf("nearest is %+v, want the copy", n)
	}
	if n := got[1]; n.Neighbour != "near" || n.Duplicate || n.Distance <= got[0].Distance || n.Distance > .05 {
		t.Errorf("second is %+v, want near", n)
	}
}

func TestNoMistakesNoNeighbours(t *testing.T) {
	one := features.Split{Items: []dataset.Item{{Label: 0}}, Rows: [][]float32{{1, 2}}}
	if got := look.Neighbours(one, one, []float32{-.1, -3}, 2); got != nil {
		t.Errorf("%+v", got)
	}
}

func FuzzTable(f *testing.F) {
	f.Add("split,path,label,predicted,logp_a\nvalid,x.png,a,a,-0.1\n")
	f.Add("step,epoch,lr,momentum,loss\n0,0,0.01,0.9,nan\n")
	f.Add("\"")
	f.Fuzz(func(t *testing.T, text string) {
		_ = runs.ScanTable(strings.NewReader(text), []string{"path"}, func(cells map[string]string, header []string) error {
			c := runs.CellReader{Cells: cells}
			c.Float("logp_a")
			return c.Err
		})
	})
}

// A run's JSON is read within bounds and never panics.
func FuzzRunJSON(f *testing.F) {
	f.Add([]byte(`{"classes":["a","b"],"train":{"lrs":[0.1],"cycles":3},"valid":{"loss":1e400}}`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		dir := t.TempDir()
		for _, name := range []string{runs.ConfigFile, runs.SummaryFile} {
			if err := os.WriteFile(filepath.Join(dir, name), data, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		_, _ = runs.ReadConfig(dir)
		_, _ = runs.ReadSummary(dir)
	})
}

func TestRunJSONIsBounded(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, runs.ConfigFile)
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, 1<<40); err != nil {
		t.Skip("no sparse files here:", err)
	}
	if _, err := runs.ReadConfig(dir); err == nil || !strings.Contains(err.Error(), "more than 16 MB") {
		t.Errorf("a terabyte of config.json: %v", err)
	}
}
