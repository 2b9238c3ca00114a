package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"finetune/dataset"
	"finetune/internal/jobtest"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/parts"
	"finetune/learner/runs"
	"finetune/learner/train"
	"finetune/onnx"
	"finetune/onnx/bodies"
	"finetune/scores"
)

// headBench compares training a head on the parts of a job with training in memory.
type headBench struct {
	dir, packing            string
	rows, inMemory, width   int
	taskRows, window, batch int
}

// all makes a job and trains on it, then in memory on the first rows, each in a process.
func (b headBench) all() {
	self, err := os.Executable()
	fail(err)
	fmt.Printf("%d features of %d rows, window %d rows, batch %d; in memory %d rows\n", b.width, b.rows, b.window, b.batch,
		b.inMemory)
	for _, step := range []string{"head-make", "head-job", "head-memory"} {
		c := exec.Command(self, "-step", step, "-rows", strconv.Itoa(b.rows), "-in-memory", strconv.Itoa(b.inMemory),
			"-width", strconv.Itoa(b.width), "-task-rows", strconv.Itoa(b.taskRows), "-window", strconv.Itoa(b.window),
			"-batch", strconv.Itoa(b.batch), "-packing", b.packing, "-dir", b.dir)
		c.Stdout, c.Stderr = os.Stdout, os.Stderr
		fail(c.Run())
		p := c.ProcessState
		used := (p.UserTime() + p.SystemTime()).Seconds()
		fmt.Printf("%-12s %8.1f processor-seconds, %5d MB at most\n", step, used, peak(p))
	}
}

func (b headBench) made(rows int) jobtest.Made {
	m := jobtest.Made{Train: rows, Valid: rows / 100, Width: b.width, Classes: 10, TaskRows: b.taskRows,
		Workers: runtime.NumCPU()}
	m.Options.Packing = scores.Packing(b.packing)
	return m
}

// step does one of the steps of all.
func (b headBench) step(ctx context.Context, step string) error {
	place := filepath.Join(b.dir, "job")
	if step == "head-make" {
		return b.made(b.rows).Write(ctx, place)
	}
	if _, err := onnx.Start(""); err != nil {
		return err
	}
	ui := silent{new(float64), new(float64)}
	c := config.DefaultConfig()
	c.Data.Path, c.Train.Cycles, c.Train.BatchSize = "made-up", 1, b.batch
	if step == "head-job" {
		c.Data.Path, c.Data.Job, c.Train.Window = "", place, b.window
	}
	c.Train = c.Train.Completed()
	s := &features.Setup{Config: c, UI: ui, Narrow: &features.NarrowPhotos{}, Session: &features.SharedBody{},
		Body: bodies.Body{Spec: bodies.Spec{Channels: int64(b.width / 2)}}, Set: &dataset.Set{}}
	for i := range 10 {
		s.Set.Classes = append(s.Set.Classes, jobtest.Class(i))
	}
	run, err := runs.Create(filepath.Join(b.dir, step), runs.Options{}, c)
	if err != nil {
		return err
	}
	defer run.Close()
	var sum *runs.Summary
	rows := b.rows
	if step == "head-job" {
		set, err := parts.Open(ctx, place)
		if err != nil {
			return err
		}
		defer set.Close()
		sum, err = train.Parts(ctx, s, set, run, time.Now())
		if err != nil {
			return err
		}
	} else {
		rows = b.inMemory
		if sum, err = train.Head(ctx, s, run, b.memory(), time.Now()); err != nil {
			return err
		}
	}
	fmt.Printf("%-12s %8.0f rows/s, %.0f a processor-second, in %.1f s of training; accuracy %.4f of %d\n", step,
		float64(rows)/(*ui.clock), float64(rows)/(*ui.processor), *ui.clock, sum.Valid.Accuracy, sum.ValidImages)
	return nil
}

// memory are the first rows of the job, held.
func (b headBench) memory() *features.Features {
	f, m := &features.Features{}, b.made(b.inMemory)
	flat := make([]float32, (m.Train+m.Valid)*b.width)
	for i := range m.Train + m.Valid {
		row, to := flat[i*b.width:(i+1)*b.width], &f.Train
		if i >= m.Train {
			to = &f.Valid
		}
		m.Features(row, i)
		to.Items = append(to.Items, dataset.Item{Label: i % m.Classes})
		to.Rows = append(to.Rows, row)
	}
	return f
}

// silent says nothing. It measures the steps of a training, validation included.
type silent struct{ clock, processor *float64 }

func (silent) Say(string, ...any)  {}
func (silent) Warn(string, ...any) {}
func (silent) Header(...string)    {}
func (silent) Row(...string)       {}
func (s silent) Progress(string, string) (func(done, total int), func()) {
	begin, used := time.Now(), processor()
	return func(int, int) {}, func() { *s.clock, *s.processor = time.Since(begin).Seconds(), processor()-used }
}
