package scores

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"

	"finetune/internal/digest"
)

// PartKey is where a part's Parquet file describes itself, among the key-value metadata
// of its footer. Programs that read Parquet pass over it.
const PartKey = "finetune.part"

// WritePart writes the rows that each hands over as Parquet. describe is called behind
// the last row, with the rows' checksum, for the text under PartKey. Equal rows and texts
// make equal bytes.
func WritePart(out io.Writer, columns []Column, each func(yield func(Row) error) error,
	describe func(sum uint32) (string, error)) error {
	w, err := newParquetWriter(out, columns)
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
	if err := w.w.AppendKeyValueMetadata(PartKey, text); err != nil {
		return fmt.Errorf("scores: parquet: %w", err)
	}
	return w.close()
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
