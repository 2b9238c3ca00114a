package activations

import (
	"bytes"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/endian"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"
)

// threeRows are rows of fuzzKey.
func threeRows() *rows {
	r := &rows{}
	for i := range 3 {
		f := float32(i)
		r.add("ants/"+string(rune('a'+i))+".jpg", "ants", Digest{byte(i), 0xfe},
			[]float32{f, f + .25, f + .5, f + .75, f + 1})
	}
	return r
}

// foreign is a file of threeRows that another program could have written, after
// change had its way with the fields and columns.
func foreign(t *testing.T, change func(f []arrow.Field, c []arrow.Array) ([]arrow.Field, []arrow.Array),
	e endian.Endianness, options ...ipc.Option) []byte {
	t.Helper()
	schema := newSchema(fuzzKey)
	record := threeRows().record(schema, fuzzKey.Features)
	fields, columns := slices.Clone(schema.Fields()), slices.Clone(record.Columns())
	if change != nil {
		fields, columns = change(fields, columns)
	}
	meta := schema.Metadata()
	schema = arrow.NewSchemaWithEndian(fields, &meta, e)
	var b bytes.Buffer
	w, err := ipc.NewFileWriter(&b, append(options, ipc.WithSchema(schema))...)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Write(array.NewRecordBatch(schema, columns, 3)), w.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func texts3(text ...string) arrow.Array {
	b := array.NewStringBuilder(memory.DefaultAllocator)
	for _, s := range text {
		if s == "null" {
			b.AppendNull()
		} else {
			b.Append(s)
		}
	}
	return b.NewArray()
}

// lists is a column of three lists of n numbers of a type; the second is null if asked.
func lists(t *testing.T, n int32, of arrow.DataType, null bool) arrow.Array {
	t.Helper()
	b := array.NewFixedSizeListBuilder(memory.DefaultAllocator, n, of)
	value := "1"
	if of.ID() == arrow.TIMESTAMP {
		value = "2000-01-01T00:00:00Z"
	}
	for i := range 3 {
		b.Append(!null || i != 1)
		for range n {
			if err := b.ValueBuilder().AppendValueFromString(value); err != nil {
				t.Fatal(err)
			}
		}
	}
	return b.NewArray()
}

// A shard has the columns of the package comment and no others: what another
// program writes beside them is refused, and told apart.
func TestShardsOfOthersAreRefused(t *testing.T) {
	single, double, half := arrow.PrimitiveTypes.Float32, arrow.PrimitiveTypes.Float64, arrow.FixedWidthTypes.Float16
	column := func(at int, name string, c arrow.Array) func([]arrow.Field, []arrow.Array) ([]arrow.Field, []arrow.Array) {
		return func(f []arrow.Field, all []arrow.Array) ([]arrow.Field, []arrow.Array) {
			f[at], all[at] = arrow.Field{Name: name, Type: c.DataType(), Nullable: true}, c
			return f, all
		}
	}
	digest := strings.Repeat("ab", 32)
	numbers := array.NewInt32Builder(memory.DefaultAllocator)
	numbers.AppendValues([]int32{1, 2, 3}, nil)
	whole := numbers.NewArray()
	for name, c := range map[string]struct {
		change func([]arrow.Field, []arrow.Array) ([]arrow.Field, []arrow.Array)
		want   string
	}{
		"three columns": {func(f []arrow.Field, c []arrow.Array) ([]arrow.Field, []arrow.Array) { return f[:3], c[:3] },
			"3 columns"},
		"five columns": {func(f []arrow.Field, c []arrow.Array) ([]arrow.Field, []arrow.Array) {
			return append(f, arrow.Field{Name: "more", Type: whole.DataType()}), append(c, whole)
		}, "5 columns"},
		"name of the paths":  {column(0, "file", texts3("a", "b", "c")), `column 0 is "file" and not path`},
		"paths are numbers":  {column(0, "path", whole), "column 0"},
		"labels are numbers": {column(1, "label", whole), `column 1 is "label" and not label, text`},
		"digests elsewhere":  {column(2, "sha", texts3(digest, digest, digest)), "column 2"},
		"name of the features": {column(3, "feature", lists(t, 5, single, false)),
			`column 3 is "feature" and not features, 5 to a row`},
		"four features":         {column(3, "features", lists(t, 4, single, false)), "5 to a row"},
		"six features":          {column(3, "features", lists(t, 6, single, false)), "5 to a row"},
		"features are a number": {column(3, "features", whole), "column 3"},
		"double precision":      {column(3, "features", lists(t, 5, double, false)), "not float32"},
		"half precision":        {column(3, "features", lists(t, 5, half, false)), "not float32"},
		"times in ms": {column(3, "features", lists(t, 5, arrow.FixedWidthTypes.Timestamp_ms, false)),
			"not float32"}, // whose unit is written as single precision is
		"whole numbers": {column(3, "features", lists(t, 5, arrow.PrimitiveTypes.Int32, false)), "not float32"},
		"a row without values": {column(3, "features", lists(t, 5, single, true)),
			"column 3: 3 values of 3, 1 of them null"},
		"a null path":       {column(0, "path", texts3("a", "null", "c")), "column 0: 3 values of 3, 1 of them null"},
		"a null label":      {column(1, "label", texts3("a", "null", "c")), "column 1"},
		"a short digest":    {column(2, "digest", texts3(digest, digest[:62], digest)), "row 1: digest of 62 characters"},
		"a long digest":     {column(2, "digest", texts3(digest, digest, digest+"ab")), "row 2: digest of 66 characters"},
		"a digest of words": {column(2, "digest", texts3(strings.Repeat("xy", 32), digest, digest)), "row 0: digest"},
	} {
		batches, err := parseShard(foreign(t, c.change, endian.LittleEndian), fuzzKey)
		if !errors.Is(err, errDamaged) || batches != nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %d batches, %v; want %q", name, len(batches), err, c.want)
		}
	}
	for name, data := range map[string][]byte{
		"LZ4":        foreign(t, nil, endian.LittleEndian, ipc.WithLZ4()),
		"Zstandard":  foreign(t, nil, endian.LittleEndian, ipc.WithZstd()),
		"big-endian": foreign(t, nil, endian.BigEndian),
		"empty":      {},
		"magic":      []byte("ARROW1\x00\x00ARROW1"),
		"no end":     append(foreign(t, nil, endian.LittleEndian), 0),
	} {
		if batches, err := parseShard(data, fuzzKey); !errors.Is(err, errDamaged) || batches != nil {
			t.Errorf("%s: %d batches, %v", name, len(batches), err)
		}
	}
	other := fuzzKey
	other.Key.View = "another"
	if _, err := parseShard(foreign(t, nil, endian.LittleEndian), other); !errors.Is(err, errOtherKey) ||
		errors.Is(err, errDamaged) {
		t.Errorf("another key: %v", err)
	}
}

// What is written is read: by this package, and by arrow-go's own reader.
func TestShardIsReadByBoth(t *testing.T) {
	want := threeRows()
	name, file, err := want.encode(fuzzKey)
	if err != nil || !shardName.MatchString(name) {
		t.Fatal(name, err)
	}
	for what, data := range map[string][]byte{"encoded": file, "foreign": foreign(t, nil, endian.LittleEndian)} {
		batches, err := parseShard(data, fuzzKey)
		if err != nil || len(batches) != 1 {
			t.Fatalf("%s: %d batches, %v", what, len(batches), err)
		}
		b := batches[0]
		if !slices.Equal(b.digests, want.digests) || !slices.Equal(b.features, want.features) ||
			cap(b.features) != len(b.features) {
			t.Errorf("%s: %v %v", what, b.digests, b.features)
		}
		for i := range want.paths {
			if b.paths.at(i) != want.paths[i] || b.labels.at(i) != want.labels[i] {
				t.Errorf("%s: row %d: %q %q", what, i, b.paths.at(i), b.labels.at(i))
			}
		}
		r, err := ipc.NewFileReader(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		record, err := r.RecordBatch(0)
		if err != nil || record.NumRows() != 3 ||
			record.Schema().Field(3).Type.String() != "fixed_size_list<item: float32>[5]" {
			t.Fatalf("%s: %v, %v", what, record, err)
		}
		values := record.Column(3).(*array.FixedSizeList).ListValues().(*array.Float32).Float32Values()
		if key, _ := r.Schema().Metadata().GetValue("finetune.key"); !slices.Equal(values, want.features) ||
			key != string(fuzzKey.bytes()) {
			t.Errorf("%s: arrow-go reads %v of %q", what, values, key)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Arrow's strings are UTF-8, names of files need not be.
func TestNamesThatAreNotUTF8(t *testing.T) {
	r := &rows{}
	r.add("\xc4pfel/1.jpg", "\xc4pfel", Digest{1}, make([]float32, 5))
	_, file, err := r.encode(fuzzKey)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := parseShard(file, fuzzKey)
	if err != nil || batches[0].paths.at(0) != "\uFFFDpfel/1.jpg" || batches[0].labels.at(0) != "\uFFFDpfel" {
		t.Errorf("%v, %v", batches, err)
	}
}

// A file cut anywhere is refused; no byte changed anywhere ends the program or
// gives rows of another number than their features.
func TestDamageInsideAShard(t *testing.T) {
	_, file, err := threeRows().encode(fuzzKey)
	if err != nil {
		t.Fatal(err)
	}
	for n := range len(file) {
		if _, err := parseShard(file[:n:n], fuzzKey); !errors.Is(err, errDamaged) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(file), err)
		}
	}
	for i := range file {
		for _, v := range []byte{0, 0xff, file[i] ^ 1} {
			data := bytes.Clone(file)
			data[i] = v
			batches, err := parseShard(data, fuzzKey)
			if err != nil && !errors.Is(err, errDamaged) && !errors.Is(err, errOtherKey) {
				t.Fatalf("byte %d = %#x: %v", i, v, err)
			}
			for _, b := range batches {
				if len(b.features) != 5*len(b.digests) || b.paths.len() != len(b.digests) || b.labels.len() != len(b.digests) {
					t.Fatalf("byte %d = %#x: %d digests, %d features", i, v, len(b.digests), len(b.features))
				}
			}
		}
	}
	// the header of a message says what it is, its first word that it is one
	mark := bytes.LastIndex(file[:len(file)/2], []byte{0xff, 0xff, 0xff, 0xff})
	for what, at := range map[string]int{"a message without its mark": mark, "a file of another start": 0,
		"a file of another end": len(file) - 1} {
		data := bytes.Clone(file)
		data[at] ^= 1
		if _, err := parseShard(data, fuzzKey); err == nil {
			t.Errorf("%s was read", what)
		}
	}
}

// A file of pyarrow's has two batches, and the rows of both.
func TestRowsOfTwoBatches(t *testing.T) {
	data, err := os.ReadFile("../testdata/reference/activations_pyarrow.arrow")
	if err != nil {
		t.Fatal(err)
	}
	batches, err := parseShard(data, fuzzKey)
	if s := (&shard{batches: batches}); err != nil || len(batches) != 2 || s.rows() != 7 {
		t.Errorf("%d batches, %v", len(batches), err)
	}
}

// A table without rows has columns all the same.
func TestShardWithoutRows(t *testing.T) {
	_, file, err := (&rows{}).encode(fuzzKey)
	if err != nil {
		t.Fatal(err)
	}
	batches, err := parseShard(file, fuzzKey)
	if err != nil || len(batches) != 1 || len(batches[0].digests)+batches[0].paths.len()+len(batches[0].features) != 0 {
		t.Errorf("%+v, %v", batches, err)
	}
	if c := newTexts(nil, nil, 0); c.len() != 0 {
		t.Errorf("%d texts in nothing", c.len())
	}
}
