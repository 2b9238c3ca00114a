package scores

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/faults"
)

// A file of the journal that cannot be read for once is no file of another job: its rows stay.
func TestJournalThatCannotBeReadIsNotEmptied(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	err := faults.Unprivileged(func() error {
		j := openJournal(t, "scores.csv")
		fillJournal(t, j, 3)
		return j.Close()
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"key.json", "rows-000000001"} {
		file := filepath.Join("scores.csv.journal", name)
		if err := os.Chmod(file, 0); err != nil {
			t.Fatal(err)
		}
		err := faults.Unprivileged(func() error {
			_,
				err := OpenJournal("scores.csv", journalColumns, "key", false)
			return err
		})
		if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), file) ||
			!strings.Contains(err.Error(), "or remove scores.csv.journal") {
			t.Errorf("%s: %v", name, err)
		}
		if err := os.Chmod(file, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	if n := openJournal(t, "scores.csv").Len(); n != 6 {
		t.Errorf("%d rows are left, want 6", n)
	}
	if err := os.Chmod(".", 0o555); err != nil {
		t.Fatal(err)
	}
	err = faults.Unprivileged(func() error { _, err := OpenJournal("new.csv", journalColumns, "key", false); return err })
	if !errors.Is(err, os.ErrPermission) || !strings.Contains(err.Error(), "new.csv.journal") {
		t.Errorf("a folder that takes no journal: %v", err)
	}
	if err := os.Chmod("scores.csv.journal", 0o555); err != nil {
		t.Fatal(err)
	}
	err = faults.Unprivileged(func() error { return (&Journal{dir: "scores.csv.journal"}).drop(0) })
	if !errors.Is(err, os.ErrPermission) {
		t.Errorf("a chunk that cannot be removed: %v", err)
	}
}
