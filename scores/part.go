package scores

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/apache/arrow-go/v18/parquet/pqarrow"

	"finetune/internal/digest"
)

// PartKey is where a part's Parquet file describes itself, among the key-value metadata
// of its footer. Programs that read Parquet pass over it.
const PartKey = "finetune.part"

// WritePart writes the rows that each hands over as Parquet, packed so. describe is called behind
// the last row, with the rows' checksum, for the text under PartKey. Equal rows and texts
// make equal bytes.
func WritePart(out io.Writer, columns []Column, packing Packing, each func(yield func(Row) error) error,
	describe func(sum uint32) (string, error)) error {
	w, file, err := newPartWriter(out, columns, packing)
	if err != nil {
		return err
	}
	sum := digest.NewCRC32C()
	err = each(func(r Row) error {
		addRow(sum, columns, r)
		return w.write(r)
	})
	if err != nil {
		return err
	}
	text, err := describe(sum.Sum32())
	if err != nil {
		return err
	}
	if err := file.AppendKeyValueMetadata(PartKey, text); err != nil {
		return fmt.Errorf("scores: parquet: %w", err)
	}
	return w.close()
}

func newPartWriter(out io.Writer, columns []Column, packing Packing) (writer, *pqarrow.FileWriter, error) {
	if packing == Separate {
		w, err := newParquetWriter(out, columns)
		if err != nil {
			return nil, nil, err
		}
		return w, w.w, nil
	}
	w, err := newVectorWriter(out, columns, packing)
	if err != nil {
		return nil, nil, err
	}
	return w, w.w, nil
}

// addRow adds the cells of a row, each with its length, to a checksum.
func addRow(sum io.Writer, columns []Column, r Row) {
	var b []byte
	for i, c := range columns {
		switch v := r[i].Number; {
		case !c.Number:
			b = binary.LittleEndian.AppendUint32(b, uint32(len(r[i].Text)))
			b = append(b, r[i].Text...)
		case math.IsNaN(float64(v)): // there is one None
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(None))
		default:
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
		}
	}
	_, _ = sum.Write(b) // a checksum takes everything
}

// Part is a part that is read. Close frees it.
type Part struct {
	Columns []Column
	Text    string // under PartKey
	Rows    int64  // by its footer
	p       *parquetPart
}

// OpenPart reads the footer of a part of size bytes; name is for messages. Errors: what is
// no part, or a damaged one, is failure.Data.
func OpenPart(r io.ReaderAt, size int64, name string) (_ *Part, err error) {
	defer gaveUp(name, &err)
	p, err := readParquet(io.NewSectionReader(r, 0, size), name)
	if err != nil {
		return nil, err
	}
	text := p.f.MetaData().KeyValueMetadata().FindValue(PartKey)
	if text == nil {
		err := fmt.Errorf("it has no metadata under %s: no part of a job", PartKey)
		return nil, errors.Join(damaged(name, err), p.close())
	}
	return &Part{Columns: p.head, Text: *text, Rows: p.f.NumRows(), p: p}, nil
}

// Each hands the rows over in their order, and returns their checksum. A row is valid
// during the call.
func (p *Part) Each(yield func(Row) error) (uint32, error) {
	sum := digest.NewCRC32C()
	err := p.p.each(func(r Row) error {
		addRow(sum, p.Columns, r)
		return yield(r)
	})
	return sum.Sum32(), err
}

// Block is some rows of a part by columns: the texts of each column of texts, and the
// numbers of the others row after row, None where there is none.
type Block struct {
	Rows    int
	Texts   [][]string // [columns of texts][rows]
	Numbers []float32  // [rows, columns of numbers]
}

// Blocks is Each by columns, many times as fast. A block is valid during the call.
func (p *Part) Blocks(yield func(Block) error) (uint32, error) {
	sum := digest.NewCRC32C()
	var line []byte
	err := p.p.blocks(func(b Block) error {
		width := len(b.Numbers) / max(b.Rows, 1)
		for i := range b.Rows {
			line = addBlockRow(line[:0], p.Columns, b, i, b.Numbers[i*width:(i+1)*width])
			_, _ = sum.Write(line)
		}
		return yield(b)
	})
	return sum.Sum32(), err
}

// addBlockRow appends what addRow writes of row i.
func addBlockRow(line []byte, columns []Column, b Block, i int, numbers []float32) []byte {
	text, number := 0, 0
	for _, c := range columns {
		if !c.Number {
			t := b.Texts[text][i]
			line = append(binary.LittleEndian.AppendUint32(line, uint32(len(t))), t...)
			text++
			continue
		}
		v := numbers[number]
		if v != v {
			v = None
		}
		line = binary.LittleEndian.AppendUint32(line, math.Float32bits(v))
		number++
	}
	return line
}

// Close frees the part, not what it was read from.
func (p *Part) Close() error { return p.p.close() }

// WriteTo is Write to a stream that the caller has opened, in a format.
func WriteTo(out io.Writer, format Format, columns []Column, each func(yield func(Row) error) error,
	escape bool) error {
	w, err := newWriter(out, format, columns, escape)
	if err != nil {
		return err
	}
	if err := each(w.write); err != nil {
		return err
	}
	return w.close()
}
