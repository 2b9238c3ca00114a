package activations

import (
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"finetune/internal/failure"
	"finetune/internal/reading"
)

// failing makes the first tries to read a file fail.
func failing(t *testing.T, file string, number syscall.Errno, tries int) {
	before, pauses := reading.Before, reading.Pauses
	t.Cleanup(func() { reading.Before, reading.Pauses = before, pauses })
	reading.Pauses = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	var mu sync.Mutex
	reading.Before = func(path string) error {
		mu.Lock()
		defer mu.Unlock()
		if path != file || tries == 0 {
			return nil
		}
		tries--
		return &fs.PathError{Op: "read", Path: path, Err: number}
	}
}

// A disk or a mount that fails says nothing about the photograph on it.
func TestErrorsOfTheStorageAreNoBadPhotographs(t *testing.T) {
	for _, number := range []syscall.Errno{syscall.EIO, syscall.EMFILE, syscall.ESTALE, syscall.ENOMEM} {
		t.Run(number.Error(), func(t *testing.T) {
			items := photos(t, 20)
			failing(t, items[7].File, number, 2)
			counts(t, "for a moment", fill(t, open(t, t.TempDir(), 8), items, FillOptions{Workers: 3, Batch: 4}), 20, 0, 0, 0)
			c := open(t, t.TempDir(), 8)
			failing(t, items[7].File, number, 1000)
			r, err := c.Fill(t.Context(), items, &fakeBody{features: 8}, fakeLoad, FillOptions{Workers: 3, Batch: 4})
			if err == nil || failure.KindOf(err) != failure.Other || !strings.Contains(err.Error(), items[7].File) ||
				!strings.Contains(err.Error(), "to blame, not the file") {
				t.Errorf("lasting: %+v, %v", r, err)
			}
			seen := 0
			_, err = Stream(t.Context(), items, 4, &fakeBody{features: 8}, fakeLoad, FillOptions{Batch: 4},
				func(i int, row []float32, bad *Bad) error {
					if seen++; bad != nil || i >= 7 {
						t.Errorf("item %d was told: %+v", i, bad)
					}
					return nil
				})
			if !failure.System(err) {
				t.Errorf("a stream, after %d rows: %v", seen, err)
			}
		})
	}
	items := photos(t, 20)
	failing(t, items[7].File, syscall.EACCES, 1000)
	counts(t, "not permitted", fill(t, open(t, t.TempDir(), 8), items, FillOptions{}), 19, 0, 0, 1)
}
