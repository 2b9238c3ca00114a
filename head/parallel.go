package head

import (
	"runtime"
	"sync"
)

// job is work on a range of features. Ranges do not share results, so the split
// changes no number.
type job interface{ run(lo, hi, worker int) }

type task struct {
	job            job
	lo, hi, worker int
	done           *sync.WaitGroup
}

var (
	workers = runtime.GOMAXPROCS(0)
	tasks   = sync.OnceValue(startWorkers)
)

// startWorkers starts the goroutines, one a core but the caller's, that live as
// long as the process: a step hands them work without allocating.
func startWorkers() chan<- task {
	c := make(chan task, workers)
	for range workers - 1 {
		go func() {
			for t := range c {
				t.job.run(t.lo, t.hi, t.worker)
				t.done.Done()
			}
		}()
	}
	return c
}

// split runs j over [0, n) on all cores, in ranges of whole panels of 16.
func split(n int, j job, done *sync.WaitGroup) {
	panels := (n + 15) / 16
	parts := min(workers, panels)
	for w := 1; w < parts; w++ {
		done.Add(1)
		tasks() <- task{j, panels * w / parts * 16, min(panels*(w+1)/parts*16, n), w, done}
	}
	j.run(0, min(panels/parts*16, n), 0)
	done.Wait()
}
