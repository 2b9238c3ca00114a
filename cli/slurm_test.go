//go:build linux

package cli

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cluster is a real Slurm of two nodes on this machine.
type cluster struct {
	t      *testing.T
	dir    string
	script string
}

func startCluster(t *testing.T) cluster {
	t.Helper()
	for _, name := range []string{"sbatch", "slurmctld", "slurmd", "munged", "runuser"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("skipped: no %s here; Debian's packages slurm-wlm and munge bring it", name)
		}
	}
	if os.Getuid() != 0 {
		t.Skip("skipped: Slurm's daemons are started by root")
	}
	script, err := filepath.Abs("../bench/slurm/cluster.sh")
	if err != nil {
		t.Fatal(err)
	}
	c := cluster{t, t.TempDir(), script}
	t.Cleanup(func() {
		if out, err := exec.Command(script, "stop", c.dir).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		time.Sleep(2 * time.Second) // the daemons write to the folder until they end
	})
	if out, err := exec.Command(script, "start", c.dir).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Setenv("SLURM_CONF", filepath.Join(c.dir, "slurm.conf"))
	return c
}

// queue asks which jobs are there.
func (c cluster) queue(args ...string) []string {
	c.t.Helper()
	out, err := exec.Command("squeue", append([]string{"-h", "-o", "%A"}, args...)...).Output()
	if err != nil {
		c.t.Fatal(err)
	}
	return strings.Fields(string(out))
}

// kill ends a process and all below it, as a loss of power would.
func (c cluster) kill(pid int) {
	for _, child := range children(c.t, pid) {
		c.kill(child)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
}

// loseNode ends a node with all that runs on it, and returns how many jobs ran there.
func (c cluster) loseNode(name string) int {
	c.t.Helper()
	jobs := c.queue("-t", "R", "-w", name)
	data, err := os.ReadFile(filepath.Join(c.dir, name+".pid"))
	if err != nil {
		c.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		c.t.Fatal(err)
	}
	_ = syscall.Kill(pid, syscall.SIGKILL)
	for _, id := range jobs {
		for _, step := range processes(c.t, fmt.Sprintf("slurmstepd: [%s.batch]", id)) {
			c.kill(step)
		}
	}
	if err := os.Remove(filepath.Join(c.dir, name+".pid")); err != nil {
		c.t.Fatal(err)
	}
	return len(jobs)
}

// processes are those whose command line holds a text.
func processes(t *testing.T, text string) (list []int) {
	t.Helper()
	eachProcess(t, "cmdline", func(pid int, data []byte) {
		if strings.Contains(strings.ReplaceAll(string(data), "\x00", " "), text) {
			list = append(list, pid)
		}
	})
	return list
}

// On Slurm, a program is killed, and then a node: the array does what is left, and the
// merged table is that of one process.
func TestSlurmEndsInTheSameTable(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: takes a minute")
	}
	k, c := newKiller(t), startCluster(t)
	k.run("train", "data", "--body=seed:resnet18:7", "--size=64", "--run", "r", "--epochs", "1", "--no-report")
	k.run("score", "r", "data", "--no-cache", "-o", "whole.csv")
	k.run("plan", "score", "r", "data", "job", "--task-rows", "2")
	k.run("run", "job", "--engine", "slurm", "--workers", "6")
	start := time.Now()
	wait := func(what string, there func() bool) {
		t.Helper()
		for !there() {
			if time.Since(start) > 8*time.Minute {
				logs := filepath.Join(k.dir, "job/logs/slurm*")
				out, _ := exec.Command("sh", "-c", "squeue; sinfo; tail -n 5 "+logs).CombinedOutput()
				t.Fatalf("%s: not within eight minutes\n%s", what, out)
			}
			time.Sleep(100 * time.Millisecond)
		}
	}
	work := k.program + " work"
	wait("a program", func() bool { return len(processes(t, work)) > 0 && parts(t, k.dir) > 0 })
	for _, pid := range processes(t, work)[:1] {
		if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid)); err == nil {
			t.Logf("after %s: kill %s", time.Since(start).Round(time.Second), strings.TrimSpace(string(line)))
		}
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	wait("a job on node n2", func() bool { return len(c.queue("-t", "R", "-w", "n2")) > 0 })
	before := parts(t, k.dir)
	t.Logf("after %s: node n2 is lost with %d jobs, %d parts are there", time.Since(start).Round(time.Second),
		c.loseNode("n2"), before)
	wait("the end of the queue", func() bool { return len(c.queue()) == 0 })
	t.Logf("after %s: done", time.Since(start).Round(time.Second))
	k.run("merge", "job", "-o", "merged.csv")
	if k.sum("merged.csv") != k.sum("whole.csv") {
		t.Error("the table differs from that of one process")
	}
}

// parts counts those of a job.
func parts(t *testing.T, dir string) int {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, "job/parts/*.parquet"))
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}
