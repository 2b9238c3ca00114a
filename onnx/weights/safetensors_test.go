package weights

import (
	"bytes"
	"encoding/binary"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func sample() []Tensor {
	return []Tensor{
		{Name: "step", Shape: []int64{}, Ints: []int64{41}},
		{Name: "head.weight", Shape: []int64{2, 3}, Data: []float32{1, 2, 3, -4, 5.5, 6}},
		{Name: "rng", Shape: []int64{3}, Bytes: []uint8{7, 8, 255}},
		{Name: "a \"quoted\" é", Shape: []int64{0, 4}, Data: []float32{}},
	}
}

func TestRoundTrip(t *testing.T) {
	metadata := map[string]string{"epoch": "3", "b": "<&>"}
	path := filepath.Join(t.TempDir(), "c.safetensors")
	var b bytes.Buffer
	if err := WriteSafetensors(&b, sample(), metadata); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b.Bytes(), 0o666); err != nil {
		t.Fatal(err)
	}
	got, gotMetadata, err := ReadSafetensors(path)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(ByName(got), ByName(sample())) || !reflect.DeepEqual(gotMetadata, metadata) {
		t.Errorf("read %+v %v\nwrote %+v %v", got, gotMetadata, sample(), metadata)
	}
}

func TestEqualTensorsGiveEqualBytes(t *testing.T) {
	var a, b bytes.Buffer
	reversed := sample()
	for i, j := 0, len(reversed)-1; i < j; i, j = i+1, j-1 {
		reversed[i], reversed[j] = reversed[j], reversed[i]
	}
	if err := WriteSafetensors(&a, sample(), map[string]string{"x": "1", "y": "2"}); err != nil {
		t.Fatal(err)
	}
	if err := WriteSafetensors(&b, reversed, map[string]string{"y": "2", "x": "1"}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(a.Bytes(), b.Bytes()) {
		t.Error("the order of the tensors changed the file")
	}
	if n := binary.LittleEndian.Uint64(a.Bytes()); n%8 != 0 {
		t.Errorf("header of %d bytes, not padded to 8", n)
	}
}

func TestWriteRefuses(t *testing.T) {
	ok := Tensor{Name: "w", Shape: []int64{2}, Data: []float32{1, 2}}
	for _, tt := range []struct {
		name    string
		tensors []Tensor
		want    string
	}{
		{"name twice", []Tensor{ok, ok}, "twice"},
		{"wrong length", []Tensor{{Name: "w", Shape: []int64{3}, Data: []float32{1}}}, "shape [3]"},
		{"two kinds", []Tensor{{Name: "w", Shape: []int64{2}, Data: []float32{1}, Ints: []int64{1}}}, "1 int64"},
		{"no name", []Tensor{{Shape: []int64{0}}}, "usable name"},
		{"metadata", []Tensor{{Name: metadataKey, Shape: []int64{0}}}, "usable name"},
		{"not UTF-8", []Tensor{{Name: "\xff", Shape: []int64{0}}}, "usable name"},
	} {
		if err := WriteSafetensors(&bytes.Buffer{}, tt.tensors, nil); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
}

func file(header string, data int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, data)...)
}

func TestHostileHeaders(t *testing.T) {
	for _, tt := range []struct {
		name, header string
		data         int
		want         string
	}{
		{"overlap", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}`, 12, "before it ends at 8"},
		{"gap", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2, "starts at 1"},
		{"rest", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 2, "after the last"},
		{"past the end", `{"a":{"dtype":"U8","shape":[9],"data_offsets":[0,9]}}`, 2, "does not hold"},
		{"wrong size", `{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}`, 4, "does not hold"},
		{"negative offset", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}}`, 0, "starts at -1"},
		{"backwards", `{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,-1]}}`, 0, "does not hold"},
		{"negative size", `{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}`, 1, "negative"},
		{"overflow", `{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0, "more than"},
		{"zero after overflow", `{"a":{"dtype":"U8","shape":[4294967296,4294967296,0],"data_offsets":[0,0]}}`, 0,
			"more than"},
		{"type", `{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}`, 1, `"F8_E4M3"`},
		{"torch's type name", `{"a":{"dtype":"ByteStorage","shape":[1],"data_offsets":[0,1]}}`, 1, "not read"},
		{"name twice", `{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}`, 0, "twice"},
		{"field", `{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"x":1}}`, 0, "unknown field"},
		{"text behind", `{} {}`, 0, "after the JSON"},
		{"metadata of numbers", `{"__metadata__":{"a":1}}`, 0, metadataKey},
		{"unfinished", `{"a":`, 0, "header"},
	} {
		f := file(tt.header, tt.data)
		if _, _, err := parseSafetensors(bytes.NewReader(f), int64(len(f))); err == nil ||
			!strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want an error with %q", tt.name, err, tt.want)
		}
	}
	long := binary.LittleEndian.AppendUint64(nil, 1<<62)
	if _, _, err := parseSafetensors(bytes.NewReader(long), 8); err == nil || !strings.Contains(err.Error(), "header of") {
		t.Errorf("a header of 2^62 bytes: %v", err)
	}
}
