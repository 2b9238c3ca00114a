package weights

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"finetune/internal/plural"
)

// The format: 8 bytes of header length (little-endian), a JSON header
// {"__metadata__": {...}, NAME: {"dtype", "shape", "data_offsets"}}, and the
// data, which the tensors cover without overlap or gap.
//
// Why not github.com/nlpodyssey/safetensors: it counts a scalar as zero
// elements, drops the first of two equal names, wants the whole file in one
// buffer and grants the header 100 MB.

const metadataKey = "__metadata__"

type entry struct {
	Dtype   string   `json:"dtype"`
	Shape   []int64  `json:"shape"`
	Offsets [2]int64 `json:"data_offsets"`
}

// ReadSafetensors returns the tensors of a .safetensors file, in the order of
// their data, with names as they stand, and its metadata (nil if it has none).
// Errors name path and are failure.Data, except those of the file system.
func ReadSafetensors(path string) ([]Tensor, map[string]string, error) {
	f, size, err := open(path)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	tensors, metadata, err := parseSafetensors(f, size)
	if err != nil {
		return nil, nil, cannotRead(path, err)
	}
	return tensors, metadata, nil
}

func parseSafetensors(r io.ReaderAt, size int64) ([]Tensor, map[string]string, error) {
	var prefix [8]byte
	if size < 8 {
		return nil, nil, errors.New("shorter than a safetensors header")
	}
	if _, err := r.ReadAt(prefix[:], 0); err != nil {
		return nil, nil, err
	}
	n := binary.LittleEndian.Uint64(prefix[:])
	if n > maxHeader || int64(n) > size-8 {
		return nil, nil, fmt.Errorf("header of %s in a file of %d; "+
			"the file is cut short or is no safetensors file", plural.Count(n, "byte"), size)
	}
	header := make([]byte, n)
	if _, err := r.ReadAt(header, 8); err != nil && err != io.EOF {
		return nil, nil, err
	}
	names, entries, metadata, err := parseHeader(header)
	if err != nil {
		return nil, nil, fmt.Errorf("safetensors header: %w", err)
	}
	shapes := make([][]int64, len(entries))
	for i, e := range entries {
		shapes[i] = e.Shape
	}
	if err := fit(shapes); err != nil {
		return nil, nil, err
	}
	tensors := make([]Tensor, 0, len(entries))
	var at int64
	for _, i := range byOffset(entries) {
		t, end, err := readEntry(r, names[i], entries[i], 8+int64(n), at, size)
		if err != nil {
			return nil, nil, fmt.Errorf("tensor %q: %w", names[i], err)
		}
		tensors, at = append(tensors, t), end
	}
	if 8+int64(n)+at != size {
		return nil, nil, fmt.Errorf("%s after the last tensor", plural.Count(size-8-int64(n)-at, "byte"))
	}
	return tensors, metadata, nil
}

// parseHeader keeps the order of the names and refuses a name given twice.
func parseHeader(header []byte) (names []string, entries []entry, metadata map[string]string, err error) {
	d := json.NewDecoder(bytes.NewReader(header))
	d.DisallowUnknownFields()
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, nil, nil, errors.New("not a JSON object")
	}
	seen := map[string]bool{}
	for d.More() {
		tok, err := d.Token()
		if err != nil {
			return nil, nil, nil, err
		}
		name, _ := tok.(string)
		if seen[name] {
			return nil, nil, nil, fmt.Errorf("name %q twice", name)
		}
		seen[name] = true
		if name == metadataKey {
			if err := d.Decode(&metadata); err != nil {
				return nil, nil, nil, fmt.Errorf("%s: %w", metadataKey, err)
			}
			continue
		}
		var e entry
		if err := d.Decode(&e); err != nil {
			return nil, nil, nil, fmt.Errorf("tensor %q: %w", name, err)
		}
		names, entries = append(names, name), append(entries, e)
		if len(names) > maxTensors {
			return nil, nil, nil, fmt.Errorf("more than %d tensors", maxTensors)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, nil, nil, err
	}
	if rest, _ := io.ReadAll(d.Buffered()); len(bytes.Trim(rest, " \x00")) > 0 {
		return nil, nil, nil, errors.New("text after the JSON object")
	}
	return names, entries, metadata, nil
}

func byOffset(entries []entry) []int {
	order := make([]int, len(entries))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		x, y := entries[a].Offsets, entries[b].Offsets
		if x[0] != y[0] {
			return cmp.Compare(x[0], y[0])
		}
		return cmp.Compare(x[1], y[1])
	})
	return order
}

// readEntry reads a tensor whose data must start at byte at of the data and
// returns where it ends. start is where the data begins in the file.
func readEntry(r io.ReaderAt, name string, e entry, start, at, size int64) (Tensor, int64, error) {
	d, ok := findType(e.Dtype)
	if !ok || d.name != e.Dtype {
		return Tensor{}, 0, fmt.Errorf("type %q is not read", e.Dtype)
	}
	count, err := elements(e.Shape)
	if err != nil {
		return Tensor{}, 0, err
	}
	if e.Offsets[0] != at {
		return Tensor{}, 0, fmt.Errorf("data starts at %d, the tensor before it ends at %d", e.Offsets[0], at)
	}
	if end := e.Offsets[1]; end > size-start || end-at != count*d.size {
		return Tensor{}, 0, fmt.Errorf("data at %v does not hold %s %v in %s of data", e.Offsets, e.Dtype,
			e.Shape, plural.Count(size-start, "byte"))
	}
	raw := make([]byte, count*d.size)
	if _, err := r.ReadAt(raw, start+at); err != nil && err != io.EOF {
		return Tensor{}, 0, err
	}
	t := Tensor{Name: name, Shape: slices.Clone(e.Shape)}
	d.into(&t, raw, binary.LittleEndian)
	return t, e.Offsets[1], nil
}

// WriteSafetensors writes tensors as F32, I64 or U8, and metadata, which may be
// nil. The bytes depend on the names and contents alone: tensors are ordered by
// falling element size (which keeps each aligned) and then by name. The header
// is padded to 8 bytes.
//
// Errors: a name twice, empty or not UTF-8; a length that is not the product of
// the shape; more than one kind of data; whatever w returns.
func WriteSafetensors(w io.Writer, tensors []Tensor, metadata map[string]string) error {
	sorted := slices.Clone(tensors)
	slices.SortFunc(sorted, func(a, b Tensor) int {
		if c := typeOf(b).size - typeOf(a).size; c != 0 {
			return int(c)
		}
		return strings.Compare(a.Name, b.Name)
	})
	header, err := makeHeader(sorted, metadata)
	if err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("weights: %w", err)
	}
	for _, t := range sorted {
		if err := writeData(w, t); err != nil {
			return fmt.Errorf("weights: tensor %q: %w", t.Name, err)
		}
	}
	return nil
}

func typeOf(t Tensor) dtype {
	name := "F32"
	switch {
	case t.Ints != nil:
		name = "I64"
	case t.Bytes != nil:
		name = "U8"
	}
	d, _ := findType(name)
	return d
}

func makeHeader(sorted []Tensor, metadata map[string]string) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 8))
	b.WriteByte('{')
	if len(metadata) > 0 {
		m, _ := json.Marshal(metadata) // sorts the keys; texts and numbers always encode, here and below
		fmt.Fprintf(b, "%q:%s", metadataKey, m)
	}
	var at int64
	seen := map[string]bool{}
	for _, t := range sorted {
		if err := checkTensor(t, seen); err != nil {
			return nil, fmt.Errorf("tensor %q: %w", t.Name, err)
		}
		if b.Len() > 9 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(t.Name)
		d := typeOf(t)
		e := entry{d.name, append([]int64{}, t.Shape...), [2]int64{at, at + int64(t.Len())*d.size}}
		value, _ := json.Marshal(e)
		fmt.Fprintf(b, "%s:%s", name, value)
		at = e.Offsets[1]
	}
	b.WriteByte('}')
	for b.Len()%8 != 0 {
		b.WriteByte(' ')
	}
	n := b.Len() - 8
	if n > maxHeader {
		return nil, fmt.Errorf("header of %s, at most %d can be read back", plural.Count(n, "byte"), maxHeader)
	}
	binary.LittleEndian.PutUint64(b.Bytes(), uint64(n))
	return b.Bytes(), nil
}

func checkTensor(t Tensor, seen map[string]bool) error {
	if t.Name == "" || t.Name == metadataKey || !utf8.ValidString(t.Name) {
		return errors.New("not a usable name")
	}
	if seen[t.Name] {
		return errors.New("name twice")
	}
	seen[t.Name] = true
	n, err := elements(t.Shape)
	if err != nil {
		return err
	}
	kinds := 0
	for _, held := range []bool{t.Data != nil, t.Ints != nil, t.Bytes != nil} {
		if held {
			kinds++
		}
	}
	if kinds > 1 || n != int64(t.Len()) {
		return fmt.Errorf("shape %v with %d float32, %d int64 and %s", t.Shape, len(t.Data), len(t.Ints),
			plural.Count(len(t.Bytes), "uint8 element"))
	}
	return nil
}

func writeData(w io.Writer, t Tensor) error {
	if t.Bytes != nil {
		_, err := w.Write(t.Bytes)
		return err
	}
	buf := make([]byte, 0, 1<<16)
	flush := func() error {
		_, err := w.Write(buf)
		buf = buf[:0]
		return err
	}
	for _, v := range t.Ints {
		if buf = binary.LittleEndian.AppendUint64(buf, uint64(v)); len(buf) == cap(buf) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	for _, v := range t.Data {
		if buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v)); len(buf) == cap(buf) {
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}
