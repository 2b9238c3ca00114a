//go:build linux

package cli

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// spark is a real Spark of a master and two workers, and a small S3 store, on this machine.
type spark struct {
	*killer
	cluster string            // the folder of the cluster
	bucket  string            // what follows s3://jobs/NAME
	killed  map[string]int    // by what it was
	lost    map[int]time.Time // nodes that come back, and when
}

func startSpark(t *testing.T) *spark {
	t.Helper()
	if os.Getenv("TOOLS") == "" {
		t.Skip("skipped: `make spark` brings Spark, 500 MB, and runs this")
	}
	s := &spark{killer: newKiller(t), cluster: t.TempDir(), killed: map[string]int{}, lost: map[int]time.Time{}}
	t.Setenv("FAILURES", "1000") // of a partition; Spark's default of 4 is for what is not killed on purpose
	s.script("start")
	t.Cleanup(func() {
		s.script("stop")
		time.Sleep(2 * time.Second) // the daemons write to the folder until they end
	})
	out, err := exec.Command("bash", "-c", `set -e; . "$0"; env -0`, filepath.Join(s.cluster, "env")).Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(string(out), "\x00") {
		if name, value, ok := strings.Cut(line, "="); ok {
			t.Setenv(name, value)
		}
	}
	s.bucket = "?" + os.Getenv("BUCKET")
	return s
}

// script runs bench/spark/cluster.sh. Its daemons outlive it, so its output is a file.
func (s *spark) script(args ...string) {
	s.t.Helper()
	said, err := os.CreateTemp(s.dir, "said")
	if err != nil {
		s.t.Fatal(err)
	}
	defer said.Close()
	c := exec.Command("../bench/spark/cluster.sh", slices.Insert(args, 1, s.cluster)...)
	c.Stdout, c.Stderr = said, said
	if err := c.Run(); err != nil {
		text, _ := os.ReadFile(said.Name())
		s.t.Fatalf("%v: %v\n%s", args, err, text)
	}
}

// below are the processes below a node whose command lines hold a text.
func (s *spark) below(node int, text string) (list []int) {
	s.t.Helper()
	data, err := os.ReadFile(filepath.Join(s.cluster, fmt.Sprintf("node%d.pid", node)))
	if err != nil {
		s.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(data)))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, found := range processes(s.t, text) {
		for at := found; at > 1; at = parent(at) {
			if at == pid {
				list = append(list, found)
				break
			}
		}
	}
	return list
}

// parent is the process that started another one, 0 for one that has ended.
func parent(pid int) int {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:])) // state, parent
	at, _ := strconv.Atoi(fields[1])                                          // the kernel's own number
	return at
}

// end ends a process and all below it, as a loss of power would.
func (s *spark) end(pid int) {
	list := children(s.t, pid)
	_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended by itself
	for _, child := range list {
		s.end(child)
	}
}

// victims are how what is killed is found on a node; "" is the node itself.
var victims = map[string]string{"program": "finetune work", "python": "pyspark.daemon",
	"executor": "CoarseGrainedExecutorBackend", "node": "deploy.worker.Worker"}

// strike kills something of a kind, and reports whether there was such a thing on a node that
// was drawn.
func (s *spark) strike(kind string) bool {
	s.t.Helper()
	node := 1 + s.draws.Intn(2)
	found := s.below(node, victims[kind])
	if len(found) == 0 || !s.lost[node].IsZero() {
		return false
	}
	if kind == "node" {
		s.end(found[0])
		s.lost[node] = time.Now().Add(5 * time.Second)
	} else {
		_ = syscall.Kill(found[s.draws.Intn(len(found))], syscall.SIGKILL)
	}
	return true
}

// restore starts nodes again whose time has come.
func (s *spark) restore(all bool) {
	s.t.Helper()
	for node, at := range s.lost {
		if all || time.Now().After(at) {
			s.script("node", strconv.Itoa(node))
			delete(s.lost, node)
		}
	}
}

// disturbed runs a command while what works on its tasks is killed at random moments, in a
// random order, and maybe the command itself, which then runs again. It is killed a limited
// number of times, or a slow machine would never end.
func (s *spark) disturbed(args ...string) {
	s.t.Helper()
	plan := []string{"program", "program", "python", "executor", "node", "driver"}
	for range kills(s.t) {
		plan = append(plan, plan[s.draws.Intn(len(plan))])
	}
	order := s.draws.Perm(len(plan))
	for {
		said, err := os.Create(filepath.Join(s.dir, "spark.log"))
		if err != nil {
			s.t.Fatal(err)
		}
		c := exec.Command(args[0], args[1:]...)
		c.Dir, c.Stdout, c.Stderr = s.dir, said, said
		if err := c.Start(); err != nil {
			s.t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- c.Wait(); said.Close() }()
		deadline, stopped := time.After(20*time.Minute), false
		for running := true; running; {
			select {
			case err := <-done:
				if running = false; err == nil {
					s.restore(true)
					return
				}
				if !stopped {
					text, _ := os.ReadFile(said.Name())
					s.t.Fatalf("%v: %v; killed %v\n%s", args, err, s.killed, text[max(0, len(text)-6000):])
				}
			case <-deadline:
				s.end(c.Process.Pid)
				text, _ := os.ReadFile(said.Name())
				s.t.Fatalf("%v: not within 20 minutes; killed %v\n%s", args, s.killed, text[max(0, len(text)-6000):])
			case <-time.After(time.Duration(300+s.draws.Intn(2700)) * time.Millisecond):
				s.restore(false)
				working := len(s.below(1, "finetune work"))+len(s.below(2, "finetune work")) > 0
				if !working || stopped || len(order) == 0 {
					continue
				}
				kind := plan[order[0]]
				if stopped = kind == "driver"; stopped {
					s.end(c.Process.Pid)
				} else if !s.strike(kind) {
					order = append(order[1:], order[0]) // another one first
					continue
				}
				order = order[1:]
				s.killed[kind]++
			}
		}
	}
}

// On Spark, programs, Python workers, executors, nodes and the driver are killed: the parts
// and the table have the bytes of one process, in a folder and in a bucket.
func TestSparkEndsInTheSameTable(t *testing.T) {
	s := startSpark(t)
	s.run("train", "data", "--body=seed:resnet18:7", "--size=160", "--run", "r", "--epochs", "1", "--no-report")
	score := []string{"plan", "score", "r", "data", "--task-rows", "3"}
	features := []string{"plan", "precompute", "data", "--body=seed:resnet18:7", "--size=160", "--task-rows", "3"}
	for i, tt := range []struct {
		name string
		plan []string
		s3   bool
		pipe bool // by Python's RDD.pipe, not by the query
	}{
		{"scores in a folder", score, false, false},
		{"features in a bucket", features, true, false},
		{"features in a folder, by Python", features, false, true},
		{"scores in a bucket, by Python", score, true, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.t = t
			start := time.Now()
			whole, place := fmt.Sprintf("whole%d", i), fmt.Sprintf("job%d", i)
			folder := filepath.Join(s.dir, place)
			s.run(append(slices.Clone(tt.plan), whole)...)
			s.run("work", whole)
			if tt.s3 {
				folder = filepath.Join(s.cluster, "bucket", "jobs", place)
				place = "s3://jobs/" + place + s.bucket
			}
			s.run(append(slices.Clone(tt.plan), place)...)
			if tt.pipe {
				if !tt.s3 {
					place = folder // workers have another working directory
				}
				tasks := len(files(t, filepath.Join(s.dir, whole, "tasks")))
				pipe, err := filepath.Abs("../bench/spark/pipe.py")
				if err != nil {
					t.Fatal(err)
				}
				s.disturbed("spark-submit", pipe, strconv.Itoa(tasks), "6", s.program, "work", "--quiet", "--threads", "1",
					"--stream", "--", place)
			} else {
				s.disturbed(s.program, "run", place, "--engine", "spark", "--workers", "6", "--quiet")
			}
			want, got := files(t, filepath.Join(s.dir, whole, "parts")), files(t, filepath.Join(folder, "parts"))
			if !maps.Equal(want, got) {
				t.Errorf("%d parts, %d of one process; they differ", len(got), len(want))
			}
			s.run("merge", place, "-o", "merged.csv")
			s.run("merge", whole, "-o", "whole.csv")
			if tt.plan[1] == "score" {
				s.run("score", "r", "data", "--no-cache", "-o", "whole.csv")
			}
			if s.sum("merged.csv") != s.sum("whole.csv") {
				t.Error("the table differs from that of one process")
			}
			t.Logf("%d parts after %s; killed so far %v", len(got), time.Since(start).Round(time.Second), s.killed)
		})
	}
	s.t = t
	if len(s.killed) < 2 {
		t.Errorf("too little was killed to show anything: %v", s.killed)
	}
}

// files are the digests of the files of a folder.
func files(t *testing.T, dir string) map[string][32]byte {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string][32]byte{}
	for _, e := range list {
		data, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		sums[e.Name()] = sha256.Sum256(data)
	}
	return sums
}
