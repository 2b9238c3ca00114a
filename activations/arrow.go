package activations

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"unsafe"

	"github.com/apache/arrow-go/v18/arrow"

	"finetune/internal/plural"
)

// This file reads the part of the Arrow IPC file format that a shard uses, in
// place. arrow-go, which writes shards, has a reader too, but that one allocates
// what a damaged file declares, which no recover can catch. Field numbers are
// those of Arrow's format/File.fbs, Schema.fbs and Message.fbs (version 5).

// errOtherKey marks a whole shard that lies in the wrong folder.
var errOtherKey = errors.New("made for another key")

const magic = "ARROW1"

// parseShard finds the columns in an Arrow IPC file. The result points into
// data. Any bytes at all give a result or an error, and memory within a small
// multiple of their number: an index that leaves data panics, and ends here.
func parseShard(data []byte, k keyFile) (batches []batch, err error) {
	defer func() {
		if p := recover(); p != nil {
			batches, err = nil, fmt.Errorf("%w: not a whole Arrow file: %.200v", errDamaged, p)
		}
	}()
	end := len(data) - len(magic) - 4
	if end < 8 || !bytes.HasPrefix(data, []byte(magic)) || !bytes.HasSuffix(data, []byte(magic)) {
		return nil, fmt.Errorf("%w: not an Arrow IPC file", errDamaged)
	}
	footer := root(data[end-int(binary.LittleEndian.Uint32(data[end:])) : end])
	if err := checkSchema(footer.table(1), k); err != nil {
		return nil, err
	}
	blocks := footer.vector(3, 24)
	for ; len(blocks) > 0; blocks = blocks[24:] {
		at, meta, body := int(i64(blocks)), int(int32(u32(blocks[8:]))), int(i64(blocks[16:]))
		message := data[at : at+meta : at+meta]
		if u32(message) != 0xffffffff {
			return nil, fmt.Errorf("%w: no message at byte %d", errDamaged, at)
		}
		b, err := parseBatch(root(message[8:]), data[at+meta:at+meta+body], k.Features)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errDamaged, err)
		}
		batches = append(batches, b)
	}
	return batches, nil
}

// checkSchema wants the columns of the package comment and this key's name.
func checkSchema(schema table, k keyFile) error {
	for _, kv := range schema.tables(2) {
		if kv.text(0) == "finetune.key" && kv.text(1) != string(k.bytes()) {
			return errOtherKey
		}
	}
	const floating, utf8, fixedSizeList, single = 3, 5, 16, 1
	fields := schema.tables(1)
	if len(fields) != 4 || schema.number(0, 2) != 0 {
		return fmt.Errorf("%w: %s", errDamaged, plural.Count(len(fields), "column"))
	}
	for i, name := range []string{"path", "label", "digest"} {
		if f := fields[i]; f.text(0) != name || f.number(2, 1) != utf8 {
			return fmt.Errorf("%w: column %d is %.40q and not %s, text", errDamaged, i, f.text(0), name)
		}
	}
	list := fields[3]
	if list.text(0) != "features" || list.number(2, 1) != fixedSizeList ||
		list.table(3).number(0, 4) != uint64(k.Features) {
		return fmt.Errorf("%w: column 3 is %.40q and not features, %d to a row", errDamaged, list.text(0), k.Features)
	}
	if c := list.tables(5); len(c) != 1 || c[0].number(2, 1) != floating || c[0].table(3).number(0, 2) != single {
		return fmt.Errorf("%w: features are not float32", errDamaged)
	}
	return nil
}

// parseBatch reads the record batch of a message: five nodes (the list's
// values have their own) and twelve buffers.
func parseBatch(message table, body []byte, features int) (b batch, err error) {
	const recordBatch = 3
	if message.number(1, 1) != recordBatch {
		return b, errors.New("a message that is no record batch")
	}
	rec := message.table(2)
	if rec.has(3) {
		return b, errors.New("compressed")
	}
	n := int(int64(rec.number(0, 8)))
	nodes, buffers := rec.vector(1, 16), rec.vector(2, 16)
	for i, want := range []int{n, n, n, n, n * features} {
		if got, nulls := i64(nodes[16*i:]), i64(nodes[16*i+8:]); got != int64(want) || nulls != 0 {
			return b, fmt.Errorf("column %d: %s of %d, %d of them null", i, plural.Count(got, "value"), want, nulls)
		}
	}
	buffer := func(i int) []byte {
		at, size := i64(buffers[16*i:]), i64(buffers[16*i+8:])
		return body[at : at+size]
	}
	column := func(i int) texts { return newTexts(buffer(3*i+1), buffer(3*i+2), n) }
	b.paths, b.labels = column(0), column(1)
	if b.digests, err = parseDigests(column(2)); err != nil {
		return b, err
	}
	b.features, err = floats(buffer(11), n*features)
	return b, err
}

// floats sees bytes as float32, without a copy.
func floats(data []byte, n int) ([]float32, error) {
	data = data[:4*n]
	if n > 0 && uintptr(unsafe.Pointer(&data[0]))%4 != 0 {
		return nil, errors.New("features not aligned to 4 bytes")
	}
	return arrow.Float32Traits.CastFromBytes(data)[:n:n], nil
}

func parseDigests(column texts) ([]Digest, error) {
	digests := make([]Digest, column.len())
	for i := range digests {
		text := column.bytes(i)
		if len(text) != 2*len(Digest{}) {
			return nil, fmt.Errorf("row %d: digest of %s", i, plural.Count(len(text), "character"))
		}
		if _, err := hex.Decode(digests[i][:], text); err != nil {
			return nil, fmt.Errorf("row %d: digest: %w", i, err)
		}
	}
	return digests, nil
}

// texts is a column of strings: n+1 offsets into data.
type texts struct{ offsets, data []byte }

// newTexts checks every offset, by use.
func newTexts(offsets, data []byte, n int) texts {
	t := texts{data: data}
	if n > 0 { // an empty column may have no offsets
		t.offsets = offsets[:4*(n+1)]
	}
	for i := range t.len() {
		_ = t.bytes(i)
	}
	return t
}

func (t texts) len() int { return max(len(t.offsets)/4-1, 0) }
func (t texts) bytes(i int) []byte {
	return t.data[int32(u32(t.offsets[4*i:])):int32(u32(t.offsets[4*i+4:]))]
}
func (t texts) at(i int) string { return string(t.bytes(i)) }

// table is a flatbuffer table: data, where it begins, where its vtable begins.
type table struct {
	data       []byte
	at, fields int
}

func root(data []byte) table { return tableAt(data, int(u32(data))) }

func tableAt(data []byte, at int) table {
	return table{data, at, at - int(int32(u32(data[at:])))}
}

// place is where field i begins, 0 if it is left out.
func (t table) place(i int) int {
	vtable := t.data[t.fields:]
	if 4+2*i >= int(binary.LittleEndian.Uint16(vtable)) {
		return 0
	}
	if off := int(binary.LittleEndian.Uint16(vtable[4+2*i:])); off != 0 {
		return t.at + off
	}
	return 0
}

func (t table) has(i int) bool { return t.place(i) != 0 }

// number reads a little-endian field of some bytes; a field left out is 0.
func (t table) number(i, size int) uint64 {
	at := t.place(i)
	if at == 0 {
		return 0
	}
	var b [8]byte
	copy(b[:], t.data[at:at+size])
	return binary.LittleEndian.Uint64(b[:])
}

// follow is where the offset in field i leads; a field left out panics, as an index would.
func (t table) follow(i int) int {
	at := t.place(i)
	if at == 0 {
		panic(fmt.Sprintf("no field %d", i))
	}
	return at + int(u32(t.data[at:]))
}

func (t table) table(i int) table { return tableAt(t.data, t.follow(i)) }

// vector is the content of a vector of n elements of size bytes: n*size bytes.
func (t table) vector(i, size int) []byte {
	if !t.has(i) {
		return nil
	}
	at := t.follow(i)
	n := int(u32(t.data[at:]))
	return t.data[at+4:][: n*size : n*size]
}

func (t table) text(i int) string { return string(t.vector(i, 1)) }

// tables is a vector of tables.
func (t table) tables(i int) []table {
	if !t.has(i) {
		return nil
	}
	at := t.follow(i) + 4
	list := make([]table, 0, len(t.vector(i, 4))/4)
	for range cap(list) {
		list = append(list, tableAt(t.data, at+int(u32(t.data[at:]))))
		at += 4
	}
	return list
}

func u32(b []byte) uint32 { return binary.LittleEndian.Uint32(b) }
func i64(b []byte) int64  { return int64(binary.LittleEndian.Uint64(b)) }
