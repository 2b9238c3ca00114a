package scores

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"finetune/internal/durable"
	"finetune/internal/failure"
)

// partOf writes a part as others may have written it.
func partOf(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMergeRefuses(t *testing.T) {
	csv := partOf(t, "a.csv", "path,p\na,1\n")
	for name, tt := range map[string]struct {
		out   string
		parts []string
		want  string
	}{
		"no parts":      {"out.csv", nil, "no parts"},
		"another form":  {"out.jsonl", []string{csv}, "the same format, here .jsonl"},
		"no form":       {"out.txt", []string{csv}, "must end in"},
		"part's form":   {"out.csv", []string{csv, "b.txt"}, "must end in"},
		"absent":        {"out.csv", []string{csv, "/no/such.csv"}, "/no/such.csv"},
		"absent, jsonl": {"out.jsonl", []string{"/no/such.jsonl"}, "/no/such.jsonl"},
		"absent, table": {"out.parquet", []string{"/no/such.parquet"}, "/no/such.parquet"},
	} {
		out := filepath.Join(t.TempDir(), tt.out)
		if _, err := Merge(out, tt.parts); failure.KindOf(err) != failure.UsageKind ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestMergeOfPartsThatAreNoScores(t *testing.T) {
	for name, tt := range map[string]struct{ file, text, want string }{
		"empty":           {"x.csv", "", "no header"},
		"one column":      {"x.csv", "path\na\n", "one column"},
		"another width":   {"x.csv", "path,p\na,1\nb,1,2\n", "wrong number of fields"},
		"an open quote":   {"x.csv", "path,p\n\"a,1\n", "extraneous or missing"},
		"not in order":    {"x.csv", "path,p\nb,1\na,1\n", `row "a" does not follow "b"`},
		"twice":           {"x.csv", "path,p\na,1\na,1\n", `row "a" does not follow "a"`},
		"a list":          {"x.jsonl", "[1]\n", "line 1: not a JSON object"},
		"no JSON":         {"x.jsonl", `{"path":"a"}` + "\nhello\n", "line 2: not a JSON object"},
		"an empty object": {"x.jsonl", "{}\n", "line 1: an empty object"},
		"a number first":  {"x.jsonl", `{"p":1,"path":"a"}` + "\n", "the first value is not a text"},
		"other keys":      {"x.jsonl", `{"path":"a","p":1}` + "\n" + `{"path":"b","q":1}` + "\n", "line 2: other keys"},
		"other order of keys": {"x.jsonl", `{"path":"a","p":"1"}` + "\n" + `{"p":"b","path":"1"}` + "\n",
			"line 2: other keys"},
		"an open object": {"x.jsonl", `{"path":"a"` + "\n", "line 1: "},
		"no value":       {"x.jsonl", `{"path":"a","p":}` + "\n", "line 1: "},
		"no colon":       {"x.jsonl", `{"path" "a"}` + "\n", "line 1: "},
		"no key":         {"x.jsonl", `{"path":"a",1:2}` + "\n", "line 1: "},
		"no parquet":     {"x.parquet", "PAR1 hello PAR1", ""},
	} {
		path := partOf(t, tt.file, tt.text)
		out := filepath.Join(t.TempDir(), "out"+filepath.Ext(tt.file))
		_, err := Merge(out, []string{path})
		if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), tt.want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
		if _, err := os.Stat(out); err == nil {
			t.Errorf("%s: a file was left", name)
		}
	}
}

func TestMergeOfForeignParquet(t *testing.T) {
	text, float := arrow.BinaryTypes.String, arrow.PrimitiveTypes.Float32
	for want, fields := range map[string][]arrow.Field{
		"column n is a int64":                {{Name: "path", Type: text}, {Name: "n", Type: arrow.PrimitiveTypes.Int64}},
		"its first column holds no texts":    {{Name: "p", Type: float}, {Name: "path", Type: text}},
		"first column holds no texts":        nil,
		"column p is a float64; scores have": {{Name: "path", Type: text}, {Name: "p", Type: arrow.PrimitiveTypes.Float64}},
	} {
		schema := arrow.NewSchema(fields, nil)
		var b bytes.Buffer
		w, err := pqarrow.NewFileWriter(schema, &b, nil, pqarrow.DefaultWriterProps())
		if err != nil {
			t.Fatal(err)
		}
		record := array.NewRecordBuilder(memory.DefaultAllocator, schema).NewRecordBatch()
		if err := errors.Join(w.Write(record), w.Close()); err != nil {
			t.Fatal(err)
		}
		path := partOf(t, "x.parquet", b.String())
		_, err = Merge(filepath.Join(t.TempDir(), "out.parquet"), []string{path})
		if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}

// A damaged page of a Parquet file is no end of its rows.
func TestMergeOfParquetWithADamagedPage(t *testing.T) {
	path, whole := written(t, "x.parquet", many(300), Options{}, false)
	silent := 0
	for at := 8; at < len(whole)/2; at += len(whole) / 40 {
		b := []byte(whole)
		b[at] ^= 0xff
		if err := os.WriteFile(path, b, 0o666); err != nil {
			t.Fatal(err)
		}
		if rows, err := Merge(filepath.Join(t.TempDir(), "out.parquet"), []string{path}); err == nil && rows != 300 {
			t.Errorf("byte %d: %d rows, and no error", at, rows)
		} else if err == nil {
			silent++
		}
	}
	if silent > 15 {
		t.Errorf("%d of 20 damages were not noticed", silent)
	}
}

func TestMergeOfEmptyAndLongParts(t *testing.T) {
	long := strings.Repeat("x", 1<<17)
	for name, tt := range map[string]struct {
		ending string
		parts  []string
		want   string
		rows   int
	}{
		"headers":  {".csv", []string{"path,p\n", "path,p\n"}, "path,p\n", 0},
		"no lines": {".jsonl", []string{"", ""}, "", 0},
		"one line": {".jsonl", []string{"", `{"path":"b"}` + "\n", "", `{"path":"a"}` + "\n"},
			`{"path":"a"}` + "\n" + `{"path":"b"}` + "\n", 2},
		"empty last": {".csv", []string{"path,p\nb,1\n", "path,p\na,0\n", "path,p\n"}, "path,p\na,0\nb,1\n", 2},
		"long lines": {".jsonl", []string{`{"path":"` + long + `b"}` + "\n", `{"path":"` + long + `a"}` + "\n"},
			`{"path":"` + long + `a"}` + "\n" + `{"path":"` + long + `b"}` + "\n", 2},
		"digits":  {".csv", []string{"path,p\nb,1.50\n", "path,p\na,1e0\n"}, "path,p\na,1e0\nb,1.50\n", 2},
		"no name": {".csv", []string{"path,p\n,1\n", "path,p\na,1\n"}, "path,p\n,1\na,1\n", 2},
	} {
		var parts []string
		for _, text := range tt.parts {
			parts = append(parts, partOf(t, "p"+tt.ending, text))
		}
		out := filepath.Join(t.TempDir(), "out"+tt.ending)
		rows, err := Merge(out, parts)
		if got, _ := os.ReadFile(out); err != nil || string(got) != tt.want || rows != tt.rows {
			t.Errorf("%s: %d rows, %v\n%.300s", name, rows, err, got)
		}
	}
	header := partOf(t, "p.csv", long+",p\na,1\n")
	old := durable.Before
	defer func() { durable.Before = old }()
	full := errors.New("full")
	durable.Before = func(s durable.Step, _ string) error {
		if s == durable.Data {
			return full
		}
		return nil
	}
	if _, err := Merge(filepath.Join(t.TempDir(), "out.csv"), []string{header}); !errors.Is(err, full) {
		t.Errorf("a header that does not fit: %v", err)
	}
}

// Formulas escaped in one part and not in another: which is told, where no reading of the names puts them in order.
func TestMergeOfPartsWithOtherFlags(t *testing.T) {
	escaped, bare := partOf(t, "a.csv", "path,p\n0.jpg,1\n'=a.jpg,1\n"), partOf(t, "b.csv", "path,p\n=b.jpg,1\n")
	_, err := Merge(filepath.Join(t.TempDir(), "out.csv"), []string{bare, escaped})
	if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), "score them with the same flags") {
		t.Errorf("%v", err)
	}
	later := partOf(t, "c.csv", "path,p\n0.jpg,1\n")
	_, err = Merge(filepath.Join(t.TempDir(), "out.csv"), []string{later, escaped})
	if failure.KindOf(err) != failure.DataKind || !strings.Contains(err.Error(), `row "0.jpg" does not follow "0.jpg"`) ||
		!strings.Contains(err.Error(), later) || !strings.Contains(err.Error(), escaped) {
		t.Errorf("%v", err)
	}
}

func TestListOfOddInput(t *testing.T) {
	for name, tt := range map[string]struct{ in, want, warning string }{
		"given three times": {"a\na\na\nb\n", "a|b", "2 paths were given more than once"},
		"not twice":         {"b\na", "a|b", ""},
		"a carriage return": {"a\r\r\n", "a\r", ""},
		"NUL keeps all":     {"b\r\n\x00a\r\x00", "a\r|b\r\n", ""},
		"blanks are names":  {" \n", " ", ""},
	} {
		items, warnings, err := List(strings.NewReader(tt.in))
		var files []string
		for _, it := range items {
			if files = append(files, it.File); it.Label != -1 {
				t.Errorf("%s: label %d", name, it.Label)
			}
		}
		if got := strings.Join(files, "|"); err != nil || got != tt.want ||
			!strings.Contains(strings.Join(warnings, "\n"), tt.warning) || len(warnings) > len(tt.warning) {
			t.Errorf("%s: %q, %q, %v", name, got, warnings, err)
		}
	}
	if _, _, err := List(strings.NewReader("\xfe\xff\x00a")); err == nil || !strings.Contains(err.Error(), "UTF-16") {
		t.Errorf("UTF-16, the other way round: %v", err)
	}
	broken := errors.New("broken pipe")
	if _, _, err := List(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Errorf("a pipe that breaks: %v", err)
	}
	if _, _, err := list(strings.NewReader("abcd"), 4); err != nil {
		t.Errorf("as many bytes as are allowed: %v", err)
	}
	if _, _, err := list(strings.NewReader("abcde"), 4); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("a byte more: %v", err)
	}
	if _, _, err := list(strings.NewReader(strings.Repeat("x\n", 1<<20)+"x"), 2<<20); err == nil ||
		!strings.Contains(err.Error(), "more than 2 MB") {
		t.Errorf("too much: %v", err)
	}
}

func TestSortByID(t *testing.T) {
	items, _, err := List(strings.NewReader("a.b/1.jpg\na-b.jpg\na.jpg\nc\n"))
	if err != nil {
		t.Fatal(err)
	}
	if err := SortByID(items); err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"a.jpg", "a-b.jpg", "a.b/1.jpg", "c"} {
		if items[i].Path != want {
			t.Errorf("place %d: %s, want %s", i, items[i].Path, want)
		}
	}
	items, _, _ = List(strings.NewReader("b.jpg\nc.jpg\nc.png"))
	if err := SortByID(items); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), "c.jpg and c.png have one id") {
		t.Errorf("%v", err)
	}
}
