package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// scaleBench compares a job of photographs in a tar file with one process that scores them.
type scaleBench struct {
	dir, finetune, model, photos string
	rows, taskRows, rounds       int
}

// took is what a command needed.
type took struct{ wall, processor float64 }

func (a took) plus(b took) took { return took{a.wall + b.wall, a.processor + b.processor} }

// all takes turns: one process with a thread for each core, a job with one worker of one
// thread, a job with a worker for each core, and one process with one thread. Tables of all
// have to be the same. Ratios of wall time need a machine that does nothing else; those of
// processor time do not.
func (b scaleBench) all() error {
	shard := filepath.Join(b.dir, "photos.tar")
	if err := b.pack(shard); err != nil {
		return err
	}
	cores := runtime.NumCPU()
	fmt.Printf("%d photographs in a tar, tasks of %d, %d cores, %d rounds: medians\n", b.rows, b.taskRows, cores, b.rounds)
	ways := []struct {
		name    string
		threads int // of one process; 0: a job
		workers int
	}{{"one process", cores, 0}, {"job, 1 worker", 0, 1}, {"job, a worker a core", 0, cores},
		{"one process, 1 thread", 1, 0}}
	times := make([][]took, len(ways))
	var table []byte
	for range b.rounds {
		for i, w := range ways {
			out := filepath.Join(b.dir, "out.csv")
			t, err := b.score(shard, out, w.threads, w.workers)
			if err != nil {
				return err
			}
			times[i] = append(times[i], t)
			got, err := os.ReadFile(out)
			if err != nil {
				return err
			}
			if table == nil {
				table = got
			}
			if !bytes.Equal(got, table) {
				return fmt.Errorf("%s: the table is another one", w.name)
			}
		}
	}
	middle := make([]took, len(ways))
	for i, w := range ways {
		middle[i] = took{median(times[i], func(t took) float64 { return t.wall }),
			median(times[i], func(t took) float64 { return t.processor })}
		fmt.Printf("%-22s %8.1f s, %8.1f processor-seconds, %6.1f photographs a second, %6.1f a processor-second\n", w.name,
			middle[i].wall, middle[i].processor, float64(b.rows)/middle[i].wall, float64(b.rows)/middle[i].processor)
	}
	fmt.Printf("workers    %.3f of one process with %d threads (wall; goal 0.95), %.3f by processor time\n",
		middle[0].wall/middle[2].wall, cores, middle[0].processor/middle[2].processor)
	fmt.Printf("scaling    1 worker to %d: %.3f of linear (wall)\n", cores, middle[1].wall/middle[2].wall/float64(cores))
	fmt.Printf("engine     %+.1f %% of one process with one thread, by processor time (goal 2 %% with tasks of 10,000)\n",
		(middle[1].processor/middle[3].processor-1)*100)
	return nil
}

// score makes the table of the photographs, in one process or as a job: plan, run, merge.
func (b scaleBench) score(shard, out string, threads, workers int) (took, error) {
	if err := os.Remove(out); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return took{}, err
	}
	if threads > 0 {
		n := strconv.Itoa(threads)
		return b.timed("score", b.model, shard, "--no-cache", "-o", out, "--threads", n, "--workers", n, "--device", "cpu")
	}
	place := filepath.Join(b.dir, "job")
	if err := os.RemoveAll(place); err != nil {
		return took{}, err
	}
	var sum took
	for _, args := range [][]string{
		{"plan", "score", b.model, shard, place, "--task-rows", strconv.Itoa(b.taskRows), "--device", "cpu"},
		{"run", place, "--workers", strconv.Itoa(workers), "--threads", "1"}, {"merge", place, "-o", out}} {
		t, err := b.timed(args...)
		if err != nil {
			return took{}, err
		}
		sum = sum.plus(t)
	}
	return sum, nil
}

// timed runs the program. Its processor time is that of its workers too.
func (b scaleBench) timed(args ...string) (took, error) {
	c := exec.Command(b.finetune, append(args, "--quiet")...)
	start := time.Now()
	if said, err := c.CombinedOutput(); err != nil {
		return took{}, fmt.Errorf("%s: %w: %s", strings.Join(c.Args, " "), err, said)
	}
	p := c.ProcessState
	return took{time.Since(start).Seconds(), (p.UserTime() + p.SystemTime()).Seconds()}, nil
}

func median(list []took, of func(took) float64) float64 {
	values := make([]float64, len(list))
	for i, t := range list {
		values[i] = of(t)
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// pack writes the tar: the JPEG files below photos, again and again under other names.
func (b scaleBench) pack(name string) error {
	var files []string
	err := filepath.WalkDir(b.photos, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, ".jpg") {
			files = append(files, path)
		}
		return err
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("%q: no .jpg files; name a folder with -photos", b.photos)
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(b.dir, 0o777); err != nil {
		return err
	}
	f, err := os.Create(name)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	for i := range b.rows {
		data, err := os.ReadFile(files[i%len(files)])
		if err == nil {
			err = w.WriteHeader(&tar.Header{Name: fmt.Sprintf("%08d.jpg", i), Mode: 0o644, Size: int64(len(data))})
		}
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			return errors.Join(err, f.Close())
		}
	}
	return errors.Join(w.Close(), f.Close())
}
