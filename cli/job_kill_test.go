package cli

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A job whose engine and workers are killed at any moment ends in the table of one process.
func TestKilledJobEndsInTheSameTable(t *testing.T) {
	n, k := kills(t), newKiller(t)
	k.run("train", "data", "--body=seed:resnet18:7", "--size=64", "--run", "r", "--epochs", "1", "--no-report")
	k.run("score", "r", "data", "--no-cache", "-o", "whole.csv")
	for round := range n {
		job := filepath.Join(k.dir, "job")
		// Planning is killed as well: what is left is no job, or a whole one. Each time it gets longer, or a
		// machine that is busy would never end it.
		for long := time.Second; ; long += long / 2 {
			if !k.kill(long, "plan", "score", "r", "data", "job", "--task-rows", "9") {
				break
			}
			if _, err := os.Stat(filepath.Join(job, "job.json")); err == nil {
				break
			}
		}
		run := func(args ...string) *exec.Cmd {
			c := exec.Command(k.program, append([]string{"run", "job", "--workers", "2"}, args...)...)
			c.Dir = k.dir
			return c
		}
		for range 3 {
			var said bytes.Buffer
			c := run("--quiet")
			c.Stderr = &said
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			done := make(chan error, 1)
			go func() { done <- c.Wait() }()
			for killed := 0; killed < 4; killed++ { // workers, then the engine
				time.Sleep(time.Duration(k.draws.Float64() * float64(700*time.Millisecond)))
				workers := children(t, c.Process.Pid)
				if len(workers) > 0 && killed < 3 {
					if p, err := os.FindProcess(workers[killed%len(workers)]); err == nil {
						_ = p.Kill() // it may have ended by itself
					}
				}
			}
			_ = c.Process.Kill()
			<-done
			if strings.Contains(said.String(), "panic") {
				t.Error(said.String())
			}
		}
		if out, err := run().CombinedOutput(); err != nil {
			t.Fatalf("round %d: %v\n%s", round, err, out)
		}
		k.run("merge", "job", "-o", "merged.csv")
		if k.sum("merged.csv") != k.sum("whole.csv") {
			t.Errorf("round %d: the table of a killed job differs", round)
		}
		if err := os.RemoveAll(job); err != nil {
			t.Fatal(err)
		}
	}
}

// children are the processes that a process started; none where the system does not tell.
func children(t *testing.T, pid int) (list []int) {
	t.Helper()
	eachProcess(t, "stat", func(child int, data []byte) {
		fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])) // state, parent
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) && fields[0] != "Z" {
			list = append(list, child)
		}
	})
	return list
}

// eachProcess visits the processes of this system with what it tells of each in a file.
func eachProcess(t *testing.T, file string, visit func(pid int, data []byte)) {
	t.Helper()
	names, err := filepath.Glob("/proc/[0-9]*/" + file)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil { // it has ended
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(filepath.Dir(name))); err == nil {
			visit(pid, data)
		}
	}
}
