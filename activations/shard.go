package activations

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
	"github.com/apache/arrow-go/v18/arrow/ipc"
	"github.com/apache/arrow-go/v18/arrow/memory"

	"finetune/internal/digest"
)

const maxFeatures = 1 << 20 // floats in one row

// Digest is the SHA-256 of a photograph's file.
type Digest [sha256.Size]byte

func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// rows is a table in memory, on its way to a shard.
type rows struct {
	paths, labels []string
	digests       []Digest
	features      []float32 // [len(paths), F]
}

func (r *rows) add(path, label string, digest Digest, features []float32) {
	r.paths, r.labels = append(r.paths, path), append(r.labels, label)
	r.digests, r.features = append(r.digests, digest), append(r.features, features...)
}

func (r *rows) reset() {
	r.paths, r.labels, r.digests, r.features = r.paths[:0], r.labels[:0], r.digests[:0], r.features[:0]
}

// shardName is what this package calls a shard: the digest of its row digests,
// then the CRC-32C of its bytes. Two processes can only choose one name for
// one content.
var shardName = regexp.MustCompile(`^shard-[0-9a-f]{16}-([0-9a-f]{8})\.arrow$`)

// encode writes r as an Arrow IPC file of one record batch.
func (r *rows) encode(k keyFile) (name string, file []byte, err error) {
	var buf bytes.Buffer
	buf.Grow(len(r.features)*4 + len(r.paths)*256 + 4096)
	schema := newSchema(k)
	w, err := ipc.NewFileWriter(&buf, ipc.WithSchema(schema))
	if err != nil {
		return "", nil, err
	}
	rec := r.record(schema, k.Features)
	defer rec.Release()
	if err := w.Write(rec); err != nil {
		return "", nil, err
	}
	if err := w.Close(); err != nil {
		return "", nil, err
	}
	h := sha256.New()
	for i := range r.digests {
		h.Write(r.digests[i][:])
	}
	file = buf.Bytes()
	return fmt.Sprintf("shard-%x-%08x.arrow", h.Sum(nil)[:8], digest.CRC32C(file)), file, nil
}

func newSchema(k keyFile) *arrow.Schema {
	meta := arrow.NewMetadata([]string{"finetune.key"}, []string{string(k.bytes())})
	return arrow.NewSchema([]arrow.Field{
		{Name: "path", Type: arrow.BinaryTypes.String},
		{Name: "label", Type: arrow.BinaryTypes.String},
		{Name: "digest", Type: arrow.BinaryTypes.String},
		{Name: "features", Type: arrow.FixedSizeListOfNonNullable(int32(k.Features), arrow.PrimitiveTypes.Float32)},
	}, &meta)
}

// record builds the batch; the features are not copied.
func (r *rows) record(schema *arrow.Schema, features int) arrow.RecordBatch {
	text := func(n int, at func(int) string) arrow.Array {
		b := array.NewStringBuilder(memory.DefaultAllocator)
		defer b.Release()
		for i := range n {
			b.Append(strings.ToValidUTF8(at(i), "\uFFFD")) // file names need not be UTF-8, Arrow's strings must
		}
		return b.NewArray()
	}
	n := len(r.paths)
	values := array.NewData(arrow.PrimitiveTypes.Float32, n*features,
		[]*memory.Buffer{nil, memory.NewBufferBytes(arrow.Float32Traits.CastToBytes(r.features))}, nil, 0, 0)
	list := array.NewData(schema.Field(3).Type, n, []*memory.Buffer{nil}, []arrow.ArrayData{values}, 0, 0)
	return array.NewRecordBatch(schema, []arrow.Array{
		text(n, func(i int) string { return r.paths[i] }),
		text(n, func(i int) string { return r.labels[i] }),
		text(n, func(i int) string { return r.digests[i].String() }),
		array.MakeFromData(list),
	}, int64(n))
}

// shard is a file mapped into memory. Strings and features point into the map.
type shard struct {
	name    string
	data    []byte
	batches []batch
}

type batch struct {
	paths, labels texts
	digests       []Digest
	features      []float32 // [len(digests), F]
}

func (s *shard) rows() int {
	n := 0
	for _, b := range s.batches {
		n += len(b.digests)
	}
	return n
}

func (s *shard) close() error {
	if s.data == nil {
		return nil
	}
	data := s.data
	s.data, s.batches = nil, nil
	return unmap(data)
}

// errDamaged marks a shard whose bytes are not those that were written.
var errDamaged = errors.New("damaged")

// openShard maps a file; with verify it reads all of it against the checksum in
// its name. Errors wrap errDamaged, except those of opening the file and of a
// shard that belongs to another key.
func openShard(path string, k keyFile, verify bool) (*shard, error) {
	data, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	s := &shard{name: filepath.Base(path), data: data}
	if verify {
		want := shardName.FindStringSubmatch(s.name)
		if got := fmt.Sprintf("%08x", digest.CRC32C(data)); want == nil || got != want[1] {
			return nil, errors.Join(fmt.Errorf("%w: checksum %s, not that in its name", errDamaged, got), s.close())
		}
	}
	if s.batches, err = parseShard(data, k); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func mapFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() == 0 {
		return nil, fmt.Errorf("%w: empty", errDamaged)
	}
	data, err := mapped(f, int(info.Size()))
	if err != nil {
		return nil, fmt.Errorf("map %s: %w", path, err)
	}
	return data, nil
}
