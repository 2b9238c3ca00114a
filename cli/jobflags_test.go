package cli

import (
	"bytes"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// notOfRows are the flags of score that a plan does not carry, and why its rows are the same.
var notOfRows = map[string]string{
	"output": "merge's", "escape-formulas": "merge's", "strict": "an exit code", "shard": "work's", "threads": "work's",
	"workers": "work's", "no-cache": "a job has no cache", "cache": "a job has no cache", "no-lock": "a job needs no lock",
}

// Each flag of score is one of plan score, or does not change rows; each that does gives the
// table of score when the job is merged, which is not the table without it.
func TestScoreFlagsReachJobs(t *testing.T) {
	flags := func(c *cli.Command) (names []string) {
		for _, f := range c.Flags {
			names = append(names, f.Names()[0])
		}
		return names
	}
	var score, plan []string
	for _, c := range commands(Streams{}) {
		switch c.Name {
		case "score":
			score = flags(c)
		case "plan":
			plan = flags(c.Subcommands[0])
		}
	}
	if len(score) == 0 || len(plan) == 0 {
		t.Fatalf("score has the flags %v, plan score %v", score, plan)
	}
	for _, name := range score {
		if slices.Contains(plan, name) == (notOfRows[name] != "") {
			t.Errorf("--%s of score: in plan %v, else because it is %q", name, slices.Contains(plan, name), notOfRows[name])
		}
	}
	if testing.Short() {
		return
	}
	k := newKiller(t)
	k.run("train", "data", "--body=seed:resnet18:7", "--size=64", "--run", "r", "--epochs", "1", "--no-report")
	dir := filepath.Join(k.dir, "new")
	var stripes bytes.Buffer
	odd := image.NewGray(image.Rect(0, 0, 64, 64))
	for i := range odd.Pix {
		odd.Pix[i] = byte(i%2) * 255
	}
	for _, err := range []error{png.Encode(&stripes, odd), os.Mkdir(dir, 0o777),
		os.Rename(filepath.Join(k.dir, "data/valid/circle"), filepath.Join(dir, "b")),
		os.WriteFile(filepath.Join(dir, "=1+1.png"), stripes.Bytes(), 0o666),
		os.WriteFile(filepath.Join(dir, "b.png"), []byte("no picture"), 0o666),
		os.WriteFile(filepath.Join(dir, "b-x.png"), stripes.Bytes(), 0o666)} { // before b.png as a path, after b as an id
		if err != nil {
			t.Fatal(err)
		}
	}
	table := func(name string, args ...string) string {
		t.Helper()
		k.run(append([]string{"score", "r", "new", "--no-cache", "-o", name + ".csv"}, args...)...)
		data, err := os.ReadFile(filepath.Join(k.dir, name+".csv"))
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	plain := table("plain")
	cases := map[string][]string{"tta": {"2"}, "top": {"1"}, "threshold": {"0.9"}, "kaggle": {"square"},
		"coverage": {"0.6"}, "odd": {"reject"}, "raw": nil, "max-pixels": {"100"}, "device": {"cpu"}, "no-tf32": nil,
		"escape-formulas": nil}
	same := []string{"device", "no-tf32"} // on this machine
	for name, value := range cases {
		args := []string{strings.Join(append([]string{"--" + name}, value...), "=")}
		want := table(name, args...)
		if (want == plain) != slices.Contains(same, name) {
			t.Errorf("--%s: the table of score is that without the flag: %v", name, want == plain)
		}
		merge := []string{"merge", name, "-o", "got.csv"}
		if name == "escape-formulas" {
			args, merge = nil, append(merge, args...)
		}
		k.run(append([]string{"plan", "score", "r", "new", name, "--task-rows", "17"}, args...)...)
		k.run("work", name)
		k.run(merge...)
		got, err := os.ReadFile(filepath.Join(k.dir, "got.csv"))
		if err != nil || string(got) != want {
			t.Errorf("--%s: %v: the job's table differs from that of score:\n%.600s\nwant\n%.600s", name, err, got, want)
		}
		if err := os.RemoveAll(filepath.Join(k.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range plan {
		_, tried := cases[name]
		if !tried && !slices.Contains([]string{"task-rows", "quiet", "json"}, name) {
			t.Errorf("--%s of plan score is not tried here", name)
		}
	}
}
