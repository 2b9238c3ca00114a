package scores

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/float16"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"finetune/internal/half"
	"finetune/internal/plural"
)

// Packing is how a part keeps its columns of numbers.
type Packing string

// Packings. A thousand columns cost more to read than their numbers do, so that many
// numbers are kept as one column of lists, named Vector. Float16 takes half the bytes; its
// numbers have to be ones that a float16 can hold.
const (
	Separate Packing = ""
	Float32  Packing = "float32"
	Float16  Packing = "float16"
)

// Vector is the name of the column of lists, whose numbers are the columns f_0, f_1 …
const Vector = "features"

// vectorKey has the length of the lists, in the metadata of the file.
const vectorKey = "finetune.features"

// maxVector bounds that length.
const maxVector = 1 << 20

// vectorName is the column of number i of a list.
func vectorName(i int) string { return "f_" + strconv.Itoa(i) }

// vectorWriter is a parquetWriter of rows whose numbers are one list.
type vectorWriter struct {
	parquetWriter
	width int
	list  *array.ListBuilder
	half  bool
}

func newVectorWriter(out io.Writer, columns []Column, packing Packing) (*vectorWriter, error) {
	texts := 0
	for texts < len(columns) && !columns[texts].Number {
		texts++
	}
	for i, c := range columns[texts:] {
		if !c.Number || c.Name != vectorName(i) {
			return nil, fmt.Errorf("scores: parquet: column %s has no place in a list of %s …", c.Name, vectorName(0))
		}
	}
	w := &vectorWriter{width: len(columns) - texts, half: packing == Float16}
	schema := arrowSchema(columns[:texts])
	item := arrow.DataType(arrow.PrimitiveTypes.Float32)
	if w.half {
		item = arrow.FixedWidthTypes.Float16
	}
	schema = arrow.NewSchema(append(schema.Fields(), arrow.Field{Name: Vector, Type: arrow.ListOfNonNullable(item),
		Nullable: true}), nil)
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCreatedBy("finetune"),
		parquet.WithDictionaryDefault(false), parquet.WithStats(false))
	f, err := pqarrow.NewFileWriter(schema, out, props, pqarrow.NewArrowWriterProperties())
	if err != nil {
		return nil, fmt.Errorf("scores: parquet: %w", err)
	}
	if err := f.AppendKeyValueMetadata(vectorKey, strconv.Itoa(w.width)); err != nil {
		return nil, fmt.Errorf("scores: parquet: %w", err)
	}
	w.parquetWriter = parquetWriter{columns: columns[:texts], w: f, group: groupOf(len(columns)),
		build: array.NewRecordBuilder(memory.DefaultAllocator, schema)}
	w.list = w.build.Field(texts).(*array.ListBuilder)
	return w, nil
}

func (w *vectorWriter) write(r Row) error {
	numbers := r[len(w.columns):]
	if len(numbers) != w.width {
		return fmt.Errorf("scores: parquet: %s in a row, %d in others", plural.Count(len(numbers), "number"), w.width)
	}
	none := 0
	for _, c := range numbers {
		if math.IsNaN(float64(c.Number)) {
			none++
		}
	}
	switch none {
	case 0:
	case w.width:
		w.list.AppendNull()
		return w.parquetWriter.write(r)
	default:
		return fmt.Errorf("scores: parquet: %d of %s of a row are none", none, plural.Count(w.width, "number"))
	}
	w.list.Append(true)
	switch b := w.list.ValueBuilder().(type) {
	case *array.Float32Builder:
		for _, c := range numbers {
			b.Append(c.Number)
		}
	case *array.Float16Builder:
		for _, c := range numbers {
			h := half.From(c.Number)
			if half.Float32(h) != c.Number {
				return fmt.Errorf("scores: parquet: %g is no float16", c.Number)
			}
			b.Append(float16.FromBits(h))
		}
	}
	return w.parquetWriter.write(r)
}

// readVector finds out how many numbers the lists of a part have. Its columns are theirs.
func (p *parquetPart) readVector(f arrow.Field, last bool) error {
	list, ok := f.Type.(*arrow.ListType)
	text := p.f.MetaData().KeyValueMetadata().FindValue(vectorKey)
	if !ok || text == nil || f.Name != Vector || !last {
		return fmt.Errorf("column %s is a %s; scores have texts and float32", f.Name, f.Type)
	}
	width, err := strconv.Atoi(*text)
	if id := list.Elem().ID(); err != nil || width < 1 || width > maxVector || id != arrow.FLOAT32 && id != arrow.FLOAT16 {
		return fmt.Errorf("column %s has lists of %.20s × %s; expected float32 or float16", f.Name, *text, list.Elem())
	}
	p.vector = width
	for i := range width {
		p.head = append(p.head, Column{vectorName(i), true})
	}
	return nil
}

// widened is each float16 as a float32: a look is faster than taking bits apart.
var widened = func() *[1 << 16]float32 {
	var t [1 << 16]float32
	for i := range t {
		t[i] = half.Float32(uint16(i))
	}
	return &t
}()

// eachOfBlocks hands over the rows of a part with lists.
func (p *parquetPart) eachOfBlocks(yield func(Row) error) error {
	row := make(Row, len(p.head))
	texts := len(p.head) - p.vector
	return p.blocks(func(b Block) error {
		for i := range b.Rows {
			for k := range texts {
				row[k] = Cell{Text: strings.Clone(b.Texts[k][i])}
			}
			for k, v := range b.Numbers[i*p.vector : (i+1)*p.vector] {
				row[texts+k] = Cell{Number: v}
			}
			if err := yield(row); err != nil {
				return err
			}
		}
		return nil
	})
}

// ahead is how many numbers of a column of lists are decoded at once.
const ahead = 1 << 14

// listReader reads the lists of a packed part. It goes through the levels and numbers of the
// file by itself: every list has the same length, so that arrow's general way, which builds
// lists and takes ten times as long, is not needed.
type listReader struct {
	f        *file.Reader
	column   int // among the file's leaves
	width    int
	group    int // of rows, the next one
	numbers  *file.Float32ColumnChunkReader
	halves   *file.FixedLenByteArrayColumnChunkReader
	defs     []int16 // of the numbers that are decoded: 2 for a number, less for a row without a list
	reps     []int16 // 0 for the first of a list
	values   []float32
	raw      []parquet.FixedLenByteArray
	levels   int // that are decoded
	at, from int // the next level, the next number
}

// lists begins at a part's first row.
func (p *parquetPart) lists() *listReader {
	return &listReader{f: p.f, column: len(p.head) - p.vector, width: p.vector, defs: make([]int16, ahead),
		reps: make([]int16, ahead), values: make([]float32, ahead)}
}

// decode fills the buffers from where they ended.
func (l *listReader) decode() (err error) {
	l.at, l.from, l.levels = 0, 0, 0
	for l.levels == 0 {
		if l.numbers == nil && l.halves == nil {
			if l.group == l.f.NumRowGroups() {
				return errors.New("fewer lists of features than rows")
			}
			if err := l.open(); err != nil {
				return err
			}
		}
		var levels int64
		if l.numbers != nil {
			levels, _, err = l.numbers.ReadBatchInPage(ahead, l.values, l.defs, l.reps)
		} else {
			levels, err = l.decodeHalves()
		}
		if err != nil {
			return err
		}
		if l.levels = int(levels); levels == 0 {
			l.numbers, l.halves = nil, nil
		}
	}
	return nil
}

func (l *listReader) open() error {
	c, err := l.f.RowGroup(l.group).Column(l.column)
	if err != nil {
		return err
	}
	l.group++
	switch c := c.(type) {
	case *file.Float32ColumnChunkReader:
		l.numbers = c
	case *file.FixedLenByteArrayColumnChunkReader:
		l.halves = c
	default:
		return fmt.Errorf("its features are of the type %s", c.Type())
	}
	return nil
}

func (l *listReader) decodeHalves() (int64, error) {
	if l.raw == nil {
		l.raw = make([]parquet.FixedLenByteArray, ahead)
	}
	levels, n, err := l.halves.ReadBatchInPage(ahead, l.raw, l.defs, l.reps)
	for i, v := range l.raw[:n] {
		if len(v) != 2 {
			return 0, fmt.Errorf("features of %s", plural.Count(len(v), "byte"))
		}
		l.values[i] = widened[binary.LittleEndian.Uint16(v)]
	}
	return levels, err
}

// next is the list of the next row, None for each number of a row without one.
func (l *listReader) next(row []float32) error {
	for k := 0; k < l.width; {
		if l.at == l.levels {
			if err := l.decode(); err != nil {
				return err
			}
		}
		const number = 2 // the level of a number within a list that may be missing
		if l.defs[l.at] != number {
			if k > 0 || l.reps[l.at] != 0 {
				return errors.New("a list of features is cut off")
			}
			for k := range row {
				row[k] = None
			}
			l.at++
			return nil
		}
		n := min(l.width-k, l.levels-l.at)
		for i := l.at; i < l.at+n; i++ {
			if first := k == 0 && i == l.at; l.defs[i] != number || (l.reps[i] == 0) != first {
				return fmt.Errorf("a list of other than %s", plural.Count(l.width, "feature"))
			}
		}
		k += copy(row[k:], l.values[l.from:l.from+n])
		l.at, l.from = l.at+n, l.from+n
	}
	return nil
}
