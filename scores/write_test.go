package scores

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/failure"
)

func logs(p ...float64) []float32 {
	out := make([]float32, len(p))
	for i, v := range p {
		out[i] = float32(math.Log(v))
	}
	return out
}

var results = []Result{
	{Path: "a.jpg", Status: OK, LogProb: logs(.25, .5, .25)},
	{Path: "b, \"c\".jpg", Status: "unreadable", Reason: "damaged"},
	{Path: "d\xff.jpg", Status: OK, LogProb: logs(.125, .125, .75)},
}

// written writes results under a name in a fresh folder and returns path and bytes.
func written(t *testing.T, name string, list []Result, o Options, escape bool) (string, string) {
	t.Helper()
	table, err := NewTable([]string{"cat", "=dog", "emu"}, o)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), name)
	err = Write(path, table.Columns, func(yield func(Row) error) error {
		for _, r := range list {
			if err := yield(table.Row(r)); err != nil {
				return err
			}
		}
		return nil
	}, escape)
	if err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, string(data)
}

func TestForms(t *testing.T) {
	for _, tt := range []struct {
		name, file string
		o          Options
		escape     bool
		want       string
	}{
		{"CSV", "x.csv", Options{}, false, "path,status,reason,predicted,probability,p_cat,p_=dog,p_emu\n" +
			"a.jpg,ok,,=dog,0.5,0.25,0.5,0.25\n\"b, " +
			"\"\"c\"\".jpg\",unreadable,damaged,,,,,\nd\xff.jpg,ok,,emu,0.75,0.125,0.125,0.75\n"},
		{"formulas disarmed", "x.csv", Options{Top: 1}, true, "path,status,reason,predicted,probability,class_1,p_1\n" +
			"a.jpg,ok,,'=dog,0.5,'=dog,0.5\n\"b, \"\"c\"\".jpg\",unreadable,damaged,,,,\nd\xff.jpg,ok,,emu,0.75,emu,0.75\n"},
		{"JSON Lines", "x.jsonl", Options{Top: 1, Threshold: .6}, false,
			`{"path":"a.jpg","status":"ok","reason":"","predicted":"","probability":0.5,"class_1":"=dog","p_1":0.5}` + "\n" +
				`{"path":"b, \"c\".jpg","status":"unreadable","reason":"damaged","predicted":"","probability":null,"class_1":"","p_1":null}` + "\n" +
				`{"path":"d` + `\ufffd` +
				`.jpg","status":"ok","reason":"","predicted":"emu","probability":0.75,"class_1":"emu","p_1":0.75}` + "\n"},
		{"Kaggle", "x.csv", Options{Kaggle: "cat"}, false, "id,label\na,0.25\n\"b, \"\"c\"\"\",0.33333334\nd\xff,0.125\n"},
		{"several labels", "x.csv", Options{Multi: true, Separator: "|", Threshold: .2, Top: 2}, false,
			"path,status,reason,predicted,probability,class_1,p_1,class_2,p_2\n" +
				"a.jpg,ok,,cat|=dog|emu,0.5,=dog,0.5,cat,0.25\n\"b, " +
				"\"\"c\"\".jpg\",unreadable,damaged,,,,,,\nd\xff.jpg,ok,,emu,0.75,emu,0.75,cat,0.125\n"},
	} {
		if _, got := written(t, tt.file, results, tt.o, tt.escape); got != tt.want {
			t.Errorf("%s:\n%q\nwant\n%q", tt.name, got, tt.want)
		}
	}
}

func TestOptionsThatCannotBe(t *testing.T) {
	for _, o := range []Options{{Top: 4}, {Top: -1}, {Threshold: 1.5}, {Threshold: math.NaN()}, {Kaggle: "cow"},
		{Kaggle: "cat", Top: 1}} {
		if _, err := NewTable([]string{"cat", "dog", "emu"}, o); failure.KindOf(err) != failure.UsageKind {
			t.Errorf("%+v: error %v, want one of usage", o, err)
		}
	}
	if _, err := FormatOf("scores.xlsx"); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("xlsx: %v", err)
	}
}

// many makes n results in the order of their paths.
func many(n int) []Result {
	list := make([]Result, n)
	for i := range list {
		p := float64(i%97+1) / 100
		list[i] = Result{Path: fmt.Sprintf("%05d.jpg", i), Status: OK, LogProb: logs(p, (1-p)/3, (1-p)*2/3)}
		if i%50 == 7 {
			list[i] = Result{Path: list[i].Path, Status: "empty", Reason: "the file is empty"}
		}
	}
	return list
}

func TestMergedPartsAreTheWhole(t *testing.T) {
	list := many(1000)
	for _, ending := range []string{".csv", ".jsonl", ".parquet"} {
		_, whole := written(t, "whole"+ending, list, Options{}, true)
		var parts []string
		for _, cut := range [][2]int{{600, 1000}, {0, 1}, {1, 1}, {1, 600}} { // in no order, one of them empty
			p, _ := written(t, "part"+ending, list[cut[0]:cut[1]], Options{}, true)
			parts = append(parts, p)
		}
		out := filepath.Join(t.TempDir(), "out"+ending)
		rows, err := Merge(out, parts)
		if err != nil || rows != 1000 {
			t.Fatalf("%s: %d rows, %v", ending, rows, err)
		}
		if data, err := os.ReadFile(out); err != nil || string(data) != whole {
			t.Errorf("%s: %d bytes merged, %d written at once (%v)", ending, len(data), len(whole), err)
		}
		for what, bad := range map[string][]string{"a part given twice": {parts[0], parts[0]},
			"parts that overlap": {parts[0], parts[3], parts[1], parts[3]}} {
			if _, err := Merge(filepath.Join(t.TempDir(), "out"+ending), bad); failure.KindOf(err) != failure.DataKind {
				t.Errorf("%s: %s: %v, want an error of data", ending, what, err)
			}
		}
		other, _ := written(t, "other"+ending, many(3), Options{Top: 2}, false)
		if _, err := Merge(out, []string{parts[0], other}); failure.KindOf(err) != failure.DataKind ||
			!strings.Contains(err.Error(), "columns") {
			t.Errorf("%s: other columns: %v", ending, err)
		}
	}
}

// Paths that begin with an apostrophe of their own, or with what a formula
// begins with: whichever way the parts were written, they are the whole.
func TestMergedPartsOfOddPaths(t *testing.T) {
	for _, tt := range []struct {
		escape bool
		paths  string
	}{
		{false, "'=a.jpg '=b.jpg 0.jpg a.jpg"}, {false, "'=a.jpg 0.jpg =a.jpg z.jpg"}, {true, "'=a.jpg 0.jpg =a.jpg z.jpg"},
		{true, "'a.jpg 0.jpg =b.jpg a.jpg"}, {true, "''=a.jpg '=a.jpg 5.jpg =a.jpg"}, {true, "-1 0 =a b"},
		{false, "+x.jpg -1.jpg 0.jpg @.jpg"}, {true, "(a.jpg =b.jpg"},
	} {
		var list []Result
		for _, p := range strings.Fields(tt.paths) {
			list = append(list, Result{Path: p, Status: "empty"})
		}
		_, whole := written(t, "whole.csv", list, Options{}, tt.escape)
		for cut := 1; cut < len(list); cut++ {
			a, _ := written(t, "a.csv", list[:cut], Options{}, tt.escape)
			b, _ := written(t, "b.csv", list[cut:], Options{}, tt.escape)
			out := filepath.Join(t.TempDir(), "out.csv")
			_, err := Merge(out, []string{b, a})
			if data, _ := os.ReadFile(out); err != nil || string(data) != whole {
				t.Errorf("%s, escaped %v, cut at %d: %v\n%s", tt.paths, tt.escape, cut, err, data)
			}
		}
	}
}

func TestDisarm(t *testing.T) {
	for text, want := range map[string]string{
		"=cmd|' /C calc'!A0": "'=cmd|' /C calc'!A0", "@x": "'@x", "+x": "'+x", "-1+cmd": "'-1+cmd", "\tx": "'\tx", "-": "'-",
		"'=x": "''=x", "''=x": "'''=x", "-1": "-1", "+3.5": "+3.5", "'x": "'x", "": "", "'": "'", "cat": "cat",
	} {
		if got := Disarm(text); got != want || Rearm(got) != text {
			t.Errorf("%q became %q and %q", text, got, Rearm(got))
		}
	}
}

func TestMergeOfDamagedParts(t *testing.T) {
	for _, ending := range []string{".csv", ".jsonl", ".parquet"} {
		path, whole := written(t, "part"+ending, many(300), Options{}, false)
		cut := len(whole) - 11
		if err := os.WriteFile(path, []byte(whole[:cut]), 0o666); err != nil {
			t.Fatal(err)
		}
		out := filepath.Join(t.TempDir(), "out"+ending)
		if _, err := Merge(out, []string{path}); failure.KindOf(err) != failure.DataKind ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s cut short: %v", ending, err)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a file was left", ending)
		}
	}
	if _, err := Merge("out.csv", []string{"absent.csv"}); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("absent part: %v", err)
	}
}

func TestList(t *testing.T) {
	for name, in := range map[string]string{"lines": "b/2.jpg\r\na/1.jpg\n\nb/2.jpg\n",
		"NUL": "b/2.jpg\x00a/1.jpg\x00b/2.jpg\x00", "mark": "\xef\xbb\xbfb/2.jpg\na/1.jpg\nb/2.jpg\n"} {
		items, warnings, err := List(strings.NewReader(in))
		if err != nil || len(items) != 2 || items[0].Path != "a/1.jpg" || items[1].File != "b/2.jpg" || len(warnings) != 1 {
			t.Errorf("%s: %v, %v, %v", name, items, warnings, err)
		}
	}
	if _, _, err := List(strings.NewReader("\xff\xfea\x00.\x00")); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("UTF-16: %v", err)
	}
	if items, _, err := List(strings.NewReader("caf\xe9.jpg\n")); err != nil || items[0].Path != `caf\xe9.jpg` ||
		items[0].File != "caf\xe9.jpg" {
		t.Errorf("bytes: %v %v", items, err)
	}
	if _, _, err := List(strings.NewReader("\n")); failure.KindOf(err) != failure.DataKind {
		t.Errorf("no paths: %v", err)
	}
	items, _, err := List(strings.NewReader("a.png\na.jpg\na-b.jpg"))
	if err != nil {
		t.Fatal(err)
	}
	if err := SortByID(items); err == nil || !strings.Contains(err.Error(), "one id") {
		t.Errorf("a.png and a.jpg: %v", err)
	}
}

// FuzzMerge reads hostile parts: an error or a file that merges into itself.
func FuzzMerge(f *testing.F) {
	for i, ending := range []string{".csv", ".jsonl", ".parquet"} {
		dir := f.TempDir()
		table, err := NewTable([]string{"cat", "dog"}, Options{})
		if err != nil {
			f.Fatal(err)
		}
		path := filepath.Join(dir, "seed"+ending)
		err = Write(path, table.Columns, func(yield func(Row) error) error {
			return yield(table.Row(Result{Path: "a", Status: OK, LogProb: logs(.5, .5)}))
		}, false)
		if err != nil {
			f.Fatal(err)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(uint8(i), data)
		f.Add(uint8(i), bytes.ReplaceAll(data, []byte("a"), []byte("\x00\xff")))
	}
	f.Fuzz(func(t *testing.T, kind uint8, data []byte) {
		ending := []string{".csv", ".jsonl", ".parquet"}[kind%3]
		dir := t.TempDir()
		part, once, twice := filepath.Join(dir, "part"+ending), filepath.Join(dir, "once"+ending),
			filepath.Join(dir, "twice"+ending)
		if err := os.WriteFile(part, data, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Merge(once, []string{part}); err != nil {
			return
		}
		if _, err := Merge(twice, []string{once}); err != nil {
			t.Fatalf("merged once, not again: %v", err)
		}
		a, errA := os.ReadFile(once)
		b, errB := os.ReadFile(twice)
		if errA != nil || errB != nil || !bytes.Equal(a, b) {
			t.Errorf("merged again: other bytes (%v, %v)", errA, errB)
		}
	})
}
