package cli

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/durable"
	"finetune/internal/photos"
)

// own are the files of a user that lie in and beside a run of the bench.
var own = []string{"run/notes.txt", "run/report/thesis.txt", "run/mine/a.txt"}

// overwrite is the command that replaces the bench's run.
func overwrite(more ...string) []string {
	return append([]string{"train", "data", "--body", "tiny.onnx", "--cache", "cache", "--run", "run", "--overwrite",
		"--epochs", "1", "--hidden", "8", "--no-report"}, more...)
}

// A folder that holds no run of ours is left alone, whatever is in it.
func TestOverwriteLeavesOthersFoldersAlone(t *testing.T) {
	b := newFaultBench(t)
	for name, files := range map[string][]string{
		"names that a run has": {"report/my.txt", "steps/my.txt", "features/my.txt", "artifacts/my.txt", "history.csv",
			"model.onnx", "body.onnx"},
		"a config.json of others":   {"config.json", "model.safetensors"},
		"their list of checksums":   {"config.json", "SHA256SUMS", "tokenizer.json"},
		"one file":                  {"thesis.txt"},
		"a hidden file":             {".keepme1234567890"},
		"a half-written file alone": {".history.csv1234567890123"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, more := range [][]string{nil, {"--hidden", "0"}, {"--resume"}} {
				b.start(t)
				for _, f := range files {
					text := `{"architectures": ["ViT"], "data": 1}`
					if filepath.Base(f) == "SHA256SUMS" {
						text = strings.Repeat("0", 64) + "  config.json\n"
					}
					check(t, durable.WriteFile(filepath.Join("theirs", f), []byte(text)))
				}
				before := b.files(t)
				code, out := b.call(append(overwrite(), append([]string{"--run", "theirs"}, more...)...)...)
				told := strings.Contains(out, "theirs: the folder is not empty and is not a run") &&
					strings.Contains(out, "--run")
				if code != 2 || !told && !slices.Contains(more, "--hidden") { // flags are looked at first
					t.Errorf("%v: exit code %d\n%s", more, code, out)
				}
				if after := b.files(t); !maps.Equal(before, after) {
					t.Errorf("%v: files changed: %v", more, differ(before, after))
				}
			}
		})
	}
}

// refused are flags and data that cannot be trained, each refused at another place.
var refused = [][]string{
	{"--hidden", "0"}, {"--hidden", "x"}, {"--dropout", "2"}, {"--dropout", "x"}, {"--dropout", "0.1,0.1,0.1"},
	{"--label-smoothing", "1"}, {"--balance", "weigths"}, {"--optimiser", "lion"}, {"--clip", "-1"},
	{"--lr", "0"}, {"--lr", "-1"}, {"--schedule", "linear"}, {"--schedule", "clr", "--epochs", "0", "--clr", "1,2,3"},
	{"--epochs", "0", "--cycles", "0"}, {"--epochs", "0", "--cycle-len", "0"}, {"--epochs", "0", "--cycle-mult", "0"},
	{"--patience", "2", "--swa", "1"}, {"--best", "--swa", "1"}, {"--lrs", "1e-3"}, {"--freeze-to", "1"}, {"--bn-freeze"},
	{"--micro-batch", "4"},
	{"--unfreeze", "--freeze-to", "-1"}, {"--unfreeze", "--freeze-to", "9"}, {"--unfreeze", "--micro-batch", "1"},
	{"--unfreeze", "--bn-momentum", "2"},
	{"--unfreeze", "--lrs", "1,1,1,1,1"}, {"--unfreeze", "--optimiser", "lion"},
	{"--load", "nothing"}, {"--save", "../x"}, {"--save", "a/b"},
	{"--batch-size", "1"}, {"--body", "nothing"}, {"--body", "data/train/circle/000.png"}, {"--body-precision", "int4"},
	{"--cut", "nothing"},
	{"--size", "-1"}, {"--mean", "1,2"}, {"--std", "x,y,z"}, {"--layout", "chw"}, {"--resample", "nearest"},
	{"--crop", "left"},
	{"--augment", "upside-down"}, {"--augment", "basic", "--pad", "-1"},
	{"--valid-pct", "2"}, {"--labels", "nothing.csv"}, {"--label-sep", ";"}, {"--max-bad", "x"},
	{"--threads", "x"}, {"--seed", "-1"}, {"--no-such-flag"}, {"more"},
}

// Every flag and the data are looked at before the run that is there is touched.
func TestOverwriteRefusedLeavesTheOldRun(t *testing.T) {
	b := newFaultBench(t)
	b.start(t)
	before := b.files(t)
	for _, more := range refused {
		b.leavesAll(t, before, overwrite(more...))
	}
	t.Logf("%d refused command lines", len(refused))

	// Data that is found unusable late, when its photographs are decoded.
	check(t, photos.Write("bad/train", []string{"circle", "square"}, 3))
	check(t, photos.Write("bad/valid", []string{"circle", "square"}, 3))
	for _, name := range []string{"000.png", "001.png"} {
		check(t, os.WriteFile(filepath.Join("bad/train/circle", name), []byte("\xff\xd8\xff\xe0 no photograph"), 0o666))
	}
	check(t, os.MkdirAll("empty", 0o777))
	before = b.files(t)
	line := overwrite()
	for _, data := range []string{"bad", "empty", "nothing"} {
		line[1] = data
		b.leavesAll(t, before, line)
	}
}

// leavesAll runs a command that must fail and must not change anything but the caches.
func (b *faultBench) leavesAll(t *testing.T, before map[string]string, args []string) {
	t.Helper()
	code, out := b.call(args...)
	if code == 0 {
		t.Errorf("finetune %v: exit code 0", args)
		b.start(t)
		return
	}
	if strings.Contains(out, "panic") {
		t.Errorf("finetune %v: %s", args, out)
	}
	for name, content := range before {
		if strings.HasPrefix(name, "run/") || !strings.HasPrefix(name, "cache/") {
			if got, err := os.ReadFile(name); err != nil || string(got) != content {
				t.Errorf("finetune %v: %s is not what it was: %v\n%s", args, name, err, out)
			}
		}
	}
	for _, left := range []string{"run.new", "run.replaced", "run/.new-run"} {
		if _, err := os.Lstat(left); err == nil {
			t.Errorf("finetune %v: %s is left\n%s", args, left, out)
		}
	}
}

// What a user keeps in a run's folder moves into the new run.
func TestOverwriteCarriesOthersFilesOver(t *testing.T) {
	b := newFaultBench(t)
	b.start(t)
	b.run(t, overwrite("--save", "kept")...)
	mine := append([]string{"run/body.onnx", "run/steps/plan.txt", "run/artifacts/sketch.txt", "run/saved/readme.txt",
		"run/.hidden", "run/.keepme1234567890", "run/report/figure.png"}, own...)
	for _, name := range mine {
		check(t, durable.WriteFile(name, []byte("of mine: "+name)))
	}
	check(t, os.MkdirAll("run/empty", 0o777))
	check(t, os.Symlink("../data", "run/photos"))
	b.run(t, overwrite("--load", "kept", "--seed", "5")...) // a name saved in the run that is replaced
	for _, name := range mine {
		if got, err := os.ReadFile(name); err != nil || string(got) != "of mine: "+name {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	for _, name := range []string{"run/empty", "run/photos/train", "run/saved/kept.safetensors"} {
		if _, err := os.Stat(name); err != nil {
			t.Error(err)
		}
	}
	if _, err := os.Stat("run/report/index.html"); err == nil {
		t.Error("the old run's report is left, and the new one has none")
	}
	b.run(t, overwrite("--unfreeze", "--lrs", "1e-3")...) // now it has a body.onnx of its own
	if got, err := os.ReadFile("run/body.onnx.old"); err != nil || string(got) != "of mine: run/body.onnx" {
		t.Errorf("run/body.onnx.old: %q, %v", got, err)
	}
	b.run(t, "score", "run", "unlabelled", "--cache", "cache", "-o", "scores.csv")
	entries, err := filepath.Glob("run*")
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the run: %v, %v", entries, err)
	}
}

// differ lists the names whose content is not equal in both.
func differ(a, b map[string]string) (out []string) {
	for name := range a {
		if a[name] != b[name] {
			out = append(out, fmt.Sprintf("%s (%d -> %d bytes)", name, len(a[name]), len(b[name])))
		}
	}
	for name := range b {
		if _, ok := a[name]; !ok {
			out = append(out, name+" (new)")
		}
	}
	return out
}
