package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/durable"
	"finetune/internal/faults"
	"finetune/internal/onnxtest"
	"finetune/internal/photos"
	"finetune/internal/rng"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
	"finetune/onnx/weights"
)

// faultCase is a command, and how a user goes on after it failed.
type faultCase struct {
	name    string
	args    []string
	again   func(dir string) []string // nil: the same once more
	outputs []string                  // files that must come out equal; a folder stands for all in it
}

var faultCases = []faultCase{
	{"precompute", []string{"precompute", "data", "--body", "tiny.onnx", "--cache", "new-cache"}, nil,
		[]string{"new-cache"}},
	{"audit", []string{"audit", "data", "--body", "tiny.onnx", "--cache", "cache", "-o", "found"}, nil, []string{"found"}},
	{
		"train", []string{"train", "data", "--body", "tiny.onnx", "--cache", "cache", "--run", "new", "--snapshots", "--save",
			"kept", "--cycles", "2", "--batch-size", "4", "--hidden", "8", "--no-report"},
		func(dir string) []string {
			if _, err := os.Stat(filepath.Join(dir, "new", "config.json")); err == nil {
				return []string{"train", "--run", "new", "--resume", "--cache", "cache", "--no-report"}
			}
			return nil
		},
		[]string{"new/head.safetensors", "new/predictions.csv", "new/steps.csv", "new/skipped.csv", "new/neighbours.csv",
			"new/photographs.csv", "new/saved"},
	},
	{
		"unfreeze", []string{"train", "data", "--body", "tiny.onnx", "--cache", "cache", "--run", "new", "--unfreeze",
			"--lrs", "1e-3,1e-2", "--epochs", "1", "--batch-size", "4", "--hidden", "8", "--no-report"},
		func(dir string) []string {
			if _, err := os.Stat(filepath.Join(dir, "new", "config.json")); err == nil {
				return []string{"train", "--run", "new", "--resume", "--cache", "cache", "--no-report"}
			}
			return nil
		},
		[]string{"new/head.safetensors", "new/checkpoint.safetensors", "new/predictions.csv", "new/steps.csv",
			"new/body.onnx", "new/body.json"},
	},
	{"overwrite", []string{"train", "data", "--body", "tiny.onnx", "--cache", "cache", "--run", "run", "--overwrite",
		"--epochs", "1", "--hidden", "8", "--no-report"}, nil,
		[]string{"run/head.safetensors", "run/predictions.csv", "run/steps.csv", "run/notes.txt", "run/report/thesis.txt",
			"run/mine/a.txt"}},
	{"report", []string{"report", "run"}, nil, []string{"run/report"}},
	{"score csv", []string{"score", "run", "unlabelled", "--cache", "new-cache", "-o", "scores.csv"}, nil,
		[]string{"scores.csv", "new-cache"}},
	{"score jsonl", []string{"score", "run", "unlabelled", "--cache", "cache", "-o", "scores.jsonl"}, nil,
		[]string{"scores.jsonl"}},
	{"score parquet", []string{"score", "run", "unlabelled", "--no-cache", "-o", "scores.parquet"}, nil,
		[]string{"scores.parquet"}},
	{"export", []string{"export", "run", "--cache", "cache", "-o", "model.onnx"}, nil, []string{"model.onnx"}},
	{"lr-find", []string{"lr-find", "data", "--body", "tiny.onnx", "--cache", "cache", "--hidden", "8", "--tries", "4",
		"-o", "lr.png"}, nil, []string{"lr.png", "lr.csv"}},
	{"preview", []string{"preview", "data", "--body", "tiny.onnx", "-o", "grid.png"}, nil, []string{"grid.png"}},
	{"import", []string{"import", "resnet18", "--weights", "resnet18.safetensors", "-o", "body.onnx"}, nil,
		[]string{"body.onnx", "body.json"}},
}

// TestFaults makes each step of each write of each command go wrong: a full
// disk, a failing one, a crash. The command must say which file and why, leave
// only whole files, and end in the same bytes when it is run again. By default
// a step is drawn for each kind; FINETUNE_FAULTS=all tries every one, which
// takes a quarter of an hour.
func TestFaults(t *testing.T) {
	b := newFaultBench(t)
	counts := map[faults.Kind]int{}
	for _, c := range faultCases {
		t.Run(c.name, func(t *testing.T) {
			b.start(t)
			before := b.files(t)
			steps := b.whole(t, c)
			after := b.files(t)
			want := outputs(after, c.outputs)
			if len(want) < len(c.outputs) {
				t.Fatalf("%v wrote %v, not all of %v", c.args, slices.Sorted(maps.Keys(want)), c.outputs)
			}
			for _, kind := range []faults.Kind{faults.Full, faults.Error, faults.Kill} {
				for _, at := range chooseSteps(kind, len(steps)) {
					b.start(t)
					what := fmt.Sprintf("%s at step %d of %d (%s %s)", kind, at, len(steps), steps[at].Step,
						rel(b.dir, steps[at].Path))
					b.disturb(t, c, kind, at, what)
					b.onlyWhole(t, before, after, what)
					b.mend(t, c, what)
					got := b.files(t)
					for name, content := range want {
						if got[name] != content {
							t.Errorf("%s: %s differs from an undisturbed run's", what, name)
						}
					}
					for name := range outputs(got, []string{"run.new", "run.replaced", "run/.new-run"}) {
						t.Errorf("%s: %s is left", what, name)
					}
					for name := range outputs(got, c.outputs) {
						if _, ok := want[name]; !ok && !temporary(name) {
							t.Errorf("%s: %s is left, which an undisturbed run does not have", what, name)
						}
					}
					counts[kind]++
				}
			}
		})
	}
	t.Logf("injected: %v", counts)
}

// chooseSteps draws one of n steps, or takes all.
func chooseSteps(kind faults.Kind, n int) []int {
	if os.Getenv("FINETUNE_FAULTS") != "all" {
		return []int{rng.New(rng.Text("faults"), rng.Text(string(kind)), uint64(n)).Intn(n)}
	}
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// faultBench is a folder that is put back before each trial: photographs, a
// small body, a cache and a finished run.
type faultBench struct{ base, dir, home string }

func newFaultBench(t *testing.T) *faultBench {
	t.Helper()
	root := t.TempDir()
	b := &faultBench{base: filepath.Join(root, "base"), dir: filepath.Join(root, "work"),
		home: filepath.Join(root, "home")}
	onnxtest.Home(t, "cpu", b.home)
	for _, part := range []string{"data/train", "data/valid", "unlabelled"} {
		check(t, photos.Write(filepath.Join(b.base, part), []string{"circle", "square"}, 6))
	}
	writeTinyBody(t, filepath.Join(b.base, "tiny.onnx"))
	state, err := bodies.Seeded("resnet18", 7)
	check(t, err)
	check(t, durable.Write(filepath.Join(b.base, "resnet18.safetensors"),
		func(w io.Writer) error { return weights.WriteSafetensors(w, state, nil) }))
	t.Chdir(root)
	b.start(t)
	b.run(t, "train", "data", "--body", "tiny.onnx", "--cache", "cache", "--run", "run", "--epochs", "1", "--hidden", "8")
	// of a user who keeps them there
	for _, own := range []string{"run/notes.txt", "run/report/thesis.txt", "run/mine/a.txt"} {
		check(t, durable.WriteFile(own, []byte(own)))
	}
	check(t, os.RemoveAll(b.base))
	check(t, os.Rename(b.dir, b.base))
	return b
}

// writeTinyBody writes a network of one convolution, described.
func writeTinyBody(t *testing.T, path string) {
	t.Helper()
	g := graph.NewBuilder("tiny", 17)
	draws, w := rng.New(rng.Text("tiny")), make([]float32, 8*3*8*8)
	for i := range w {
		w[i] = float32(draws.Uniform(-.1, .1))
	}
	x := g.Node("Conv", "conv",
		[]string{g.Input("image", graph.Float32, "N", 3, 64, 64), g.Init("conv.weight", []int64{8, 3, 8, 8}, w)},
		graph.Ints("strides", 8, 8))
	x = g.Node("GlobalAveragePool", "pool", []string{g.Node("Relu", "relu", []string{x})})
	g.Output(g.Node("Flatten", "flat", []string{x}), graph.Float32, "N", 8)
	m := g.Model()
	check(t, m.Write(path))
	digest, err := m.Digest()
	check(t, err)
	check(t, bodies.WriteSpec(bodies.SpecPath(path), bodies.Spec{
		Name: "tiny", Digest: digest, Size: 64, Mean: [3]float32{.5, .5, .5}, Std: [3]float32{.25, .25, .25},
		Layout: bodies.NCHW, Cut: "relu", Channels: 8,
	}))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start puts the folder back. Large files are linked: they are read only.
func (b *faultBench) start(t *testing.T) {
	t.Helper()
	check(t, os.Chdir(filepath.Dir(b.dir)))
	check(t, os.RemoveAll(b.dir))
	check(t, filepath.WalkDir(b.base, func(path string, d fs.DirEntry, err error) error {
		to := b.dir + strings.TrimPrefix(path, b.base)
		if err != nil || d.IsDir() {
			return os.MkdirAll(to, 0o777)
		}
		if strings.HasSuffix(path, ".safetensors") || strings.HasSuffix(path, ".png") {
			return os.Link(path, to)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if err := os.WriteFile(to, data, 0o666); err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return os.Chtimes(to, info.ModTime(), info.ModTime())
	}))
	check(t, os.Chdir(b.dir))
}

// call runs a command in this process and returns its exit code and what it said.
func (b *faultBench) call(args ...string) (int, string) {
	return b.loud(append(args, "--quiet")...)
}

// loud is call with progress and warnings.
func (b *faultBench) loud(args ...string) (int, string) {
	var out bytes.Buffer
	code := Main(context.Background(), append([]string{"finetune"}, args...),
		Streams{In: strings.NewReader(""), Out: &out, Err: &out})
	return code, out.String()
}

func (b *faultBench) run(t *testing.T, args ...string) {
	t.Helper()
	if code, out := b.call(args...); code != 0 {
		t.Fatalf("finetune %v: exit code %d\n%s", args, code, out)
	}
}
