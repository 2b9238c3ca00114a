package scores

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/durable"
)

var journalColumns = []Column{{Name: "path"}, {Name: "p", Number: true}}

func openJournal(t *testing.T, out string) *Journal {
	t.Helper()
	j, err := OpenJournal(out, journalColumns, "key", false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// fillJournal appends chunks of two rows: 0, 1 | 2, 3 | …
func fillJournal(t *testing.T, j *Journal, chunks int) {
	t.Helper()
	for i := range chunks {
		var rows []Row
		for k := range 2 {
			rows = append(rows, Row{{Text: fmt.Sprintf("%d.jpg", 2*i+k)}, {Number: float32(2*i + k)}})
		}
		if err := j.Append(rows); err != nil {
			t.Fatal(err)
		}
	}
}

func TestJournalForgetsADamagedChunkAndWhatFollows(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	j := openJournal(t, out)
	fillJournal(t, j, 3)
	size := int64(0)
	if info, err := os.Stat(j.path(1)); err == nil {
		size = info.Size()
	}
	j.Close()
	whole, _ := os.ReadFile(j.path(1))
	for at := range size {
		damaged := append([]byte(nil), whole...)
		damaged[at] ^= 1
		if err := os.WriteFile(j.path(1), damaged, 0o666); err != nil {
			t.Fatal(err)
		}
		j := openJournal(t, out)
		if j.Len() != 2 {
			t.Fatalf("byte %d damaged: %d rows are kept, want the 2 of the first chunk", at, j.Len())
		}
		fillJournal(t, &Journal{dir: j.dir, columns: j.columns}, 3)
		j.Close()
	}
}

func TestInterruptedDropLeavesNoGap(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	j := openJournal(t, out)
	fillJournal(t, j, 4)
	old := durable.Before
	defer func() { durable.Before = old }()
	removed := 0
	durable.Before = func(s durable.Step, path string) error {
		if removed++; removed > 1 {
			return os.ErrPermission
		}
		return nil
	}
	if err := j.drop(1); err == nil || !strings.Contains(err.Error(), "rows-") {
		t.Errorf("error %v does not name the chunk", err)
	}
	durable.Before = old
	j.Close()
	if n := openJournal(t, out).Len(); n != 6 {
		t.Errorf("%d rows after a drop that stopped half-way, want the 6 of the first three chunks", n)
	}
}

func TestJournalOfAnotherKeyStartsEmpty(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	j := openJournal(t, out)
	fillJournal(t, j, 2)
	j.Close()
	other, err := OpenJournal(out, journalColumns, "another key", false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.Len() != 0 {
		t.Errorf("%d rows kept under another key", other.Len())
	}
	if _, err := os.Stat(other.path(0)); err == nil {
		t.Error("the old rows are still there")
	}
}
