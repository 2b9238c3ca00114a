package durable

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// race lets eight writers claim one name at once and returns how many had it.
func race(t *testing.T, path string) (won int) {
	t.Helper()
	var wait sync.WaitGroup
	results := make([]error, 8)
	start := make(chan bool)
	for i := range results {
		wait.Go(func() {
			<-start
			results[i] = WriteNew(path, func(w io.Writer) error { _, err := fmt.Fprint(w, "writer ", i); return err })
		})
	}
	close(start)
	wait.Wait()
	winner := -1
	for i, err := range results {
		switch {
		case err == nil:
			won, winner = won+1, i
		case !errors.Is(err, fs.ErrExist) || !strings.Contains(err.Error(), path):
			t.Errorf("writer %d: %v", i, err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != fmt.Sprint("writer ", winner) {
		t.Errorf("the file holds %q, %v; writer %d won", got, err, winner)
	}
	return won
}

func TestWriteNewHasOneWinner(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		if won := race(t, filepath.Join(dir, "new", "part")); won != 1 {
			t.Errorf("%d writers won", won)
		}
		if got := names(t, filepath.Join(dir, "new")); got != "part" {
			t.Errorf("left are %s", got)
		}
	}
}

// Where a step fails nothing is visible, and the next call makes up for it.
func TestFailedWriteNewLeavesNothing(t *testing.T) {
	for _, at := range []Step{Create, Data, Sync, Rename} {
		dir := t.TempDir()
		path := filepath.Join(dir, "part")
		put := func() error {
			return WriteNew(path, func(w io.Writer) error { _, err := w.Write(make([]byte, 100_000)); return err })
		}
		t.Run(string(at), func(t *testing.T) {
			failNth(t, at, 0, errBroken)
			if err := put(); !errors.Is(err, errBroken) || !strings.Contains(err.Error(), path) {
				t.Errorf("error %v", err)
			}
			if got := names(t, dir); got != "" {
				t.Errorf("left are %s", got)
			}
		})
		if err := put(); err != nil {
			t.Error(err)
		}
		if err := put(); !errors.Is(err, fs.ErrExist) {
			t.Errorf("again: %v", err)
		}
	}
}
