// Jobs measures what a job of many rows takes without its photographs: planning over a list
// that comes in no order, writing parts, status and merge. Each step is a process of its own,
// so that its memory is told apart.
//
//	go run ./bench/jobs -rows 1000000 -dir /tmp/jobs-bench
//
// With -step head it trains a head on the parts of a job of made-up features, and on rows in
// memory, and compares their speeds and their memory.
//
//	go run ./bench/jobs -step head -rows 10000000 -dir /tmp/jobs-head
//
// With -step scale it scores photographs in a tar, in one process and as a job of one worker
// and of a worker for each core.
//
//	go run ./bench/jobs -step scale -rows 20000 -finetune bin/finetune -model RUN -photos FOLDER -dir /tmp/jobs-scale
package main

import (
	"context"
	"crypto/sha256"
	"flag"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"finetune/internal/sorting"
	"finetune/job"
	"finetune/scores"
)

func main() {
	rows := flag.Int("rows", 1_000_000, "rows of the job")
	taskRows := flag.Int("task-rows", 10_000, "rows of a task")
	dir := flag.String("dir", "", "folder of the job; it is made, and stays")
	step := flag.String("step", "", "one step alone: plan, work, status or merge; or head, scale")
	var h headBench
	flag.IntVar(&h.inMemory, "in-memory", 1_000_000, "head: rows that are held for comparison")
	flag.IntVar(&h.width, "width", 64, "head: features of a row")
	flag.IntVar(&h.window, "window", 1<<20, "head: rows that are shuffled at once")
	flag.IntVar(&h.batch, "batch", 64, "head: rows of a step")
	flag.StringVar(&h.packing, "packing", "float32", "head: float32 or float16")
	var sc scaleBench
	flag.StringVar(&sc.finetune, "finetune", "bin/finetune", "scale: the program")
	flag.StringVar(&sc.model, "model", "", "scale: a RUN or MODEL.onnx")
	flag.StringVar(&sc.photos, "photos", "", "scale: a folder of JPEG files, which are taken again and again")
	flag.IntVar(&sc.rounds, "rounds", 3, "scale: turns")
	flag.Parse()
	if *dir == "" {
		fail(fmt.Errorf("-dir is missing"))
	}
	h.dir, h.rows, h.taskRows = *dir, *rows, *taskRows
	if *step == "scale" {
		sc.dir, sc.rows, sc.taskRows = *dir, *rows, *taskRows
		fail(sc.all())
		return
	}
	if *step == "head" {
		h.all()
		return
	}
	if strings.HasPrefix(*step, "head-") {
		fail(h.step(context.Background(), *step))
		return
	}
	if *step == "" {
		all(*rows, *taskRows, *dir)
		return
	}
	ctx := context.Background()
	if *step == "plan" {
		fail(plan(ctx, *dir, *rows, *taskRows))
		return
	}
	j, err := job.Open(ctx, *dir)
	fail(err)
	switch *step {
	case "work":
		fail(j.Work(ctx, guesses{}, job.Share{I: 0, N: 1}, func(job.Done) error { return nil }))
	case "status":
		s, err := j.Status(ctx)
		fail(err)
		if s.RowsDone != int64(*rows) || len(s.Bad)+len(s.Failed) > 0 {
			fail(fmt.Errorf("%+v", s))
		}
	case "merge":
		sum, n := sha256.New(), counter(0)
		fail(j.Merge(ctx, func(c []scores.Column, each func(yield func(scores.Row) error) error) error {
			return scores.WriteTo(io.MultiWriter(sum, &n), scores.CSV, c, each, false)
		}))
		fmt.Printf("%d bytes of CSV, sha256 %x\n", n, sum.Sum(nil)[:8])
	}
}

// all runs the steps and prints what each took.
func all(rows, taskRows int, dir string) {
	self, err := os.Executable()
	fail(err)
	fmt.Printf("%d rows in tasks of %d\n", rows, taskRows)
	for _, step := range []string{"plan", "work", "status", "merge"} {
		c := exec.Command(self, "-step", step, "-rows", strconv.Itoa(rows), "-task-rows", strconv.Itoa(taskRows), "-dir", dir)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		fail(c.Run())
		p := c.ProcessState
		fmt.Printf("%-6s %8.1f processor-seconds, %5d MB at most\n", step, (p.UserTime() + p.SystemTime()).Seconds(), peak(p))
	}
}

// plan sorts a list of paths that comes in no order, as `finetune plan score` does.
func plan(ctx context.Context, dir string, rows, taskRows int) error {
	var s sorting.Sorter
	defer s.Close()
	for i := range rows {
		n := (i*7_368_787 + 5) % rows // a prime: each number comes once unless it divides rows
		if err := s.Add(fmt.Sprintf("%s/cameras/%03d/2026-11/IMG_%09d.jpg", "/data/fleet", n%977, n)); err != nil {
			return err
		}
	}
	j, err := job.Plan(ctx, dir, job.Spec{Kind: "score", Finetune: "bench", Options: []byte("{}"),
		Needs: job.Needs{Model: "m", Reading: "r", Runtime: "1"}, TaskRows: taskRows},
		func(yield func(string) error) error { _, err := s.Each(yield); return err })
	if err == nil && j.Rows != int64(rows) {
		err = fmt.Errorf("%d rows of %d", j.Rows, rows)
	}
	return err
}

// guesses makes rows of two classes from the digest of a path.
type guesses struct{}

// Compute implements job.Computer.
func (guesses) Compute(_ context.Context, t job.Task) (r job.Rows, err error) {
	r.Columns = []scores.Column{{Name: "path"}, {Name: "status"}, {Name: "reason"}, {Name: "predicted"},
		{Name: "probability", Number: true}, {Name: "p_one", Number: true}, {Name: "p_two", Number: true}}
	for _, path := range t.Inputs {
		h := fnv.New32a()
		_, _ = io.WriteString(h, path)
		p := float32(h.Sum32()>>8) / (1 << 24)
		r.Rows = append(r.Rows, scores.Row{{Text: path}, {Text: "ok"}, {}, {Text: "one"}, {Number: max(p, 1-p)}, {Number: p},
			{Number: 1 - p}})
		r.Status = append(r.Status, "ok")
	}
	return r, nil
}

// Close implements job.Computer.
func (guesses) Close() error { return nil }

// counter counts bytes.
type counter int64

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, filepath.Base(os.Args[0])+":", err)
		os.Exit(1)
	}
}
