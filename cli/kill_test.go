package cli

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"finetune/internal/onnxtest"
	"finetune/internal/photos"
	"finetune/internal/rng"
)

// kills is how often each job is killed; FINETUNE_KILLS raises it for a longer trial.
func kills(t *testing.T) int {
	if n, err := strconv.Atoi(os.Getenv("FINETUNE_KILLS")); err == nil {
		return n
	}
	if testing.Short() {
		t.Skip("skipped: kills take a while")
	}
	return 3
}

// killer runs finetune in processes of their own, in one folder.
type killer struct {
	t       *testing.T
	dir     string
	program string

	mu    sync.Mutex
	draws *rng.Stream
}

func newKiller(t *testing.T) *killer {
	t.Helper()
	k := &killer{t: t, dir: t.TempDir(), draws: rng.New(uint64(time.Now().UnixNano()))}
	k.program = filepath.Join(k.dir, "finetune")
	if out, err := exec.Command("go", "build", "-o", k.program, "..").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	onnxtest.Home(t, onnxtest.Device(), filepath.Join(k.dir, "home"))
	for _, part := range []string{"train", "valid"} {
		if err := photos.Write(filepath.Join(k.dir, "data", part), []string{"circle", "square"}, 60); err != nil {
			t.Fatal(err)
		}
	}
	return k
}

func (k *killer) command(args []string) *exec.Cmd {
	c := exec.Command(k.program, append(args, "--quiet")...)
	c.Dir = k.dir
	return c
}

// run lets a command end.
func (k *killer) run(args ...string) {
	k.t.Helper()
	if out, err := k.command(args).CombinedOutput(); err != nil {
		k.t.Fatalf("finetune %v: %v\n%s", args, err, out)
	}
}

// kill ends a command with SIGKILL after part of the time it needs, 0 to 1, and
// reports whether that was before its end.
func (k *killer) kill(whole time.Duration, args ...string) bool {
	k.t.Helper()
	c := k.command(args)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	if err := c.Start(); err != nil {
		k.t.Error(err)
		return false
	}
	k.mu.Lock()
	after := time.Duration(k.draws.Float64() * float64(whole))
	k.mu.Unlock()
	done := make(chan error, 1)
	go func() { done <- c.Wait() }()
	select {
	case <-time.After(after):
		c.Process.Kill()
		<-done
		return true
	case err := <-done:
		if err != nil {
			k.t.Errorf("finetune %v: %v\n%s", args, err, out.Bytes())
		}
		return false
	}
}

// sum is the digest of a file below the killer's folder.
func (k *killer) sum(path string) string {
	k.t.Helper()
	data, err := os.ReadFile(filepath.Join(k.dir, path))
	if err != nil {
		k.t.Fatal(err)
	}
	return fmt.Sprintf("%x", sha256.Sum256(data))
}

func TestKilledPrecomputeEndsInTheSameHead(t *testing.T) {
	n, k := kills(t), newKiller(t)
	start := time.Now()
	train := func(cache, run string) {
		k.run("train", "data", "--body=seed:resnet18:7", "--size=64", "--device", onnxtest.Device(), "--cache", cache,
			"--run", run, "--no-report")
	}
	train("whole", "whole-run")
	whole := time.Since(start)
	for i := range n {
		k.kill(whole*2/3, "precompute", "data", "--body=seed:resnet18:7", "--size=64", "--device", onnxtest.Device(),
			"--cache", "killed")
		if i == n-1 {
			train("killed", "killed-run")
		}
	}
	for _, name := range []string{"head.safetensors", "predictions.csv", "steps.csv"} {
		if k.sum("whole-run/"+name) != k.sum("killed-run/"+name) {
			t.Errorf("%s differs between an uninterrupted run and one after %d kills", name, n)
		}
	}
}

// A job manager starts one command line again and again: it begins the run, goes
// on with it after each kill, and in the end has the bytes of an undisturbed run.
func TestKilledTrainingResumesToTheSameBytes(t *testing.T) {
	n, k := kills(t), newKiller(t)
	train := []string{"train", "data", "--body=seed:resnet18:7", "--size=64", "--augment", "side-on", "--views", "2",
		"--epochs", "150", "--batch-size", "16", "--hidden", "256", "--swa", "3", "--no-report", "--run"}
	k.run(append(train, "warm", "--workers", "1")...) // caches the views
	k.again(n, train, []string{"head.safetensors", "predictions.csv", "steps.csv", "photographs.csv"})
}

// Full fine-tuning steps through ONNX Runtime: its killed runs end as heads' do.
func TestKilledFineTuningResumesToTheSameBytes(t *testing.T) { killFineTuning(t) }

// So do those behind frozen layers, whose outputs are cached.
func TestKilledFineTuningBehindAPrefixResumesToTheSameBytes(t *testing.T) {
	killFineTuning(t, "--freeze-to", "1", "--augment", "none")
}

func killFineTuning(t *testing.T, more ...string) {
	n, k := kills(t), newKiller(t)
	writeTinyBody(t, filepath.Join(k.dir, "tiny.onnx"))
	train := []string{"train", "data", "--body", "tiny.onnx", "--unfreeze", "--lrs", "1e-3,1e-2", "--epochs", "8",
		"--batch-size", "16", "--hidden", "16", "--no-report"}
	train = append(append(train, more...), "--run")
	k.run(append(train, "warm")...) // caches the features of the original body
	k.again(n, train, []string{"checkpoint.safetensors", "head.safetensors", "body.onnx", "calibration.safetensors",
		"predictions.csv", "steps.csv", "photographs.csv"})
}

// again kills `train… RUN --resume` n times, up to ten times a run, before each
// is allowed to end, and compares files with those of an undisturbed run.
func (k *killer) again(n int, train, files []string) {
	k.t.Helper()
	start := time.Now()
	k.run(append(train, "whole")...)
	whole := time.Since(start)
	killed, unborn := 0, 0
	for done := 0; done < n; {
		run := fmt.Sprintf("killed-%d", done)
		line := append(train, run, "--resume")
		for i := 0; i < 10 && done < n; i, done = i+1, done+1 {
			part := whole / 4
			if i%2 == 0 { // before there is a run, and while its first files are written
				part = whole / 20
			}
			if !k.kill(part, line...) {
				continue
			}
			killed++
			if _, err := os.Stat(filepath.Join(k.dir, run, "config.json")); err != nil {
				unborn++
			}
		}
		k.run(line...)
		for _, name := range files {
			if k.sum("whole/"+name) != k.sum(run+"/"+name) {
				k.t.Errorf("%s: %s differs from the uninterrupted run's", run, name)
			}
		}
		k.run(line...) // a finished run prints its result
		if err := os.RemoveAll(filepath.Join(k.dir, run)); err != nil {
			k.t.Fatal(err)
		}
	}
	k.t.Logf("%d kills, %d of them before there was a run; a whole run takes %s", killed, unborn,
		whole.Round(time.Millisecond))
}

// Two processes fill one cache while either is killed; what they leave gives
// the head of an undisturbed run.
func TestTwoKilledProcessesOnOneCache(t *testing.T) {
	n, k := kills(t), newKiller(t)
	precompute := func(cache string, more ...string) []string {
		return append([]string{"precompute", "data", "--body=seed:resnet18:7", "--size=64", "--device", onnxtest.Device(),
			"--cache", cache}, more...)
	}
	train := func(cache, run string) []string {
		return []string{"train", "data", "--body=seed:resnet18:7", "--size=64", "--device", onnxtest.Device(), "--epochs",
			"2", "--cache", cache, "--run", run, "--no-report"}
	}
	start := time.Now()
	k.run(precompute("whole")...)
	whole := time.Since(start)
	k.run(train("whole", "whole-run")...)
	rounds := (n + 3) / 4 // four kills each
	for i := range rounds {
		cache, run := fmt.Sprintf("killed-%d", i), fmt.Sprintf("killed-run-%d", i)
		for range 2 {
			var both sync.WaitGroup
			both.Go(func() { k.kill(whole, precompute(cache)...) })
			both.Go(func() { k.kill(whole, precompute(cache, "--shard", "1/2")...) })
			both.Wait()
		}
		k.run(train(cache, run)...)
		for _, name := range []string{"head.safetensors", "predictions.csv", "steps.csv"} {
			if k.sum("whole-run/"+name) != k.sum(run+"/"+name) {
				t.Errorf("round %d: %s differs from an undisturbed run's", i, name)
			}
		}
		damaged, err := filepath.Glob(filepath.Join(k.dir, cache, "*", "*.damaged"))
		if err != nil || len(damaged) > 0 {
			t.Errorf("round %d: damaged shards %v, %v", i, damaged, err)
		}
	}
}

// So does training on the parts of a job, in windows much smaller than the job.
func TestKilledTrainingOnAJobResumesToTheSameBytes(t *testing.T) {
	n, k := kills(t), newKiller(t)
	k.run("plan", "precompute", "data", "job", "--body=seed:resnet18:7", "--size=64", "--task-rows", "15")
	k.run("run", "job", "--workers", "2")
	k.again(n, []string{"train", "job", "--epochs", "12", "--batch-size", "16", "--hidden", "256", "--swa", "3",
		"--window", "40", "--no-report", "--run"}, []string{"head.safetensors", "calibration.safetensors", "predictions.csv",
		"steps.csv"})
}
