package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"slices"
	"strings"
	"testing"
)

// want: Python's pickle.decode_long of the same bytes.
func TestLongs(t *testing.T) {
	for _, tt := range []struct {
		bytes string
		want  any
	}{
		{"", int64(0)}, {"\x00", int64(0)}, {"\x7f", int64(127)}, {"\x80", int64(-128)}, {"\xff", int64(-1)},
		{"\xff\x00", int64(255)}, {"\x00\x01", int64(256)}, {"\xe8\x03", int64(1000)}, {"\x00\x80", int64(-32768)},
		{"\xff\xff\xff\x7f", int64(math.MaxInt32)}, {"\x00\x00\x00\x80\x00", int64(1 << 31)},
		{"\x00\x00\x00\x00\x00\x00\x80", int64(-1 << 55)},
		{"\xff\xff\xff\xff\xff\xff\xff\x7f", int64(math.MaxInt64)},
		{"\x00\x00\x00\x00\x00\x00\x00\x80", int64(math.MinInt64)},
		{"\x00\x00\x00\x00\x00\x00\x00\x80\x00", bigInt("\x00\x00\x00\x00\x00\x00\x00\x80\x00")},
	} {
		m := &machine{data: []byte("\x8a" + string(rune(len(tt.bytes))) + tt.bytes + ".")}
		if got, err := m.load(); err != nil || got != tt.want {
			t.Errorf("LONG1 % x = %v, %v; Python reads %v", tt.bytes, got, err, tt.want)
		}
	}
}

// Every number of a pickle whose bytes end early is an error, never a 0.
func TestNumbersCutShort(t *testing.T) {
	for program, at := range map[string]int{ // where what is missing begins
		"K": 1, "M\x01": 1, "J\x01\x02\x03": 1, "\x8a": 1, "\x8a\x02\x01": 2, "G\x01": 1, "U": 1, "U\x02a": 2,
		"X\x01\x00\x00": 1,
		"N\x71":         2, "Nr\x00": 2, "h": 1, "cmodule": 1, "cmodule\nname": 8, "\x95\x00": 1,
	} {
		m := &machine{data: []byte(program), knows: func(global) bool { return true }}
		if v, err := m.load(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("byte %d: %v", at, errShort)) {
			t.Errorf("%q gives %v, error %v; want one that names byte %d", program, v, err, at)
		}
	}
}

func TestCallsWithOtherArguments(t *testing.T) {
	s, one := storage{key: "a", dtype: mustType(t, "F32"), numel: 4}, tuple{int64(1)}
	good := tuple{s, int64(0), one, one}
	if v, err := construct(rebuildTensor, good); err != nil || v.(view).storage.key != "a" {
		t.Fatalf("a sound call gives %v, %v", v, err)
	}
	for i, bad := range []any{"a", "0", tuple{"1"}, int64(1)} {
		args := slices.Clone(good)
		args[i] = bad
		if v, err := construct(rebuildTensor, args); err == nil {
			t.Errorf("argument %d as %T gives %v without an error", i, bad, v)
		}
	}
	if v, err := construct(rebuildParameter, tuple{view{storage: s}}); err != nil || v.(view).storage.key != "a" {
		t.Errorf("a parameter of a view gives %v, %v", v, err)
	}
	ones := slices.Repeat(one, maxDims)
	if v, err := construct(rebuildTensor, tuple{s, int64(0), ones, ones}); err != nil {
		t.Errorf("a shape of %d sizes gives %v, %v", maxDims, v, err)
	}
	if v, err := construct(rebuildTensor, tuple{s, int64(0), make(tuple, maxDims+1), one}); err == nil {
		t.Errorf("a shape of %d sizes gives %v", maxDims+1, v)
	}
	if v, err := construct(rebuildTensor, tuple{s, int64(0), tuple{"1"}, tuple{"1"}}); err == nil {
		t.Errorf("sizes and strides of text give %v", v)
	}
	for n := range 4 {
		if v, err := construct(rebuildTensor, good[:n]); err == nil {
			t.Errorf("%d arguments give %v", n, v)
		}
	}
	if v, err := construct(rebuildParameter, good); err == nil {
		t.Errorf("a parameter of a storage gives %v", v)
	}
	for _, bad := range []any{nil, "a", s, tuple{}} {
		if v, err := construct(rebuildParameter, tuple{bad}); err == nil {
			t.Errorf("a parameter of a %T gives %v without an error", bad, v)
		}
	}
	for _, bad := range []any{"a", int64(1), nil, tuple{}, &list{items: []any{"no pair"}},
		&list{items: []any{&list{items: []any{"k"}}}}} {
		if v, err := construct(orderedDict, tuple{bad}); err == nil {
			t.Errorf("a dict of a %T gives %v without an error", bad, v)
		}
	}
}

func mustType(t *testing.T, name string) dtype {
	t.Helper()
	d, ok := findType(name)
	if !ok {
		t.Fatalf("no type %s", name)
	}
	return d
}

func TestStoragesWithOtherMembers(t *testing.T) {
	good := tuple{"storage", global("torch.FloatStorage"), "a", "cpu", int64(4)}
	if s, err := storageOf(good); err != nil || s.key != "a" || s.numel != 4 || s.dtype.name != "F32" {
		t.Fatalf("a sound reference gives %+v, %v", s, err)
	}
	for at, bad := range map[int][]any{
		0: {"module", nil}, 1: {"torch.FloatStorage", global("torch.Size"), global("FloatStorage")},
		2: {int64(1), nil}, 4: {"4", int64(-1), int64(maxElements + 1)},
	} {
		for _, b := range bad {
			id := slices.Clone(good)
			id[at] = b
			if s, err := storageOf(id); err == nil {
				t.Errorf("member %d as %v gives %+v without an error", at, b, s)
			}
		}
	}
	for _, bad := range []any{"a", nil, good[:4], tuple{}} {
		if s, err := storageOf(bad); err == nil {
			t.Errorf("%v gives %+v without an error", bad, s)
		}
	}
	if _, err := storageOf(append(slices.Clone(good), nil)); err != nil {
		t.Errorf("the sixth member may be None: %v", err)
	}
	if _, err := storageOf(append(slices.Clone(good), "part")); err == nil {
		t.Error("a view of a storage is taken for a storage")
	}
	for _, n := range []int64{0, maxElements} {
		id := slices.Clone(good)
		id[4] = n
		if _, err := storageOf(id); err != nil {
			t.Errorf("%d elements: %v", n, err)
		}
	}
}

// A name on the stack must be a string, and so must its module.
func TestGlobalsOfTheStack(t *testing.T) {
	for program, want := range map[string]any{
		"U\x01aU\x01b\x93.": global("a.b"), "NU\x01b\x93.": nil, "U\x01aN\x93.": nil, "U\x01b\x93.": nil, "\x93.": nil,
	} {
		m := &machine{data: []byte(program), knows: func(global) bool { return true }}
		got, err := m.load()
		if want == nil && err == nil || want != nil && got != want {
			t.Errorf("%q gives %v, %v", program, got, err)
		}
	}
	for _, program := range []string{"U\x01a)R.", "NU\x01aR.", ")R.", "cm\nn\nNR.", "R."} {
		m := &machine{data: []byte(program), knows: func(global) bool { return true },
			call: func(global, tuple) (any, error) { return "called", nil }}
		if got, err := m.load(); err == nil {
			t.Errorf("%q calls something: %v", program, got)
		}
	}
}

// zipped is a .pth of one float32 tensor w = [1, -2], its storage in the given order. order "" leaves the entry out, as
// PyTorch before 2.1 did.
func zipped(t *testing.T, order string) []byte {
	return zippedState(t, order,
		"\x80\x02}U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x02tQ"+
			"K\x00K\x02\x85K\x01\x85\x89NtRs.")
}

func zippedState(t *testing.T, order, pickle string) []byte {
	t.Helper()
	var bytesOf binary.AppendByteOrder = binary.LittleEndian
	if order == "big" {
		bytesOf = binary.BigEndian
	}
	data := bytesOf.AppendUint32(bytesOf.AppendUint32(nil, math.Float32bits(1)), math.Float32bits(-2))
	members := [][2]string{{"a/data.pkl", pickle}, {"a/data/0", string(data)}}
	if order != "" {
		members = append(members, [2]string{"a/byteorder", order})
	}
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.CreateRaw(rawHeader(m[0], m[1]))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(f, m[1])
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestByteOrder(t *testing.T) {
	for _, order := range []string{"big", "little", ""} {
		file := zipped(t, order)
		got, err := parse(bytes.NewReader(file), int64(len(file)))
		if err != nil {
			t.Fatalf("byteorder %q: %v", order, err)
		}
		if len(got) != 1 || !slices.Equal(got[0].Data, []float32{1, -2}) {
			t.Errorf("byteorder %q: %+v, want w = [1 -2]", order, got)
		}
	}
}

// A byteorder entry that cannot be read is not taken for the usual order.
func TestDamagedByteOrder(t *testing.T) {
	file := zipped(t, "big")
	at := bytes.Index(file, []byte("byteorderbig")) + len("byteorder")
	file[at] ^= 1
	if got, err := parse(bytes.NewReader(file), int64(len(file))); err == nil {
		t.Errorf("a flipped bit in byteorder gives %+v", got)
	}
}

func TestShapesAtTheLimits(t *testing.T) {
	for _, tt := range []struct {
		shape []int64
		n     int64
	}{
		{nil, 1}, {[]int64{0, 5}, 0}, {[]int64{maxElements}, maxElements}, {[]int64{2, maxElements / 2}, maxElements},
		{slices.Repeat([]int64{1}, maxDims), 1},
	} {
		if n, err := elements(tt.shape); n != tt.n || err != nil {
			t.Errorf("%v has %d elements, %v; want %d", tt.shape, n, err, tt.n)
		}
	}
	for _, shape := range [][]int64{{-1}, {maxElements + 1}, {2, maxElements/2 + 1}, {0, maxElements + 1},
		slices.Repeat([]int64{1}, maxDims+1)} {
		if n, err := elements(shape); err == nil {
			t.Errorf("%v has %d elements without an error", shape, n)
		}
	}
}

// Tensors of more than a write buffer come back, and a writer that fails is reported wherever it does.
func TestLargeTensors(t *testing.T) {
	ints, floats := make([]int64, 20_000), make([]float32, 40_000)
	for i := range ints {
		ints[i] = int64(i) - 7
	}
	for i := range floats {
		floats[i] = float32(i) / 3
	}
	list := []Tensor{{Name: "floats", Shape: []int64{40_000}, Data: floats},
		{Name: "ints", Shape: []int64{20_000}, Ints: ints}}
	var b bytes.Buffer
	if err := WriteSafetensors(&b, list, nil); err != nil {
		t.Fatal(err)
	}
	got, _, err := parseSafetensors(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || len(got) != 2 || !slices.Equal(got[0].Ints, ints) || !slices.Equal(got[1].Data, floats) {
		t.Fatalf("%d tensors come back, %v", len(got), err)
	}
	for room := 0; room < b.Len(); room += 10_007 {
		if err := WriteSafetensors(&full{room: room}, list, nil); err == nil {
			t.Errorf("a disk full after %d of %d bytes: no error", room, b.Len())
		}
	}
	count := &calls{}
	if err := WriteSafetensors(count, list, nil); err != nil || count.n > 10 {
		t.Errorf("320 kB take %d writes, %v", count.n, err)
	}
}

// full is a disk with room for some bytes.
type full struct{ room int }

func (f *full) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room < 0 {
		return 0, fmt.Errorf("no space left")
	}
	return len(p), nil
}

// calls counts writes.
type calls struct{ n int }

func (c *calls) Write(p []byte) (int, error) { c.n++; return len(p), nil }

// The header's length is judged against the file's own, to the byte.
func TestHeaderAsLongAsTheFile(t *testing.T) {
	file := append(binary.LittleEndian.AppendUint64(nil, 2), "{}"...)
	if got, _, err := parseSafetensors(bytes.NewReader(file), int64(len(file))); err != nil || len(got) != 0 {
		t.Errorf("an empty file gives %v, %v", got, err)
	}
	for _, n := range []uint64{3, 11, 1 << 40, math.MaxUint64} {
		binary.LittleEndian.PutUint64(file, n)
		if _, _, err := parseSafetensors(bytes.NewReader(file), int64(len(file))); err == nil ||
			!strings.Contains(err.Error(), "cut short") {
			t.Errorf("a header of %d bytes in a file of %d: %v", n, len(file), err)
		}
	}
}

func rawHeader(name, content string) *zip.FileHeader {
	return &zip.FileHeader{Name: name, Method: zip.Store, CRC32: crc32.ChecksumIEEE([]byte(content)),
		CompressedSize64: uint64(len(content)), UncompressedSize64: uint64(len(content))}
}

// Programs that take from an empty stack, or give the wrong kind of value, end with the cause.
func TestWhatAProgramMayNotDo(t *testing.T) {
	for _, tt := range []struct{ program, want string }{
		{"U\x01", "ends early"}, {"q", "ends early"}, {"h", "ends early"}, {"Q.", "stack is empty"}, {"b.", "stack is empty"},
		{"Nb.", "stack is empty"}, {"NNb.", "attributes for a <nil>"},
		{"K\x01}b.", "attributes for a int64"}, {"NK\x01a.", "append to a <nil>"}, {"}K\x01a.", "append to a"},
		{"a.", "stack is empty"},
		{"N(K\x01e.", "append to a"}, {"N(K\x01K\x02u.", "2 keys and values for a <nil>"}, {"}(K\x01u.", "1 key and value"},
		{"e.", "no mark"}, {"u.", "no mark"}, {"q\x01.", "stack is empty"}, {"\x94.", "stack is empty"},
	} {
		m := &machine{data: []byte(tt.program), knows: func(global) bool { return true },
			persistent: func(any) (any, error) { return "resolved", nil }}
		if got, err := m.load(); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%q gives %v, error %v; want one with %q", tt.program, got, err, tt.want)
		}
	}
	m := &machine{data: []byte("]K\x01a(K\x02K\x03e.")}
	if got, err := m.load(); err != nil || !slices.Equal(got.(*list).items, []any{int64(1), int64(2), int64(3)}) {
		t.Errorf("a list of three is %v, %v", got, err)
	}
}

// One key of two storages: their elements would be read by the wrong type or from the wrong place.
func TestOneStorageOfTwoTypes(t *testing.T) {
	id := func(kind string, n int64) any {
		return tuple{"storage", global("torch." + kind), "a", "cpu", n}
	}
	for _, tt := range []struct {
		second any
		sound  bool
	}{{id("FloatStorage", 4), true}, {id("FloatStorage", 5), false}, {id("IntStorage", 4), false}, {id("IntStorage", 5),
		false}} {
		seen := map[string]storage{}
		if _, err := remember(seen, id("FloatStorage", 4)); err != nil {
			t.Fatal(err)
		}
		if _, err := remember(seen, tt.second); (err == nil) != tt.sound {
			t.Errorf("then %v: error %v", tt.second, err)
		}
	}
}
