package scores

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"finetune/internal/durable"
	"finetune/internal/failure"
)

var endings = []string{".csv", ".jsonl", ".parquet"}

func TestPredictedAtTheThreshold(t *testing.T) {
	classes := []string{"a", "b", "c"}
	for _, tt := range []struct {
		name string
		o    Options
		p    []float32
		want string
	}{
		{"equal to the threshold", Options{Threshold: .5}, logs(.5, .25, .25), "a"},
		{"below it", Options{Threshold: .75}, logs(.5, .25, .25), ""},
		{"none", Options{}, logs(.25, .5, .25), "b"},
		{"equal ones, the first", Options{}, logs(.25, .25, .25), "a"},
		{"certain", Options{Threshold: 1}, []float32{float32(math.Inf(-1)), 0, float32(math.Inf(-1))}, "b"},
		{"several, 0.5 is the limit", Options{Multi: true, Separator: ";"}, logs(.75, .5, .625), "a;c"},
		{"several, above the threshold alone", Options{Multi: true, Separator: ";", Threshold: .25}, logs(.25, .125, .5),
			"c"},
		{"several, none", Options{Multi: true, Threshold: 1}, []float32{0, 0, 0}, ""},
	} {
		table, err := NewTable(classes, tt.o)
		if err != nil {
			t.Fatal(err)
		}
		row := table.Row(Result{Path: "x", Status: OK, LogProb: tt.p})
		if row[3].Text != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, row[3].Text, tt.want)
		}
	}
}

func TestEqualProbabilitiesKeepTheOrderOfClasses(t *testing.T) {
	table, err := NewTable([]string{"a", "b", "c", "d"}, Options{Top: 4})
	if err != nil {
		t.Fatal(err)
	}
	row := table.Row(Result{Path: "x", Status: OK, LogProb: logs(.125, .25, .125, .5)})
	var got []string
	for _, c := range row[5:] {
		got = append(got, c.Text)
	}
	if strings.Join(got, "") != "dbac" || row[6].Number != .5 || row[12].Number != .125 {
		t.Errorf("%v", row)
	}
}

func TestOptionsAtTheirLimits(t *testing.T) {
	for _, o := range []Options{{Top: 3}, {Threshold: 0}, {Threshold: 1}, {Kaggle: "emu"}} {
		if _, err := NewTable([]string{"cat", "dog", "emu"}, o); err != nil {
			t.Errorf("%+v: %v", o, err)
		}
	}
	for want, o := range map[string]Options{
		"there are 3 classes; give 1 to 3": {Top: 4}, "there are cat, dog, emu": {Kaggle: "cow"},
		"combined": {Kaggle: "cat", Top: 1}, "from 0 to 1": {Threshold: -0.1},
	} {
		if _, err := NewTable([]string{"cat", "dog", "emu"}, o); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func TestFormatsByTheirEndings(t *testing.T) {
	for name, want := range map[string]Format{"a.csv": CSV, "A.CSV": CSV, "b/c.JsonL": JSONL, "x.csv.parquet": Parquet} {
		if got, err := FormatOf(name); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	if err := Write("x.txt", nil, nil, false); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("written as .txt: %v", err)
	}
}

// A number has the fewest digits that give the same float32; there is no text between quotes that HTML would change.
func TestNumbersAndTexts(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		v := math.Float32frombits(random.Uint32())
		if back, err := strconv.ParseFloat(number(v), 32); v == v && (err != nil || float32(back) != v) {
			t.Errorf("%v is written %s", v, number(v))
		}
	}
	for v, want := range map[float32]string{0.1: "0.1", 1: "1", 1e-10: "1e-10", 0: "0", 16777216: "1.6777216e+07"} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
	_, got := written(t, "x.jsonl", []Result{{Path: "<a>&\n\".jpg", Status: "empty"}}, Options{Kaggle: "emu"}, true)
	if want := `{"id":"<a>&\n\"","label":0.33333334}` + "\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestFormulas(t *testing.T) {
	names := []string{"cat", "=x", "-1", "+1,5", "-1.", "@", "\rx", "--1", "'=x", "1-2"}
	if got := strings.Join(Formulas(names), "|"); got != "=x|-1.|@|\rx|--1|'=x" {
		t.Errorf("%q", got)
	}
	if got := Rearm("'cat"); got != "'cat" {
		t.Errorf("an apostrophe of its own became %q", got)
	}
}

// Whatever step of a write fails, the error arrives and no file appears.
func TestFailedWritesLeaveNoTable(t *testing.T) {
	list := many(2000)
	for _, ending := range endings {
		part, _ := written(t, "part"+ending, list, Options{}, false)
		table, err := NewTable([]string{"cat", "dog", "emu"}, Options{})
		if err != nil {
			t.Fatal(err)
		}
		full := errors.New("no space left on device")
		for _, step := range []durable.Step{durable.Create, durable.Data, durable.Sync} {
			old := durable.Before
			durable.Before = func(s durable.Step, _ string) error {
				if s == step {
					return full
				}
				return nil
			}
			out := filepath.Join(t.TempDir(), "out"+ending)
			each := func(yield func(Row) error) error {
				for _, r := range list {
					if err := yield(table.Row(r)); err != nil {
						return err
					}
				}
				return nil
			}
			writing := Write(out, table.Columns, each, false)
			_, merging := Merge(out, []string{part})
			durable.Before = old
			if !errors.Is(writing, full) || !errors.Is(merging, full) {
				t.Errorf("%s, %s: %v, %v", ending, step, writing, merging)
			}
			if _, err := os.Stat(out); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("%s, %s: a file is left", ending, step)
			}
		}
		stop := errors.New("stop")
		out := filepath.Join(t.TempDir(), "out"+ending)
		if err := Write(out, table.Columns, func(func(Row) error) error { return stop }, false); !errors.Is(err, stop) {
			t.Errorf("%s: the rows' own error became %v", ending, err)
		}
		if _, err := Merge(filepath.Join(part, "x"+ending), []string{part}); err == nil {
			t.Errorf("%s: merged below a file", ending)
		}
	}
}

// limited fails after n bytes.
type limited struct{ n int }

func (l *limited) Write(p []byte) (int, error) {
	if l.n -= len(p); l.n < 0 {
		return 0, io.ErrShortWrite
	}
	return len(p), nil
}

func TestWritersReportAFullDisk(t *testing.T) {
	table, err := NewTable([]string{"cat", "dog", "emu"}, Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, ending := range endings {
		var whole bytes.Buffer
		for room := -1; room < 1 || room < whole.Len(); room = 2*room + 1 {
			var out io.Writer = &limited{room}
			if room < 0 {
				out, room = &whole, 0
			}
			w, err := newWriter(out, Format(ending), table.Columns, false)
			for i := 0; err == nil && i < 3000; i++ {
				err = w.write(table.Row(Result{Path: fmt.Sprintf("%05d.jpg", i), Status: "empty"}))
			}
			if err == nil {
				err = w.close()
			}
			if (err == nil) != (out == io.Writer(&whole)) {
				t.Errorf("%s with room for %d bytes: %v", ending, room, err)
			}
		}
		out := filepath.Join(t.TempDir(), "out"+ending)
		long := []Column{{Name: strings.Repeat("x", 1<<17)}, {Name: "y"}}
		old := durable.Before
		durable.Before = func(s durable.Step, _ string) error {
			if s == durable.Data {
				return io.ErrShortWrite
			}
			return nil
		}
		err := Write(out, long, func(func(Row) error) error { return nil }, false)
		durable.Before = old
		if (err == nil) != (ending == ".jsonl") { // which has no header
			t.Errorf("%s: a header that does not fit: %v", ending, err)
		}
	}
}

// What other programs read in our Parquet.
func TestParquetOfOtherReaders(t *testing.T) {
	path, _ := written(t, "x.parquet", results, Options{}, false)
	f, err := file.OpenParquetFile(path, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	meta := f.MetaData()
	if got := meta.GetCreatedBy(); got != "finetune" {
		t.Errorf("created by %q", got)
	}
	for i := range meta.Schema.NumColumns() {
		chunk, err := meta.RowGroup(0).ColumnChunk(i)
		if err != nil || chunk.Compression() != compress.Codecs.Zstd || chunk.HasDictionaryPage() {
			t.Errorf("column %d: %v, dictionary %v, %v", i, chunk.Compression(), chunk.HasDictionaryPage(), err)
		}
		c := meta.Schema.Column(i)
		if optional := c.MaxDefinitionLevel() > 0; optional != (i >= 4) {
			t.Errorf("column %s may be null: %v", c.Name(), optional)
		}
	}
	r, err := pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{}, memory.DefaultAllocator)
	if err != nil {
		t.Fatal(err)
	}
	table, err := r.ReadTable(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer table.Release()
	texts := table.Column(0).Data().Chunk(0).(*array.String)
	p := table.Column(5).Data().Chunk(0).(*array.Float32)
	for i, want := range []string{"a.jpg", `b, "c".jpg`, "d\uFFFD.jpg"} {
		if texts.Value(i) != want || p.IsNull(i) != (i == 1) || i != 1 && p.Value(i) != []float32{.25, 0, .125}[i] {
			t.Errorf("row %d: %q, %v", i, texts.Value(i), p)
		}
	}
}

// A row group has at most 65,536 rows and, above 256 of them, about 2 million cells, so that its memory is bounded.
func TestParquetRowGroups(t *testing.T) {
	for _, tt := range []struct{ columns, rows, first int }{{2, 1<<16 + 1, 1 << 16}, {1024, 2049, 2048},
		{8193, 257, 256}} {
		columns := []Column{{Name: "path"}}
		for i := 1; i < tt.columns; i++ {
			columns = append(columns, Column{fmt.Sprint("p", i), true})
		}
		var b bytes.Buffer
		w, err := newParquetWriter(&b, columns)
		if err != nil {
			t.Fatal(err)
		}
		row := make(Row, tt.columns)
		for range tt.rows {
			if err := w.write(row); err != nil {
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
		if n := f.NumRowGroups(); n != 2 || f.RowGroup(0).NumRows() != int64(tt.first) || f.NumRows() != int64(tt.rows) {
			t.Errorf("%d columns, %d rows: %d groups, the first of %d", tt.columns, tt.rows, n, f.RowGroup(0).NumRows())
		}
	}
}
