//go:build unix

package cli

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A process that replaces a run is killed, or interrupted, at random moments:
// the run is the old or the new one, whole, and nothing of the user's is lost.
func TestKilledOverwriteLosesNothing(t *testing.T)      { endOverwrites(t, syscall.SIGKILL) }
func TestInterruptedOverwriteLosesNothing(t *testing.T) { endOverwrites(t, syscall.SIGINT) }

func endOverwrites(t *testing.T, signal syscall.Signal) {
	n, k := kills(t), newKiller(t)
	writeTinyBody(t, filepath.Join(k.dir, "tiny.onnx"))
	train := []string{"train", "data", "--body", "tiny.onnx", "--epochs", "600", "--batch-size", "16", "--hidden", "256",
		"--no-report", "--run"}
	k.run(append(train, "old", "--save", "kept")...)
	for _, name := range []string{"notes.txt", "report/thesis.txt", "mine/a.txt"} {
		k.write(filepath.Join("old", name), "of mine")
	}
	start := time.Now()
	k.run(append(train, "fresh", "--seed", "2")...)
	whole := time.Since(start)
	counts := map[string]int{}
	for i := range n {
		if err := os.CopyFS(filepath.Join(k.dir, "run"), os.DirFS(filepath.Join(k.dir, "old"))); err != nil {
			t.Fatal(err)
		}
		line := append(train, "run", "--seed", "2", "--overwrite")
		ended := k.end(signal, whole, line)
		which := k.oneWhole(i)
		k.run("score", "run", "data/valid", "--no-cache", "-o", "scores.csv")
		counts[ended+", "+which+" run"]++
		if i%2 == 0 {
			line = append(line, "--resume")
		}
		k.run(line...)
		if got := k.oneWhole(i); got != "new" {
			t.Errorf("%d: then the command came to its end, and the run is the %s one", i, got)
		}
		k.nothingBeside(i)
		if err := os.RemoveAll(filepath.Join(k.dir, "run")); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d times %s within %s: %v", n, signal, whole.Round(time.Millisecond), counts)
}

func (k *killer) write(name, text string) {
	k.t.Helper()
	path := filepath.Join(k.dir, name)
	check(k.t, os.MkdirAll(filepath.Dir(path), 0o777))
	check(k.t, os.WriteFile(path, []byte(text), 0o666))
}

// end sends a signal to a command at a random moment of the time it needs, and
// says how it ended.
func (k *killer) end(signal syscall.Signal, whole time.Duration, args []string) string {
	k.t.Helper()
	c := k.command(args)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	check(k.t, c.Start())
	time.AfterFunc(time.Duration(k.draws.Float64()*1.05*float64(whole)), func() { _ = c.Process.Signal(signal) })
	_ = c.Wait()
	code := c.ProcessState.ExitCode() // -1: killed
	if signal == syscall.SIGINT && code != 0 && code != 130 && code != -1 || strings.Contains(out.String(), "panic") {
		k.t.Errorf("finetune %v: exit code %d\n%s", args, code, out.Bytes())
	}
	if code == 130 && strings.Contains(out.String(), "continue with") &&
		!strings.Contains(out.String(), "--run run --resume --overwrite") {
		k.t.Errorf("the way on is not named:\n%s", out.Bytes())
	}
	return fmt.Sprintf("exit code %d", code)
}

// oneWhole checks the run and what is of the user's, and says which run it is.
func (k *killer) oneWhole(i int) string {
	k.t.Helper()
	which := map[string]string{k.sum("old/head.safetensors"): "old",
		k.sum("fresh/head.safetensors"): "new"}[k.sum("run/head.safetensors")]
	if which == "" {
		k.t.Errorf("%d: run/head.safetensors is neither the old nor the new one's", i)
	}
	sums := exec.Command("sha256sum", "-c", "--quiet", "SHA256SUMS")
	sums.Dir = filepath.Join(k.dir, "run")
	if out, err := sums.CombinedOutput(); err != nil {
		k.t.Errorf("%d: the %s run is not whole: %v\n%s", i, which, err, out)
	}
	for _, name := range []string{"notes.txt", "report/thesis.txt", "mine/a.txt", "saved/kept.safetensors"} {
		found := 0
		for _, folder := range []string{"run", "run.new", "run.replaced"} {
			if _, err := os.Stat(filepath.Join(k.dir, folder, name)); err == nil {
				found++
			}
		}
		if found != 1 {
			k.t.Errorf("%d: of the user's %s there are %d, beside the %s run", i, name, found, which)
		}
	}
	return which
}

func (k *killer) nothingBeside(i int) {
	k.t.Helper()
	for _, name := range []string{"run.new", "run.replaced", "run/.new-run"} {
		if _, err := os.Lstat(filepath.Join(k.dir, name)); err == nil {
			k.t.Errorf("%d: %s is left", i, name)
		}
	}
	for _, name := range []string{"notes.txt", "report/thesis.txt", "mine/a.txt"} {
		if got, err := os.ReadFile(filepath.Join(k.dir, "run", name)); err != nil || string(got) != "of mine" {
			k.t.Errorf("%d: run/%s: %q, %v", i, name, got, err)
		}
	}
}
