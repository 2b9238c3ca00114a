package scores

import (
	"context"
	"errors"
	"fmt"
	"io"
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
	if p.r, err = pqarrow.NewFileReader(f, pqarrow.ArrowReadProperties{BatchSize: 1 << 12},
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
	for _, f := range schema.Fields() {
		switch f.Type.ID() {
		case arrow.STRING:
			p.head = append(p.head, Column{Name: f.Name})
		case arrow.FLOAT32:
			p.head = append(p.head, Column{f.Name, true})
		default:
			return fmt.Errorf("column %s is a %s; scores have texts and float32", f.Name, f.Type)
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
