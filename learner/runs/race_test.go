package runs

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"finetune/internal/failure"
	"finetune/internal/lock"
)

// A run that another process makes while this one waits for the folder's lock is
// not replaced: what was looked at before says nothing any more.
func TestARunMadeWhileWaitingForTheLockStays(t *testing.T) {
	root := t.TempDir()
	dir, other := filepath.Join(root, "run"), filepath.Join(root, "other")
	r, err := Create(other, Options{}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	held, err := lock.Take(filepath.Join(dir, ".lock"), "a run", false)
	if err != nil {
		t.Fatal(err)
	}
	made := make(chan error, 1)
	go func() {
		late, err := Create(dir, Options{}, Config{})
		if err == nil {
			late.Close()
		}
		made <- err
	}()
	time.Sleep(300 * time.Millisecond) // it has seen an empty folder, and waits
	for _, name := range []string{"SHA256SUMS", "config.json"} {
		if err := os.Rename(filepath.Join(other, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS"))
	if err != nil {
		t.Fatal(err)
	}
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-made; failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), "this run exists") {
		t.Errorf("a second run in its folder: %v", err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "SHA256SUMS")); err != nil || string(got) != string(want) {
		t.Errorf("the first run's files are replaced: %v", err)
	}
}

// A process that is refused removes the folder that it made. One that waits for the folder's lock makes it again.
func TestAFolderRemovedWhileWaitingForItsLockIsMadeAgain(t *testing.T) {
	for name, take := range map[string]func(dir string) (*Run, error){
		"train":     func(dir string) (*Run, error) { return Create(dir, Options{}, Config{}) },
		"overwrite": func(dir string) (*Run, error) { return Create(dir, Options{Overwrite: true}, Config{}) },
		"resume": func(dir string) (*Run, error) {
			r, _, _, err := Open(dir, Options{Resume: true})
			return r, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "run")
			refused, err := Create(dir, Options{}, Config{})
			if err != nil {
				t.Fatal(err)
			}
			if name != "resume" { // else a run is there, which these do not touch
				for _, file := range []string{ConfigFile, sumsFile} {
					if err := os.Remove(filepath.Join(dir, file)); err != nil {
						t.Fatal(err)
					}
				}
			}
			end := make(chan error, 1)
			go func() {
				second, err := take(dir)
				if err == nil {
					err = second.Close()
				}
				end <- err
			}()
			time.Sleep(300 * time.Millisecond) // it waits for the lock
			refused.Discard()
			if err := refused.Close(); err != nil {
				t.Error(err)
			}
			if err := <-end; err != nil {
				t.Errorf("the second process: %v", err)
			}
		})
	}
}
