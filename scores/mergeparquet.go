package scores

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/memory"
	"github.com/apache/arrow-go/v18/parquet"
	"github.com/apache/arrow-go/v18/parquet/file"
	"github.com/apache/arrow-go/v18/parquet/pqarrow"
)

// parquetPart reads a file of ours, a group of rows at a time.
type parquetPart struct {
	name string
	f    *file.Reader
	r    *pqarrow.FileReader
	head []Column

	vector int // numbers of the lists of a packed part; 0: none is packed
}

// gaveUp turns a panic of the Parquet decoder, which indexes before it checks,
// into an error about the file.
func gaveUp(name string, err *error) {
	if r := recover(); r != nil {
		*err = damaged(name, fmt.Errorf("the decoder gave up (%v)", r))
	}
}

func openParquet(name string) (opened part, err error) {
	in, err := openFile(name)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil { // also after a panic, which leaves nobody else to close it
			in.Close()
		}
	}()
	defer gaveUp(name, &err)
	return readParquet(in, name)
}

// readParquet reads the footer; name is for messages. It may panic (gaveUp).
func readParquet(in parquet.ReaderAtSeeker, name string) (*parquetPart, error) {
	f, err := file.NewParquetReader(in)
	if err != nil {
		return nil, damaged(name, err)
	}
	p := &parquetPart{name: name, f: f}
	batch := int64(1 << 12) // rows
	if text := f.MetaData().KeyValueMetadata().FindValue(vectorKey); text != nil {
		width, _ := strconv.Atoi(*text) // readVector refuses others
		batch = max(batch/int64(max(width/256, 1)), 16)
	}
	if p.r, err = pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: batch},
		memory.DefaultAllocator); err == nil {
		err = p.readHead()
	}
	if err != nil {
		return nil, damaged(name, err)
	}
	return p, nil
}

func (p *parquetPart) readHead() error {
	schema, err := p.r.Schema()
	if err != nil {
		return err
	}
	for i, f := range schema.Fields() {
		switch f.Type.ID() {
		case arrow.STRING:
			p.head = append(p.head, Column{Name: f.Name})
		case arrow.FLOAT32:
			p.head = append(p.head, Column{f.Name, true})
		default:
			if err := p.readVector(f, i == schema.NumFields()-1); err != nil {
				return err
			}
		}
	}
	if len(p.head) == 0 || p.head[0].Number {
		return errors.New("its first column holds no texts")
	}
	return nil
}

func (p *parquetPart) columns() []Column                { return p.head }
func (p *parquetPart) close() error                     { return p.f.Close() }
func (p *parquetPart) key(r Row) string                 { return r[0].Text }
func (p *parquetPart) sink(w io.Writer) (writer, error) { return newParquetWriter(w, p.head) }

func (p *parquetPart) each(yield func(Row) error) (err error) {
	defer gaveUp(p.name, &err)
	if p.vector > 0 {
		return p.eachOfBlocks(yield)
	}
	records, err := p.r.GetRecordReader(context.Background(), nil, nil)
	if err != nil {
		return damaged(p.name, err)
	}
	defer records.Release()
	row := make(Row, len(p.head))
	for records.Next() {
		record := records.RecordBatch()
		for i := range int(record.NumRows()) {
			for k := range p.head {
				row[k] = cell(record.Column(k), i)
			}
			if err := yield(row); err != nil {
				return err
			}
		}
	}
	if err := records.Err(); err != nil && err != io.EOF {
		return damaged(p.name, err)
	}
	return nil
}

// blocks hands over the rows by columns.
func (p *parquetPart) blocks(yield func(Block) error) (err error) {
	defer gaveUp(p.name, &err)
	var columns []int // all
	if p.vector > 0 {
		columns = indices(len(p.head) - p.vector)
	}
	records, err := p.r.GetRecordReader(context.Background(), columns, nil)
	if err != nil {
		return damaged(p.name, err)
	}
	defer records.Release()
	lists, width := p.lists(), 0
	for _, c := range p.head {
		if c.Number {
			width++
		}
	}
	var b Block
	for records.Next() {
		record := records.RecordBatch()
		b.Rows, b.Texts = int(record.NumRows()), b.Texts[:0]
		b.Numbers = slices.Grow(b.Numbers[:0], b.Rows*width)[:b.Rows*width]
		at := 0
		if p.vector > 0 {
			for i := range b.Rows {
				if err := lists.next(b.Numbers[i*width : (i+1)*width]); err != nil {
					return damaged(p.name, err)
				}
			}
		}
		for k := range p.head[:len(p.head)-p.vector] {
			if p.head[k].Number {
				numbers(b.Numbers, record.Column(k), at, width)
				at++
			} else {
				b.Texts = append(b.Texts, texts(record.Column(k)))
			}
		}
		if err := yield(b); err != nil {
			return err
		}
	}
	if err := records.Err(); err != nil && err != io.EOF {
		return damaged(p.name, err)
	}
	return nil
}

func indices(n int) []int {
	list := make([]int, n)
	for i := range list {
		list[i] = i
	}
	return list
}

// numbers puts a column into out [rows, width] at its place in each row.
func numbers(out []float32, a arrow.Array, at, width int) {
	values := a.(*array.Float32).Float32Values()
	for i, v := range values {
		out[at+i*width] = v
	}
	if a.NullN() == 0 {
		return
	}
	for i := range values {
		if a.IsNull(i) {
			out[at+i*width] = None
		}
	}
}

// texts are those of a column, within its memory.
func texts(a arrow.Array) []string {
	s := a.(*array.String)
	out := make([]string, s.Len())
	for i := range out {
		out[i] = s.Value(i)
	}
	return out
}

func cell(a arrow.Array, i int) Cell {
	switch a := a.(type) {
	case *array.String:
		return Cell{Text: strings.Clone(a.Value(i))}
	case *array.Float32:
		if a.IsNull(i) {
			return Cell{Number: None}
		}
		return Cell{Number: a.Value(i)}
	}
	panic("a column of another type than the schema says")
}
