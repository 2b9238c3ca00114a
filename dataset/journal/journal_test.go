package journal

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"finetune/internal/durable"
)

func open(t *testing.T, path string) *Journal {
	t.Helper()
	j, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func row(path, label, source string) Row {
	return Row{path, label, "ann", "2026-01-02T03:04:05Z", source}
}

func said(j *Journal) string {
	var out []string
	for _, r := range j.Now() {
		out = append(out, r.Path+"="+r.Label)
	}
	return strings.Join(out, " ")
}

func TestSettling(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "sub", "labels.csv"))
	for _, step := range []struct {
		row  Row
		want string
	}{
		{row("a", "x", Folder), "a=x"},
		{row("b, \"1\"\nc", "y", Chosen), "a=x b, \"1\"\nc=y"},
		{row("a", "y", Review), "a=y b, \"1\"\nc=y"},
		{row("a", "", Undo), "a=x b, \"1\"\nc=y"},
		{row("a", "", Undo), "b, \"1\"\nc=y"},
		{row("a", "", Undo), "b, \"1\"\nc=y"}, // nothing is left to take back
		{row("a", "", Skip), "a= b, \"1\"\nc=y"},
	} {
		if err := j.Append(step.row); err != nil {
			t.Fatal(err)
		}
		if got := said(j); got != step.want {
			t.Errorf("after %v: %q, want %q", step.row, got, step.want)
		}
	}
	path, want := j.Path(), j.Rows()
	if j.Close(); !reflect.DeepEqual(open(t, path).Rows(), want) {
		t.Error("read again, the rows are others")
	}
}

// A crash in the middle of a line costs that line alone, and the next row begins one of its own.
func TestCutAnywhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labels.csv")
	j := open(t, path)
	for _, name := range []string{"a", "b", "c"} {
		if err := j.Append(row(name, "x", Chosen)); err != nil {
			t.Fatal(err)
		}
	}
	j.Close()
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(whole) + 1 {
		if err := os.WriteFile(path, whole[:n], 0o666); err != nil {
			t.Fatal(err)
		}
		cut := open(t, path)
		if err := cut.Append(row("z", "x", Chosen)); err != nil {
			t.Fatal(err)
		}
		cut.Close()
		lines := max(0, strings.Count(string(whole[:n]), "\n")-1)
		if n < len(whole) && whole[n] == '\n' && n > len(strings.Join(Header, ",")) { // nothing but the end is missing
			lines++
		}
		again := open(t, path)
		if got := again.Rows(); len(got) != lines+1 || got[lines].Path != "z" {
			t.Errorf("cut at %d: %v, want %d rows and z", n, got, lines)
		}
		again.Close()
	}
}

// Whatever others do to the file meanwhile, what is said afterwards is kept.
func TestEditedMeanwhile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "labels.csv")
	j := open(t, path)
	if err := j.Append(row("a", "x", Chosen)); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, append(encode([]Row{{"path", "label", "who", "when", "source"}}),
		encode([]Row{row("edited", "y", Review)})...)); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(row("b", "x", Chosen)); err != nil || said(j) != "edited=y b=x" {
		t.Errorf("after an editor replaced the file: %q, %v", said(j), err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(row("c", "x", Chosen)); err != nil || said(j) != "edited=y b=x c=x" {
		t.Errorf("after it was removed: %q, %v", said(j), err)
	}
	if _, err := Open(path); err == nil || !strings.Contains(err.Error(), "-o DIR") {
		t.Errorf("a second process: %v", err)
	}
}

func TestForeignFiles(t *testing.T) {
	for text, want := range map[string]string{
		"path,label\na,b\n":                       ":1: the header",
		"path,label,who,when,source\na,b\n":       ":2: 2 cells",
		"path,label,who,when,source\na\"b,\n":     ":2: ",
		"path,label,who,when,source\n\xff,,,,x\n": "UTF-8",
	} {
		path := filepath.Join(t.TempDir(), "labels.csv")
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", text, err, want)
		}
		if now, _ := os.ReadFile(path); string(now) != text {
			t.Errorf("%q was changed to %q", text, now)
		}
	}
}
