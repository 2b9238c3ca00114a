//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"finetune/internal/home"
	"finetune/internal/photos"
	"finetune/internal/rng"
	"finetune/onnx/bodies"
	"finetune/onnx/graph"
)

// trial is one folder in which one program after the other does the same work.
// The folder's path is the same for both, because runs name paths.
type trial struct {
	dir    string // holds the program, its home, the tiny body and all results
	photos string
	epochs int
	may    []exception // of JSON and predictions, when the new program reads what the old one left
}

// downloads are the parts of a home that both programs share, by copy.
var downloads = []string{"runtime", "weights"}

// begin makes the folder anew, with the program and the downloads.
func (t trial) begin(program string) error {
	from := home.Dir()
	if err := os.Mkdir(t.dir, 0o777); err != nil {
		return err
	}
	for _, name := range downloads {
		if err := os.CopyFS(filepath.Join(t.dir, "home", name), os.DirFS(filepath.Join(from, name))); err != nil {
			return fmt.Errorf("%w; run `make fetch`", err)
		}
	}
	return errors.Join(os.Link(program, t.program()), writeTinyBody(filepath.Join(t.dir, "tiny.onnx")))
}

func (t trial) program() string { return filepath.Join(t.dir, "finetune") }

// job is one command of a trial.
type job struct {
	args  string // DATA is the folder of photographs, EPOCHS and FEWER the length of runs that are killed, RAW see command
	into  string // file for its standard output
	may   string // file that says so where the command refuses, as it may of some photographs
	needs string // file of this folder without which the command is left out
	kill  string // the run in which it is killed, once that has a checkpoint; a copy stays as RUN-unfinished
}

const (
	trainLong = "train DATA --epochs EPOCHS --hidden 512 --batch-size 8 --swa 3 --no-report --run "
	tuneLong  = "train DATA --body tiny.onnx --unfreeze --lrs 1e-3,1e-2 --epochs FEWER --hidden 16 --batch-size 16 " +
		"--no-report --run "
)

// jobs are what both programs do, in this order: caches are filled before they are used.
var jobs = []job{
	{args: "precompute DATA"},
	{args: "train DATA --run head --cycles 2 --cycle-mult 2 --snapshots --tta 2 --save kept"},
	{args: "train DATA --run views --augment side-on --views 2 --epochs 3 --optimiser adamw --lr 1e-3 --best --seed 5"},
	{args: "train DATA --run int8 --body-precision int8 --epochs 2"},
	{args: "train DATA --run tuned --body seed:resnet18:7 --size 64 --unfreeze --freeze-to 1 --epochs 2 --bs 8"},
	{args: "train DATA --run moved --body tiny.onnx --unfreeze --augment flips --epochs 3 --bs 8 --swa 2 --clip 1"},
	{args: trainLong + "whole"},
	{args: trainLong + "killed", kill: "killed"},
	{args: trainLong + "killed --resume"},
	{args: tuneLong + "tuned-whole"},
	{args: tuneLong + "tuned-killed", kill: "tuned-killed"},
	{args: tuneLong + "tuned-killed --resume"},
	{args: "recipe DATA --body tiny.onnx --run recipe --bs 8 --views 2 --tta 2 --epochs 1"},
	{args: "lr-find DATA -o finder/lr.png"},
	{args: "artifacts tiny.onnx --classes 2 -o graphs"},
	{args: "evaluate head --json RAW", into: "evaluated/head.json"},
	{args: "evaluate tuned --json", into: "evaluated/tuned.json"},
	{args: "score head DATA/valid -o scores/head.csv RAW"},
	{args: "score head DATA/valid --tta 2 -o scores/tta.csv RAW"},
	{args: "score head DATA/valid --top 1 -o scores/top.jsonl RAW"},
	{args: "score head DATA/valid -o scores/head.parquet RAW"},
	{args: "score int8 DATA/valid -o scores/int8.csv RAW"},
	{args: "score tuned DATA/valid -o scores/tuned.csv"},
	{args: "export head -o exported/head.onnx --golden 4 RAW"},
	{args: "export head -o exported/half.onnx --precision float16 RAW"},
	{args: "export whole -o exported/uint8.onnx --uint8 RAW", may: "exported/uint8.refused"},
	{args: "export int8 -o exported/int8.onnx RAW"},
	{args: "export tuned -o exported/tuned.onnx"},
	{args: "score exported/head.onnx DATA/valid --no-cache -o scores/exported.csv"},
	{args: "score exported/half.onnx DATA/valid --no-cache -o scores/exported-half.csv"},
	{args: "score exported/uint8.onnx DATA/valid --no-cache -o scores/exported-uint8.csv", needs: "exported/uint8.onnx"},
	{args: "score exported/int8.onnx DATA/valid --no-cache -o scores/exported-int8.csv"},
}

// resumed are pairs of a run that was never stopped and one that was killed, and
// the files that must be equal in both.
var resumed = []struct {
	whole, killed string
	files         []string
}{
	{"whole", "killed", []string{"head.safetensors", "predictions.csv", "steps.csv"}},
	{"tuned-whole", "tuned-killed", []string{"checkpoint.safetensors", "body.onnx", "predictions.csv", "steps.csv"}},
}

// work does all jobs and compares the killed runs with the others.
func (t trial) work() error {
	for _, folder := range []string{"evaluated", "exported", "finder", "scores"} {
		if err := os.Mkdir(filepath.Join(t.dir, folder), 0o777); err != nil {
			return err
		}
	}
	for _, j := range jobs {
		if err := t.do(j); err != nil {
			return fmt.Errorf("finetune %s: %w", j.args, err)
		}
	}
	return errors.Join(t.sameAsWhole(""), t.copiesStage())
}

// copiesStage checks that a recipe's run holds the files of one of its stages, which are compared between programs.
func (t trial) copiesStage() error {
	stages, err := filepath.Glob(filepath.Join(t.dir, "recipe/steps/*"))
	if err != nil || len(stages) == 0 {
		return fmt.Errorf("recipe: no stages (%v)", err)
	}
	var all []error
	for _, stage := range stages {
		name := filepath.Join("recipe/steps", filepath.Base(stage))
		var differ []error
		for _, file := range []string{"predictions.csv", "steps.csv", "neighbours.csv"} {
			differ = append(differ, t.equal(filepath.Join("recipe", file), filepath.Join(name, file)))
		}
		for _, file := range []string{"head.safetensors", "checkpoint.safetensors", "body.onnx"} { // of a head; of a network
			if _, err := os.Stat(filepath.Join(stage, file)); err == nil {
				differ = append(differ, t.equal(filepath.Join("recipe", file), filepath.Join(name, file)))
			}
		}
		if errors.Join(differ...) == nil {
			fmt.Printf("           recipe holds the files of its stage %s\n", filepath.Base(stage))
			return nil
		}
		all = append(all, differ...)
	}
	return fmt.Errorf("recipe holds the files of no stage: %w", errors.Join(all...))
}

// sameAsWhole compares the killed runs, or their copies whose names end in suffix, with those that were not stopped.
func (t trial) sameAsWhole(suffix string) error {
	var errs []error
	for _, r := range resumed {
		for _, name := range r.files {
			a, b := filepath.Join(r.whole, name), filepath.Join(r.killed+suffix, name)
			errs = append(errs, t.equal(a, b))
		}
	}
	return errors.Join(errs...)
}

// equal says which of two files below the folder holds other bytes.
func (t trial) equal(a, b string) error {
	x, errX := os.ReadFile(filepath.Join(t.dir, a))
	y, errY := os.ReadFile(filepath.Join(t.dir, b))
	if err := errors.Join(errX, errY); err != nil {
		return err
	}
	strip := func(data []byte) ([]byte, error) { return data, nil }
	switch i := covering(t.may, a); {
	case i >= 0 && t.may[i].strip != nil && (filepath.Ext(a) == ".json" || filepath.Base(a) == "predictions.csv"):
		strip = t.may[i].strip // tables of scores are equal, as nothing is known of an old run's temperature
	case filepath.Ext(a) == ".json":
		strip = stripJSON
	}
	x, errX = strip(x)
	y, errY = strip(y)
	if err := errors.Join(errX, errY); err != nil {
		return err
	}
	if !bytes.Equal(x, y) {
		return fmt.Errorf("%s and %s hold other bytes", a, b)
	}
	return nil
}

func (t trial) do(j job) error {
	if _, err := os.Stat(filepath.Join(t.dir, j.needs)); err != nil {
		return nil
	}
	start := time.Now()
	c, said := t.command(j)
	if j.kill != "" {
		return t.kill(c, j.kill)
	}
	if err := c.Run(); err != nil {
		if j.may != "" && c.ProcessState.ExitCode() == 1 { // in words that may change
			return os.WriteFile(filepath.Join(t.dir, j.may), []byte("refused\n"), 0o666)
		}
		return fmt.Errorf("%w\n%s", err, said)
	}
	fmt.Printf("%6.1f s  %s\n", time.Since(start).Seconds(), j.args)
	return nil
}

// command is a job as a process of its own, and what it will have said.
func (t trial) command(j job) (*exec.Cmd, *bytes.Buffer) {
	lengths := strings.NewReplacer("EPOCHS", strconv.Itoa(t.epochs), "FEWER", strconv.Itoa(t.epochs/2))
	args := strings.Fields(lengths.Replace(j.args))
	if i := slices.Index(args, "RAW"); i >= 0 { // a program before calibration has no other probabilities
		args = slices.Delete(args, i, i+1)
		if t.calibrates() {
			args = append(args, "--raw")
		}
	}
	for i, a := range args {
		if below, ok := strings.CutPrefix(a, "DATA"); ok { // after the fields: its path may hold spaces
			args[i] = t.photos + below
		}
	}
	c, said := exec.Command(t.program(), args...), &bytes.Buffer{}
	c.Dir = t.dir
	c.Env = append(os.Environ(), "FINETUNE_HOME="+filepath.Join(t.dir, "home"))
	c.Stderr, c.Stdout = said, said
	if j.into != "" {
		c.Stdout = &late{path: filepath.Join(t.dir, j.into)}
	}
	return c, said
}

// calibrates reports whether the program gives other probabilities than the head's own, and those with --raw.
func (t trial) calibrates() bool {
	help, err := exec.Command(t.program(), "score", "--help").CombinedOutput()
	return err == nil && bytes.Contains(help, []byte("--raw"))
}

// late is a file that is made by the first write to it.
type late struct{ path string }

func (l *late) Write(p []byte) (int, error) {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o666)
	if err != nil {
		return 0, err
	}
	n, err := f.Write(p)
	return n, errors.Join(err, f.Close())
}

// kill starts a command and ends it by SIGKILL as soon as its run has a checkpoint
// of some steps. It fails where the run was finished by then.
func (t trial) kill(c *exec.Cmd, run string) error {
	run = filepath.Join(t.dir, run)
	if err := c.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	state := filepath.Join(run, "state.safetensors")
	for tick := time.NewTicker(2 * time.Millisecond); ; {
		select {
		case err := <-done:
			return fmt.Errorf("ended before it could be killed (%v); give -epochs more than %d\n%s", err, t.epochs,
				c.Stderr)
		case <-tick.C:
		}
		if _, err := os.Stat(state); err == nil {
			tick.Stop()
			break
		}
	}
	if err := c.Process.Kill(); err != nil {
		return err
	}
	<-done
	if status, ok := c.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
		return fmt.Errorf("was not killed but ended: %s; give -epochs more than %d", c.ProcessState, t.epochs)
	}
	step, finished, err := progress(state)
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(run, "summary.json")); err == nil || finished || step == 0 {
		return fmt.Errorf("%s was killed at step %d, finished: %v; that is no unfinished run, give -epochs more than %d",
			run, step, finished, t.epochs)
	}
	fmt.Printf("  killed  %s, unfinished, whose checkpoint is of step %d\n", filepath.Base(run), step)
	return os.CopyFS(run+"-unfinished", os.DirFS(run))
}

// progress is the number of steps that a checkpoint holds, and whether training was at its end.
func progress(path string) (steps int, done bool, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false, err
	}
	var header struct {
		Meta map[string]string `json:"__metadata__"`
	}
	var state struct {
		Step int  `json:"step"`
		Done bool `json:"done"`
	}
	if len(data) < 8 {
		return 0, false, fmt.Errorf("%s: no safetensors file", path)
	}
	if err = json.NewDecoder(bytes.NewReader(data[8:])).Decode(&header); err == nil {
		err = json.Unmarshal([]byte(header.Meta["finetune.state"]), &state)
	}
	if err != nil {
		return 0, false, fmt.Errorf("%s: %w", path, err)
	}
	return state.Step, state.Done, nil
}

// drawPhotographs makes train and valid, of other pictures each.
func drawPhotographs(dir string) error {
	for part, n := range map[string]int{"train": 12, "valid": 8} {
		drawn := filepath.Join(dir, part+"-"+strconv.Itoa(n)) // the pictures depend on the length of this path
		if part == "valid" {
			drawn += "-others"
		}
		if err := photos.Write(drawn, []string{"circle", "square"}, n); err != nil {
			return err
		}
		if err := os.Rename(drawn, filepath.Join(dir, part)); err != nil {
			return err
		}
	}
	return nil
}

// writeTinyBody writes a network of two convolutions that trains in milliseconds.
func writeTinyBody(path string) error {
	g, draws := graph.NewBuilder("tiny", 17), rng.New(rng.Text("samebytes"))
	weight := func(name string, shape ...int64) string {
		n := int64(1)
		for _, d := range shape {
			n *= d
		}
		w := make([]float32, n)
		for i := range w {
			w[i] = float32(draws.Uniform(-.1, .1))
		}
		return g.Init(name, shape, w)
	}
	x := g.Input("image", graph.Float32, "N", 3, 64, 64)
	x = g.Node("Conv", "conv", []string{x, weight("conv.weight", 8, 3, 8, 8)}, graph.Ints("strides", 8, 8))
	x = g.Node("Relu", "relu", []string{x})
	x = g.Node("Conv", "wide", []string{x, weight("wide.weight", 16, 8, 1, 1)})
	x = g.Node("Relu", "last", []string{x})
	x = g.Node("GlobalAveragePool", "pool", []string{x})
	g.Output(g.Node("Flatten", "flat", []string{x}), graph.Float32, "N", 16)
	m := g.Model()
	digest, err := m.Digest()
	if err != nil {
		return err
	}
	return errors.Join(m.Write(path), bodies.WriteSpec(bodies.SpecPath(path), bodies.Spec{
		Name: "tiny", Digest: digest, Size: 64, Mean: [3]float32{.5, .5, .5}, Std: [3]float32{.25, .25, .25},
		Layout: bodies.NCHW, Cut: "last", Channels: 16,
	}))
}
