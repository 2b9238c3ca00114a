package scores

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"finetune/internal/durable"
)

// One that waits for a journal's lock takes its turn when the other has finished
// and taken its journal away.
func TestJournalThatAnotherFinishes(t *testing.T) {
	for range 5 {
		out := filepath.Join(t.TempDir(), "scores.csv")
		first := openJournal(t, out)
		fillJournal(t, first, 2)
		opened := make(chan error, 1)
		go func() {
			second, err := OpenJournal(out, journalColumns, "another key", false)
			if err == nil {
				if err = second.Append([]Row{{{Text: "a.jpg"}, {Number: 1}}}); err == nil {
					err = second.Remove()
				}
			}
			opened <- err
		}()
		time.Sleep(50 * time.Millisecond) // it waits, as for a killed process
		if err := first.Remove(); err != nil {
			t.Error(err)
		}
		if err := <-opened; err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(out + ".journal"); !os.IsNotExist(err) {
			t.Errorf("the journal is left: %v", err)
		}
	}
}

// What another process begins in the journal's place, while one takes its own
// away, stays; a journal that is gone already is no error.
func TestJournalThatAnotherBegins(t *testing.T) {
	old := durable.Before
	defer func() { durable.Before = old }()
	out := filepath.Join(t.TempDir(), "scores.csv")
	first := openJournal(t, out)
	fillJournal(t, first, 2)
	key := filepath.Join(out+".journal", "key.json")
	durable.Before = func(s durable.Step, path string) error {
		if s == durable.Delete && filepath.Base(path) == "lock" { // the last file that first removes
			return os.WriteFile(key, []byte("of another"), 0o666)
		}
		return nil
	}
	if err := first.Remove(); err != nil {
		t.Errorf("its own rows are gone: %v", err)
	}
	if text, err := os.ReadFile(key); string(text) != "of another" {
		t.Errorf("what another process began: %q, %v", text, err)
	}
	durable.Before = old
	gone := openJournal(t, filepath.Join(t.TempDir(), "scores.csv"))
	if err := errors.Join(os.RemoveAll(gone.dir), gone.Remove()); err != nil {
		t.Errorf("a journal that another removed: %v", err)
	}
}
