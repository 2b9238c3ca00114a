package scores

import (
	"encoding/binary"
	"errors"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
)

// rowsOf are the rows that a journal keeps.
func rowsOf(t *testing.T, j *Journal) (list []Row) {
	t.Helper()
	if err := j.Rows(func(r Row) error { list = append(list, append(Row(nil), r...)); return nil }); err != nil {
		t.Fatal(err)
	}
	return list
}

func TestJournalKeepsRowsBitForBit(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	texts := []string{"", "a", "\x00\xff\n\"", strings.Repeat("x", 127), strings.Repeat("y", 128),
		strings.Repeat("z", maxText)}
	numbers := []uint32{0, 1 << 31, 0x7f800000, 0xff800000, 0x7fc00000, 1, 0x3f800001}
	var want []Row
	for i, s := range texts {
		want = append(want, Row{{Text: s}, {Number: math.Float32frombits(numbers[i])}})
	}
	want = append(want, Row{{Text: "last"}, {Number: math.Float32frombits(numbers[6])}})
	j := openJournal(t, out)
	for _, chunk := range [][]Row{want[:2], {}, want[2:]} {
		if err := j.Append(chunk); err != nil {
			t.Fatal(err)
		}
	}
	check := func(j *Journal) {
		t.Helper()
		got := rowsOf(t, j)
		if len(got) != len(want) || j.Len() != len(want) {
			t.Fatalf("%d rows, Len %d, want %d", len(got), j.Len(), len(want))
		}
		for i, r := range got {
			if r[0].Text != want[i][0].Text || math.Float32bits(r[1].Number) != math.Float32bits(want[i][1].Number) {
				t.Errorf("row %d is %.20v", i, r)
			}
		}
	}
	check(j)
	if err := errors.Join(j.Close(), j.Close()); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	check(openJournal(t, out))
	stop := errors.New("enough")
	n := 0
	if err := j.Rows(func(Row) error { n++; return stop }); !errors.Is(err, stop) || n != 1 {
		t.Errorf("%d rows after the first one's error, %v", n, err)
	}
}

// Chunks with a right checksum that hold no whole rows: another version's, or a fault of the program.
func TestJournalOfChunksThatAreNoRows(t *testing.T) {
	number := "\x00\x00\x80\x3f"
	long := binary.AppendUvarint(nil, maxText+1)
	for name, body := range map[string]string{
		"half a number": "\x01a" + number[:3], "no number": "\x01a", "half a text": "\x05abc", "half a length": "\x80",
		"too long a text":  string(long) + strings.Repeat("x", maxText+1) + number,
		"a second row cut": "\x01a" + number + "\x01b",
	} {
		out := filepath.Join(t.TempDir(), "scores.csv")
		j := openJournal(t, out)
		fillJournal(t, j, 1)
		b := binary.LittleEndian.AppendUint32([]byte(body), digest.CRC32C([]byte(body)))
		if err := errors.Join(os.WriteFile(j.path(1), b, 0o666), j.Close()); err != nil {
			t.Fatal(err)
		}
		again := openJournal(t, out)
		if again.Len() != 2 {
			t.Errorf("%s: %d rows, want the 2 of the first chunk", name, again.Len())
		}
		if _, err := os.Stat(again.path(1)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: the chunk is left: %v", name, err)
		}
		again.rows = append(again.rows, 1)
		if err := os.WriteFile(again.path(1), b, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := again.Rows(func(Row) error { return nil }); err == nil ||
			!strings.Contains(err.Error(), again.path(1)+": damaged") {
			t.Errorf("%s: damaged while it is read: %v", name, err)
		}
	}
}

func TestJournalOfATruncatedChunk(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	j := openJournal(t, out)
	fillJournal(t, j, 2)
	whole, err := os.ReadFile(j.path(1))
	if err != nil {
		t.Fatal(err)
	}
	j.Close()
	for n := range len(whole) {
		if err := os.WriteFile(j.path(1), whole[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		again := openJournal(t, out)
		if again.Len() != 2 {
			t.Errorf("%d bytes: %d rows", n, again.Len())
		}
		again.Close()
	}
}

func TestJournalIsOneProcessesAlone(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	first := openJournal(t, out)
	if _, err := OpenJournal(out, journalColumns, "key", false); failure.KindOf(err) != failure.UsageKind ||
		!strings.Contains(err.Error(), "another process") {
		t.Errorf("while it is open: %v", err)
	}
	first.Close()
	if _, err := OpenJournal(out, journalColumns, func() {}, false); err == nil ||
		!strings.Contains(err.Error(), out+".journal") {
		t.Errorf("a key that is no JSON: %v", err)
	}
	other, err := OpenJournal(out, journalColumns, "other", false) // it empties all but the lock
	if err != nil {
		t.Fatalf("after a failure: %v", err)
	}
	if _, err := OpenJournal(out, journalColumns, "key", false); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("while an emptied one is open: %v", err)
	}
	if err := other.Remove(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(out + ".journal"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("removed: %v", err)
	}
	openJournal(t, out)
}

func TestJournalOfOtherColumnsStartsEmpty(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	j := openJournal(t, out)
	fillJournal(t, j, 1)
	j.Close()
	other, err := OpenJournal(out, []Column{{Name: "path"}, {Name: "p"}}, "key", false)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if other.Len() != 0 {
		t.Errorf("%d rows of other columns are kept", other.Len())
	}
}

func TestJournalLeavesWhatIsNotItsOwn(t *testing.T) {
	for name, make := range map[string]func(dir string) error{
		"another file":    func(dir string) error { return os.WriteFile(filepath.Join(dir, "thesis.txt"), nil, 0o666) },
		"a longer number": func(dir string) error { return os.WriteFile(filepath.Join(dir, "rows-0000000001"), nil, 0o666) },
		"a folder":        func(dir string) error { return os.Mkdir(filepath.Join(dir, "rows-000000000"), 0o777) },
		"a link":          func(dir string) error { return os.Symlink("/etc/passwd", filepath.Join(dir, "key.json")) },
		"no folder at all": func(dir string) error {
			return errors.Join(os.Remove(dir),
				os.WriteFile(dir, []byte("mine"), 0o666))
		},
	} {
		out := filepath.Join(t.TempDir(), "scores.csv")
		dir := out + ".journal"
		if err := errors.Join(os.Mkdir(dir, 0o777), make(dir)); err != nil {
			t.Fatal(err)
		}
		if info, err := os.Lstat(filepath.Join(dir, "key.json")); name == "a link" &&
			(err != nil || info.Mode().IsRegular()) {
			continue // wine makes links that it does not show
		}
		if _, err := OpenJournal(out, journalColumns, "key", false); failure.KindOf(err) != failure.UsageKind ||
			!strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", name, err)
		}
		if entries, _ := os.ReadDir(dir); len(entries) != 1 && name != "no folder at all" {
			t.Errorf("%s: %v is left", name, entries)
		}
	}
}

func TestJournalSweepsTemporaryFilesOfItsTable(t *testing.T) {
	dir := t.TempDir()
	for name, stays := range map[string]bool{".scores.csv1234567890": false, ".other.csv1234567890": true} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o666); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != stays {
				t.Errorf("%s: %v", name, err)
			}
		}()
	}
	openJournal(t, filepath.Join(dir, "scores.csv"))
}

// failing makes the durable steps from the given one on fail until the test ends.
func failing(t *testing.T, from int, only durable.Step) func() {
	old := durable.Before
	n := 0
	durable.Before = func(s durable.Step, _ string) error {
		if only != "" && s != only {
			return nil
		}
		if n++; n > from {
			return os.ErrPermission
		}
		return nil
	}
	restore := func() { durable.Before = old }
	t.Cleanup(restore)
	return restore
}

func TestFailedAppendKeepsNothingOfIt(t *testing.T) {
	out := filepath.Join(t.TempDir(), "scores.csv")
	j := openJournal(t, out)
	fillJournal(t, j, 1)
	restore := failing(t, 0, "")
	if err := j.Append([]Row{{{Text: "x"}, {}}}); !errors.Is(err, os.ErrPermission) ||
		!strings.Contains(err.Error(), "rows-000000001") || j.Len() != 2 {
		t.Errorf("%v, %d rows", err, j.Len())
	}
	restore()
	if err := j.Append([]Row{{{Text: "x"}, {}}}); err != nil || j.Len() != 3 || len(rowsOf(t, j)) != 3 {
		t.Errorf("afterwards: %v, %d rows", err, j.Len())
	}
}

// Whenever emptying is interrupted, no job takes the rows for its own.
func TestInterruptedEmptyingMixesNoJobs(t *testing.T) {
	for removed := range 4 {
		out := filepath.Join(t.TempDir(), "scores.csv")
		j := openJournal(t, out)
		fillJournal(t, j, 3)
		j.Close()
		restore := failing(t, removed, durable.Delete)
		if _, err := OpenJournal(out, journalColumns, "other", false); !errors.Is(err, os.ErrPermission) {
			t.Errorf("%d removed: %v", removed, err)
		}
		restore()
		old := openJournal(t, out)
		if want := map[bool]int{true: 6, false: 0}[removed == 0]; old.Len() != want {
			t.Errorf("%d removed: the old job has %d rows, want %d", removed, old.Len(), want)
		}
		old.Close()
	}
	out := filepath.Join(t.TempDir(), "scores.csv")
	failing(t, 0, durable.Rename)
	if _, err := OpenJournal(out, journalColumns, "key", false); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a key that cannot be written: %v", err)
	}
}

// What is left of a file that was being written when its process was killed is the journal's own.
func TestJournalOfAKilledProcessIsTakenUp(t *testing.T) {
	for _, temporary := range []string{".rows-0000000021234567890", ".rows-0000000025577006791947779410",
		".key.json5577006791947779410"} {
		out := filepath.Join(t.TempDir(), "scores.csv")
		j := openJournal(t, out)
		fillJournal(t, j, 2)
		j.Close()
		if err := os.WriteFile(filepath.Join(j.dir, temporary), []byte("half"), 0o666); err != nil {
			t.Fatal(err)
		}
		if again := openJournal(t, out); again.Len() != 4 {
			t.Errorf("%s: %d rows", temporary, again.Len())
		}
	}
}
