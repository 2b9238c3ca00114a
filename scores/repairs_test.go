package scores

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/parquet/file"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
)

// A journal of an earlier version, byte for byte, is taken up.
func TestJournalOfAnEarlierVersion(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	key := "{\n  \"format\": 1,\n  \"key\": \"key\",\n  \"columns\": [\n    {\n      \"Name\": \"path\",\n      " +
		"\"Number\": false\n    },\n" +
		"    {\n      \"Name\": \"p\",\n      \"Number\": true\n    }\n  ]\n}"
	rows := "\x05a.jpg\x00\x00\x80\x3f\x05b.jpg\x00\x00\x00\xbf"
	chunk := binary.LittleEndian.AppendUint32([]byte(rows), digest.CRC32C([]byte(rows)))
	dir := out + ".journal"
	if err := errors.Join(os.Mkdir(dir, 0o777), os.WriteFile(filepath.Join(dir, "key.json"), []byte(key), 0o666),
		os.WriteFile(filepath.Join(dir, "rows-000000000"), chunk, 0o666)); err != nil {
		t.Fatal(err)
	}
	got := rowsOf(t, openJournal(t, out))
	if len(got) != 2 || got[0][0].Text != "a.jpg" || got[0][1].Number != 1 || got[1][0].Text != "b.jpg" ||
		got[1][1].Number != -.5 {
		t.Errorf("rows %v", got)
	}
}

// The folder is made as any other: others of the group may take the job up.
func TestJournalHasTheUsualMode(t *testing.T) {
	dir := t.TempDir()
	j := openJournal(t, filepath.Join(dir, "scores.csv"))
	if err := os.Mkdir(filepath.Join(dir, "usual"), 0o777); err != nil {
		t.Fatal(err)
	}
	got, err1 := os.Stat(j.dir)
	want, err2 := os.Stat(filepath.Join(dir, "usual"))
	if err := errors.Join(err1, err2); err != nil || got.Mode() != want.Mode() {
		t.Errorf("mode %v, %v; another folder has %v", got.Mode(), err, want.Mode())
	}
}

// What fails while a journal is emptied or removed is told.
func TestJournalThatCannotBeRemoved(t *testing.T) {
	if err := (&Journal{dir: filepath.Join(t.TempDir(), "absent")}).empty(); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that cannot be listed: %v", err)
	}
	if runtime.GOOS == "windows" {
		t.Skip("there the first removal fails by rule, because the lock is open")
	}
	j := openJournal(t, filepath.Join(t.TempDir(), "scores.csv"))
	old := durable.Before
	defer func() { durable.Before = old }()
	n := 0
	durable.Before = func(durable.Step, string) error {
		if n++; n == 1 {
			return os.ErrPermission
		}
		return nil
	}
	if err := j.Remove(); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a removal that fails: %v", err)
	}
}

// A NUL anywhere, at the beginning too, says that paths end with NUL.
func TestListThatBeginsWithNUL(t *testing.T) {
	items, _, err := List(strings.NewReader("\x00a\nb\x00"))
	if err != nil || len(items) != 1 || items[0].File != "a\nb" {
		t.Errorf("%v, %v", items, err)
	}
}

// A folder is no part, and what is a part that cannot be read is its error.
func TestMergeOfFolders(t *testing.T) {
	for _, ending := range endings {
		dir := filepath.Join(t.TempDir(), "part"+ending)
		if err := os.Mkdir(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if _, err := Merge(filepath.Join(t.TempDir(), "out"+ending), []string{dir}); err == nil ||
			!strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", ending, err)
		}
	}
}

// A line that is too long for memory ends the merge, it does not end the part.
func TestMergeOfAnEndlessLine(t *testing.T) {
	path := partOf(t, "x.jsonl", `{"path":"a"}`+"\n")
	f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Truncate(maxLine+1<<10), f.Close()); err != nil { // zeros, which take no room on the disk
		t.Fatal(err)
	}
	if _, err := Merge(filepath.Join(t.TempDir(), "out.jsonl"), []string{path}); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

// flaky is a disk whose k-th write fails, and the others do not.
type flaky struct {
	bytes.Buffer
	k, n int
}

var errDisk = errors.New("input/output error")

func (f *flaky) Write(p []byte) (int, error) {
	if f.n++; f.n == f.k {
		return 0, errDisk
	}
	return f.Buffer.Write(p)
}

// A disk that fails once: no table with a hole passes for the whole.
func TestWritersReportAWriteThatFailsOnce(t *testing.T) {
	table, err := NewTable([]string{"cat", "dog", "emu"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	write := func(out *flaky, ending string, rows int) error {
		w, err := newWriter(out, Format(ending), table.Columns, false)
		for i := 0; err == nil && i < rows; i++ {
			err = w.write(table.Row(Result{Path: fmt.Sprintf("%05d.jpg", i), Status: "empty"}))
		}
		if err != nil {
			return err
		}
		return w.close()
	}
	for _, ending := range endings {
		for _, rows := range []int{0, 1000} {
			sound := &flaky{}
			if err := write(sound, ending, rows); err != nil {
				t.Fatal(err)
			}
			for k := 1; k <= sound.n; k++ {
				if err := write(&flaky{k: k}, ending, rows); err == nil {
					t.Errorf("%s of %d rows: write %d of %d fails, and nothing is said", ending, rows, k, sound.n)
				}
			}
		}
	}
}

// A table of whole row groups has no empty one at its end, and one without rows none at all.
func TestParquetHasNoEmptyRowGroup(t *testing.T) {
	for rows, groups := range map[int]int{0: 0, 1: 1, 1 << 16: 1} {
		var b bytes.Buffer
		w, err := newParquetWriter(&b, journalColumns)
		if err != nil {
			t.Fatal(err)
		}
		for range rows {
			if err := w.write(Row{{Text: "a"}, {Number: 1}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.close(); err != nil {
			t.Fatal(err)
		}
		f, err := file.NewParquetReader(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatal(err)
		}
		if f.NumRowGroups() != groups || f.NumRows() != int64(rows) {
			t.Errorf("%d rows: %d rows in %d groups, want %d groups", rows, f.NumRows(), f.NumRowGroups(), groups)
		}
	}
}

// Kaggle's form is of one class, also where an image may have several; what was not scored says all classes alike.
func TestKaggleOfSeveralLabels(t *testing.T) {
	table, err := NewTable([]string{"a", "b", "c", "d"}, Options{Kaggle: "d", Multi: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		logp []float32
		want float32
	}{{logs(.5, .25, .75, .125), .125}, {nil, .25}} {
		row := table.Row(Result{Path: "x/y.z.jpg", Status: OK, LogProb: tt.logp})
		if len(row) != 2 || row[0].Text != "x/y.z" || math.Abs(float64(row[1].Number-tt.want)) > 1e-7 {
			t.Errorf("%v, want %v", row, tt.want)
		}
	}
}
