package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"finetune/internal/half"
)

// legacy is a file of the format before PyTorch 1.6 with one float32 tensor w = [1, -2]. Its parts may be replaced.
func legacy(old, now string) []byte {
	text := "\x80\x02\x8a\x0a" + string(legacyMagic) +
		".\x80\x02M\xe9\x03.\x80\x02}U\x0dlittle_endian\x88s.\x80\x02}U\x01w" +
		"ctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\n" +
		"U\x01aU\x03cpuK\x02NtQK\x00K\x02\x85K\x01\x85\x89NtRs.\x80\x02]U\x01aa."
	return append([]byte(strings.Replace(text, old, now, 1)), 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0)
}

func TestLegacyParts(t *testing.T) {
	got, err := parse(bytes.NewReader(legacy("", "")), int64(len(legacy("", ""))))
	if err != nil || len(got) != 1 || !slices.Equal(got[0].Data, []float32{1, -2}) {
		t.Fatalf("the sound file gives %v, %v", got, err)
	}
	for _, tt := range []struct{ old, now, want string }{
		{string(legacyMagic[:1]), "\x6d", "not one written by torch.save"},
		{"M\xe9\x03", "M\xea\x03", "protocol 1002"},
		{"\x80\x02}U\x01w", "\x80\x01}U\x01w", "protocol 1"},
		{"\x80\x02}U\x01w", "\x80\x06}U\x01w", "protocol 6"},
		{"]U\x01aa.", "]U\x01ba.", `storage "b" belongs to no tensor`},
		{"]U\x01aa.", "}.", "list of storages"},
		{"K\x02NtQ", "K\x03NtQ", `storage "a" has 2 elements`},
		{"K\x02\x85K\x01\x85\x89NtR", "K\x02\x85\x89NtR", "unexpected arguments (5)"},
	} {
		file := legacy(tt.old, tt.now)
		if got, err := parse(bytes.NewReader(file), int64(len(file))); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q for %q: %v, error %v; want one with %q", tt.now, tt.old, got, err, tt.want)
		}
	}
	for _, protocol := range []string{"\x80\x03", "\x80\x05"} {
		file := legacy("\x80\x02}U\x01w", protocol+"}U\x01w")
		if _, err := parse(bytes.NewReader(file), int64(len(file))); err != nil {
			t.Errorf("protocol %d: %v", protocol[1], err)
		}
	}
	short := legacy("", "")
	for n := range short[1:] {
		want := "neither a PyTorch"
		switch left := len(short) - n; {
		case left <= 8:
			want = fmt.Sprintf(`cut short in storage "a": %d bytes of %d`, n, len(short))
		case left <= 16:
			want = `cut short before storage "a"`
		case n > 1:
			want = "the pickle ends early"
		case n == 0:
			want = "an empty file"
		}
		if _, err := parse(bytes.NewReader(short[:n]), int64(n)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%d of %d bytes: %v; want %q", n, len(short), err, want)
		}
	}
}

// A machine of the other byte order wrote its numbers of elements so as well.
func TestLegacyBigEndian(t *testing.T) {
	file := legacy("\x88", "\x89")
	data := file[len(file)-16:]
	binary.BigEndian.PutUint64(data, 2)
	binary.BigEndian.PutUint32(data[8:], math.Float32bits(1))
	binary.BigEndian.PutUint32(data[12:], math.Float32bits(-2))
	got, err := parse(bytes.NewReader(file), int64(len(file)))
	if err != nil || len(got) != 1 || !slices.Equal(got[0].Data, []float32{1, -2}) {
		t.Errorf("a big-endian file gives %v, %v", got, err)
	}
}

// NaNs of float16 keep their payload, infinities stay what they are.
func TestHalfNaN(t *testing.T) {
	if got := math.Float32bits(half.Float32(0x7e01)); got != 0x7fc02000 {
		t.Errorf("half.Float32(0x7e01) = %#x, want 0x7fc02000", got)
	}
	if got := math.Float32bits(half.Float32(0xfc00)); got != 0xff800000 {
		t.Errorf("half.Float32(-infinity) = %#x", got)
	}
}

// unreadable has no storage that can be read.
type unreadable struct{}

func (unreadable) read(storage) ([]byte, error) { return nil, errDisk }
func (unreadable) order() binary.ByteOrder      { return binary.LittleEndian }

// A checkpoint may keep its state dict four levels down, no deeper.
func TestNestedStateDicts(t *testing.T) {
	for depth, sound := range map[int]bool{0: true, 1: true, 4: true, 5: false} {
		var d any = &dict{keys: []any{"w"}, values: []any{view{}}}
		for range depth {
			d = &dict{keys: []any{"epoch", "state_dict"}, values: []any{int64(1), d}}
		}
		if got, err := findState(d, 0); (err == nil) != sound {
			t.Errorf("%d levels: %v, %v", depth, got, err)
		}
		if _, err := readState(d, unreadable{}); errors.Is(err, errDisk) != sound {
			t.Errorf("%d levels of a file: %v", depth, err)
		}
	}
	if _, err := findState(&dict{keys: []any{int64(3), "w"}, values: []any{view{}, view{}}}, 0); err != nil {
		t.Errorf("a tensor without a name beside others: %v", err)
	}
}

// Views in every order of strides give their elements row by row.
func TestGather(t *testing.T) {
	raw := []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	s := storage{key: "a", dtype: mustType(t, "U8"), numel: 12}
	for _, tt := range []struct {
		offset        int64
		shape, stride []int64
		want          []byte
	}{
		{0, []int64{2, 3}, []int64{3, 1}, []byte{0, 1, 2, 3, 4, 5}},
		{6, []int64{2, 3}, []int64{3, 1}, []byte{6, 7, 8, 9, 10, 11}},
		{0, []int64{3, 2}, []int64{1, 3}, []byte{0, 3, 1, 4, 2, 5}},
		{1, []int64{2, 2, 2}, []int64{1, 2, 4}, []byte{1, 5, 3, 7, 2, 6, 4, 8}},
		{2, []int64{1, 3}, []int64{99, 1}, []byte{2, 3, 4}},
		{2, []int64{1, 3}, []int64{maxElements, 1}, []byte{2, 3, 4}},
		{0, []int64{2, 2}, []int64{1, 2}, []byte{0, 2, 1, 3}},
		{0, []int64{2, 2}, []int64{1, 1}, []byte{0, 1, 1, 2}},
		{0, []int64{2, 2}, []int64{4, 2}, []byte{0, 2, 4, 6}},
		{0, []int64{2, 3}, []int64{7, 1}, []byte{0, 1, 2, 7, 8, 9}},
		{0, []int64{12}, []int64{1}, raw},
		{99, []int64{0}, []int64{1}, nil},
		{2, []int64{3, 1}, []int64{1, 77}, []byte{2, 3, 4}},
		{11, nil, nil, []byte{11}},
		{0, []int64{0, 3}, []int64{3, 1}, nil},
		{0, []int64{2, 2}, []int64{0, 1}, []byte{0, 1, 0, 1}},
	} {
		v := view{s, tt.offset, tt.shape, tt.stride}
		if err := v.check(); err != nil {
			t.Errorf("%v by %v from %d: %v", tt.shape, tt.stride, tt.offset, err)
		} else if got := v.gather(raw); !bytes.Equal(got, tt.want) {
			t.Errorf("%v by %v from %d = %v, want %v", tt.shape, tt.stride, tt.offset, got, tt.want)
		}
	}
	wide := storage{key: "b", dtype: mustType(t, "I16"), numel: 6}
	if got := (view{wide, 2, []int64{2, 2}, []int64{2, 1}}).gather(raw); !bytes.Equal(got, raw[4:]) {
		t.Errorf("elements of two bytes from 2: %v", got)
	}
	for _, v := range []view{
		{s, 12, []int64{1}, []int64{1}}, {s, 0, []int64{13}, []int64{1}}, {s, 1, []int64{12}, []int64{1}},
		{s, 0, []int64{2, 2}, []int64{11, 1}},
		{s, 0, []int64{2}, []int64{12}}, {s, 0, []int64{2}, []int64{1, 1}}, {s, -1, []int64{1}, []int64{1}},
		{s, 0, []int64{2}, []int64{-1}},
		{s, math.MaxInt64, []int64{2}, []int64{1}}, {s, 0, []int64{3}, []int64{1 << 62}},
		{s, 0, []int64{1}, []int64{maxElements + 1}},
	} {
		if err := v.check(); err == nil {
			t.Errorf("%v by %v from %d lies in a storage of 12", v.shape, v.stride, v.offset)
		}
	}
}

// Empty tensors share the offset of the one after them; they come in any order of the header.
func TestEmptyTensorsShareAnOffset(t *testing.T) {
	header := `{"full":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"none":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},` +
		`"more":{"dtype":"U8","shape":[1],"data_offsets":[2,3]}}`
	f := file(header, 3)
	got, _, err := parseSafetensors(bytes.NewReader(f), int64(len(f)))
	if err != nil || len(got) != 3 || got[0].Name != "none" || got[1].Name != "full" || got[2].Name != "more" {
		t.Errorf("read %v, %v", got, err)
	}
}

// Without metadata the header has no entry for it.
func TestNoMetadata(t *testing.T) {
	var b bytes.Buffer
	if err := WriteSafetensors(&b, sample(), nil); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), metadataKey) {
		t.Errorf("header: %s", b.String())
	}
	if _, m, err := parseSafetensors(bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil || m != nil {
		t.Errorf("metadata %v, %v", m, err)
	}
}

// Numbers in messages are right: a person repairs a file by them.
func TestSafetensorsMessages(t *testing.T) {
	f := file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 4)
	if _, _, err := parseSafetensors(bytes.NewReader(f), int64(len(f))); err == nil ||
		!strings.Contains(err.Error(), "3 bytes after the last tensor") {
		t.Errorf("three bytes too many: %v", err)
	}
}
