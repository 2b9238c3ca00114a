package scores

import (
	"fmt"
	"io"
	"math"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/compress"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// parquetWriter collects rows into row groups of a fixed number of rows, so that
// its bytes depend on the rows alone.
type parquetWriter struct {
	columns []Column
	w       *pqarrow.FileWriter
	build   *array.RecordBuilder
	rows    int
	group   int // rows a group
}

// groupCells bounds the memory of a row group.
const groupCells = 1 << 21

func newParquetWriter(out io.Writer, columns []Column) (*parquetWriter, error) {
	schema := arrowSchema(columns)
	props := parquet.NewWriterProperties(parquet.WithCompression(compress.Codecs.Zstd), parquet.WithCreatedBy("finetune"),
		parquet.WithDictionaryDefault(false))
	w, err := pqarrow.NewFileWriter(schema, out, props, pqarrow.NewArrowWriterProperties())
	if err != nil {
		return nil, fmt.Errorf("scores: parquet: %w", err)
	}
	return &parquetWriter{columns: columns, w: w, build: array.NewRecordBuilder(memory.DefaultAllocator, schema),
		group: groupOf(len(columns))}, nil
}

// groupOf is how many rows of so many columns make a group.
func groupOf(columns int) int { return min(max(groupCells/columns, 256), 1<<16) }

func arrowSchema(columns []Column) *arrow.Schema {
	fields := make([]arrow.Field, len(columns))
	for i, c := range columns {
		fields[i] = arrow.Field{Name: c.Name, Type: arrow.BinaryTypes.String}
		if c.Number {
			fields[i].Type, fields[i].Nullable = arrow.PrimitiveTypes.Float32, true
		}
	}
	return arrow.NewSchema(fields, nil)
}

func (w *parquetWriter) write(r Row) error {
	for i, c := range w.columns {
		switch b := w.build.Field(i).(type) {
		case *array.StringBuilder:
			b.Append(strings.ToValidUTF8(r[i].Text, "\uFFFD"))
		case *array.Float32Builder:
			if math.IsNaN(float64(r[i].Number)) {
				b.AppendNull()
			} else {
				b.Append(r[i].Number)
			}
		default:
			return fmt.Errorf("scores: parquet: column %s has an unknown type", c.Name)
		}
	}
	if w.rows++; w.rows == w.group {
		return w.flush()
	}
	return nil
}

func (w *parquetWriter) flush() error {
	if w.rows == 0 {
		return nil
	}
	record := w.build.NewRecordBatch()
	defer record.Release()
	w.rows = 0
	if err := w.w.Write(record); err != nil {
		return fmt.Errorf("scores: parquet: %w", err)
	}
	return nil
}

func (w *parquetWriter) close() error {
	if err := w.flush(); err != nil {
		return err
	}
	w.build.Release()
	if err := w.w.Close(); err != nil {
		return fmt.Errorf("scores: parquet: %w", err)
	}
	return nil
}
