package weights

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"
)

// want: what Python's pickle.loads gives.
func TestOpcodes(t *testing.T) {
	eight := func(n uint64) string { return string(binary.LittleEndian.AppendUint64(nil, n)) }
	quarter := string(binary.BigEndian.AppendUint64(nil, math.Float64bits(.25)))
	for program, want := range map[string]any{
		"N.": nil, "\x88.": true, "\x89.": false, "K\xff.": int64(255), "M\x00\x02.": int64(512),
		"J\xfe\xff\xff\xff.": int64(-2), "J\x00\x00\x01\x00.": int64(65536),
		"G" + quarter + ".": .25, "\x95" + eight(1) + "N.": nil,
		"U\x02ab.": "ab", "C\x02ab.": "ab", "\x8c\x02ab.": "ab", "T\x02\x00\x00\x00ab.": "ab", "B\x02\x00\x00\x00ab.": "ab",
		"X\x02\x00\x00\x00ab.":    "ab",
		"\x8d" + eight(2) + "ab.": "ab", "\x8e" + eight(2) + "ab.": "ab",
		").": tuple(nil), "K\x01\x85.": tuple{int64(1)}, "K\x01K\x02\x86.": tuple{int64(1), int64(2)},
		"K\x01K\x02K\x03\x87.": tuple{int64(1), int64(2), int64(3)},
		"N(K\x01(K\x02t\x85t.": tuple{int64(1), tuple{tuple{int64(2)}}}, "(t.": tuple(nil),
		"}K\x01K\x02s(K\x03K\x04K\x05K\x06u.": &dict{[]any{int64(1), int64(3), int64(5)},
			[]any{int64(2), int64(4), int64(6)}},
		"K\x07q\x05K\x08r\x06\x00\x00\x00h\x05.":    int64(7),
		"K\x07q\x05K\x08r\x06\x01\x00\x00h\x05.":    int64(7),
		"K\x08r\x06\x01\x00\x00Nj\x06\x01\x00\x00.": int64(8),
		"K\x01\x94K\x02\x94h\x00.":                  int64(1), "K\x01\x94K\x02\x94h\x01.": int64(2),
	} {
		m := &machine{data: []byte(program)}
		if got, err := m.load(); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q is %#v, %v; Python reads %#v", program, got, err, want)
		}
	}
	m := &machine{data: []byte("N\x69")}
	if got, err := m.load(); err == nil || !strings.Contains(err.Error(), "opcode 0x69 at byte 1 ") {
		t.Errorf("an opcode that is not known gives %v, error %v", got, err)
	}
}

// Tensors of too many elements are refused before any of them is read.
func TestElementsOfAllTensors(t *testing.T) {
	half := []int64{2, maxElements / 4}
	for _, tt := range []struct {
		shapes [][]int64
		sound  bool
	}{{nil, true}, {[][]int64{half, half}, true}, {[][]int64{half, {1}, half}, false}, {[][]int64{{maxElements}, {0}},
		true}, {[][]int64{{maxElements}, {}}, false}} {
		var d dict
		var entries []string
		for i, s := range tt.shapes {
			d.keys, d.values = append(d.keys, fmt.Sprint(i)), append(d.values, view{shape: s})
			entries = append(entries,
				fmt.Sprintf(`"%d":{"dtype":"U8","shape":%s,"data_offsets":[0,1]}`, i, strings.ReplaceAll(fmt.Sprint(s), " ", ",")))
		}
		d.keys, d.values = append(d.keys, "one"), append(d.values, view{shape: []int64{0}})
		_, pickled := findState(&d, 0)
		f := file("{"+strings.Join(entries, ",")+"}", 1)
		_, _, tensors := parseSafetensors(bytes.NewReader(f), int64(len(f))) // its data does not hold them
		for what, err := range map[string]error{"a state dict": pickled, "a safetensors file": tensors} {
			if many := err != nil && strings.Contains(err.Error(), "more than 268435456 elements"); many == tt.sound {
				t.Errorf("%s of %v: %v", what, tt.shapes, err)
			}
		}
	}
}

func TestNumberOfTensors(t *testing.T) {
	for _, n := range []int{maxTensors, maxTensors + 1} {
		var d dict
		var b strings.Builder
		for i := range n {
			d.keys, d.values = append(d.keys, fmt.Sprint(i)), append(d.values, view{shape: []int64{0}})
			fmt.Fprintf(&b, `,"%d":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`, i)
		}
		_, pickled := findState(&d, 0)
		f := file("{"+b.String()[1:]+"}", 0)
		_, _, tensors := parseSafetensors(bytes.NewReader(f), int64(len(f)))
		for what, err := range map[string]error{"a state dict": pickled, "a safetensors file": tensors} {
			if (err == nil) != (n == maxTensors) {
				t.Errorf("%s of %d tensors: %v", what, n, err)
			}
		}
	}
}

// The largest header is written and read back; a larger one is not written.
func TestLargestHeaderIsReadBack(t *testing.T) {
	frame := len(`{"":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`)
	for _, more := range []int{0, 1} {
		one := []Tensor{{Name: strings.Repeat("x", maxHeader-frame+more), Shape: []int64{1}, Bytes: []uint8{5}}}
		var b bytes.Buffer
		err := WriteSafetensors(&b, one, nil)
		if (err == nil) != (more == 0) {
			t.Errorf("%d more than the largest header: %v", more, err)
		}
		if more > 0 {
			continue
		}
		if got, _, err := parseSafetensors(bytes.NewReader(b.Bytes()), int64(b.Len())); err != nil ||
			got[0].Name != one[0].Name || got[0].Bytes[0] != 5 {
			t.Errorf("the largest header is read back with %v", err)
		}
	}
}

// A pickle may be as long as the largest header, and no longer.
func TestLongestPickle(t *testing.T) {
	whole := len(legacy("", "")) - 16
	for _, more := range []int{0, 1} {
		note := strings.Repeat("x", maxHeader-whole-len("U\x04noteX\x00\x00\x00\x00s")+more)
		long := "}U\x04noteX" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(note)))) + note + "sU\x01w"
		f := legacy("}U\x01w", long)
		if got, err := parse(bytes.NewReader(f), int64(len(f))); (err == nil && len(got) == 1) != (more == 0) {
			t.Errorf("%d bytes of pickle: %d tensors, %v", maxHeader+more, len(got), err)
		}
	}
}

// archive makes a zip file of raw members.
func archive(t *testing.T, members ...member) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		h := rawHeader(m.name, m.content)
		if m.change != nil {
			m.change(h)
		}
		f, err := w.CreateRaw(h)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte(m.content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

type member struct {
	name, content string
	change        func(*zip.FileHeader)
}

// statePickle is the state dict of one tensor w of n elements of a storage class.
func statePickle(class string, n uint32) string {
	size := "J" + string(binary.LittleEndian.AppendUint32(nil, n))
	return "\x80\x02}U\x01wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\n" + class + "\nU\x010U\x03cpu" + size +
		"tQK\x00" + size + "\x85K\x01\x85\x89NtRs."
}

func TestArchives(t *testing.T) {
	state, two := member{"a/data.pkl", statePickle("FloatStorage", 2), nil}, "\x00\x00\x80\x3f\x00\x00\x00\xc0"
	changed := func(name, content string, change func(*zip.FileHeader)) member { return member{name, content, change} }
	whole := uint64(len(archive(t, state, changed("a/data/0", two, nil))))
	for name, tt := range map[string]struct {
		members []member
		want    string
	}{
		"sound":                {[]member{state, {"a/data/0", two, nil}}, ""},
		"a folder within":      {[]member{{"b/c/data.pkl", state.content, nil}, {"b/c/data/0", two, nil}}, ""},
		"no folder":            {[]member{{"data.pkl", state.content, nil}, {"data/0", two, nil}}, ""},
		"an order of 16 bytes": {[]member{state, {"a/data/0", two, nil}, {"a/byteorder", "little          ", nil}}, ""},
		"an order of 17 bytes": {[]member{state, {"a/data/0", two, nil}, {"a/byteorder", "little           ", nil}},
			"a/byteorder says it has 17 bytes"},
		"TorchScript":         {[]member{state, {"a/constants.pkl", "", nil}}, "TorchScript"},
		"no state":            {[]member{{"a/data/0", two, nil}}, "without data.pkl"},
		"no storage":          {[]member{state, {"a/data/1", two, nil}}, `no storage "0"`},
		"a storage elsewhere": {[]member{state, {"b/data/0", two, nil}}, `no storage "0"`},
		"a short storage": {[]member{state, {"a/data/0", two[:7], nil}},
			`storage "0" has 7 bytes, 2 elements of F32 need 8`},
		"a long storage": {[]member{state, {"a/data/0", two + "x", nil}},
			`storage "0" has 9 bytes, 2 elements of F32 need 8`},
		"a pickle that ends early": {[]member{{"a/data.pkl", state.content[:20], nil}, {"a/data/0", two, nil}}, "ends early"},
		"compressed": {[]member{state,
			changed("a/data/0", two, func(h *zip.FileHeader) { h.Method = zip.Deflate })}, "a/data/0 is compressed"},
		"two sizes": {[]member{state,
			changed("a/data/0", two, func(h *zip.FileHeader) { h.UncompressedSize64 = 9 })}, "a/data/0 is compressed"},
		"larger than the file": {[]member{state,
			changed("a/data/0", two, func(h *zip.FileHeader) { h.UncompressedSize64, h.CompressedSize64 = 1<<20, 1<<20 })},
			"more than can be"},
		"as large as the file": {[]member{state,
			changed("a/data/0", two, func(h *zip.FileHeader) { h.UncompressedSize64, h.CompressedSize64 = whole, whole })},
			"more than can be"},
		"a byte less": {[]member{state,
			changed("a/data/0", two, func(h *zip.FileHeader) { h.UncompressedSize64, h.CompressedSize64 = whole-1, whole-1 })},
			"cut short or damaged"},
		"another checksum": {[]member{state, changed("a/data/0", two, func(h *zip.FileHeader) { h.CRC32 ^= 1 })},
			"a/data/0: zip: checksum"},
	} {
		f := archive(t, tt.members...)
		got, err := parse(bytes.NewReader(f), int64(len(f)))
		if tt.want == "" && (err != nil || !slices.Equal(got[0].Data, []float32{1, -2})) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
		if tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, error %v; want one with %q", name, got, err, tt.want)
		}
	}
	f := archive(t, state, member{"a/data/0", two, nil})
	f[bytes.LastIndex(f[:bytes.LastIndex(f, []byte("a/data/0"))], []byte("PK\x03\x04"))] = 'x' // the member's own header
	if got, err := parse(bytes.NewReader(f), int64(len(f))); err == nil || !strings.Contains(err.Error(), "a/data/0: ") {
		t.Errorf("a member without a header gives %v, error %v", got, err)
	}
	large := strings.Repeat("x", 33<<20)
	f = archive(t, member{"a/data.pkl", statePickle("ByteStorage", uint32(len(large))), nil},
		member{"a/data/0", large, nil})
	if got, err := parse(bytes.NewReader(f), int64(len(f))); err != nil || string(got[0].Bytes) != large {
		t.Errorf("a storage of 33 MB: %v", err)
	}
}

// The kind of thing that a file holds instead of a state dict is told.
func TestWhatIsNoStateDict(t *testing.T) {
	inner := &dict{keys: []any{"w"}, values: []any{view{}}}
	for _, tt := range []struct {
		value any
		want  string
	}{
		{nil, "holds a None,"}, {view{}, "holds a single tensor,"}, {&list{}, "holds a list,"}, {tuple{}, "holds a list,"},
		{int64(3), "holds a plain value,"},
		{&dict{keys: []any{"epoch"}, values: []any{int64(3)}}, "no tensors at the top or under any of state_dict,"},
		{&dict{keys: []any{"optimizer"}, values: []any{inner}}, "no tensors at the top"},
	} {
		if _, err := findState(tt.value, 0); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%T: error %v, want %q", tt.value, err, tt.want)
		}
	}
	for _, key := range wrappers {
		if got, err := findState(&dict{keys: []any{"epoch", key}, values: []any{int64(1), inner}}, 0); err != nil ||
			got[0].name != "w" {
			t.Errorf("under %q: %v, %v", key, got, err)
		}
	}
}

// A prefix of wrappers goes where every name has it; what a network calls its own parts stays.
func TestPrefixes(t *testing.T) {
	for names, want := range map[string]string{
		"module.a module.b": "a b", "model.a model.b.c": "a b.c", "model.module.a model.module.b": "a b",
		"module.a b": "module.a b", "a module.b": "a module.b",
		"conv.a conv.b": "conv.a conv.b", "w": "w", "": "", "modules.a": "modules.a",
		"model.a model.b model":     "model.a model.b model",
		"model.model.model.model.a": "a", "module.model.a module.b": "model.a b",
	} {
		var list []Tensor
		for _, n := range strings.Fields(names) {
			list = append(list, Tensor{Name: n})
		}
		var got []string
		for _, x := range stripPrefix(list) {
			got = append(got, x.Name)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q becomes %q, want %q", names, got, want)
		}
	}
}

// flaky is a disk whose k-th write fails, and the others do not.
type flaky struct{ k int }

func (f *flaky) Write(p []byte) (int, error) {
	if f.k--; f.k == 0 {
		return 0, errDisk
	}
	return len(p), nil
}

// Whichever write fails, once, is reported: a hole in a checkpoint is never taken for one.
func TestWritesThatFailOnce(t *testing.T) {
	list := []Tensor{{Name: "f", Shape: []int64{40_000}, Data: make([]float32, 40_000)},
		{Name: "i", Shape: []int64{20_000}, Ints: make([]int64, 20_000)},
		{Name: "b", Shape: []int64{3}, Bytes: make([]uint8, 3)}}
	count := &calls{}
	if err := WriteSafetensors(count, list, nil); err != nil {
		t.Fatal(err)
	}
	for k := 1; k <= count.n; k++ {
		if err := WriteSafetensors(&flaky{k}, list, nil); !errors.Is(err, errDisk) {
			t.Errorf("write %d of %d fails: %v", k, count.n, err)
		}
	}
}

// Data lie by falling size of their elements, then by name, so that each is aligned.
func TestOrderOfData(t *testing.T) {
	var b bytes.Buffer
	list := []Tensor{{Name: "a", Shape: []int64{1}, Bytes: []uint8{1}}, {Name: "c", Shape: []int64{1}, Data: []float32{1}},
		{Name: "b", Shape: []int64{1}, Data: []float32{1}},
		{Name: "z", Shape: []int64{1}, Ints: []int64{1}}}
	if err := WriteSafetensors(&b, list, map[string]string{"k": "v"}); err != nil {
		t.Fatal(err)
	}
	got, m, err := parseSafetensors(bytes.NewReader(b.Bytes()), int64(b.Len()))
	if err != nil || m["k"] != "v" || got[0].Name+got[1].Name+got[2].Name+got[3].Name != "zbca" {
		t.Errorf("%v, %v, %v", got, m, err)
	}
}

// Files of a few bytes are refused, whatever they begin with.
func TestTinyFiles(t *testing.T) {
	for _, start := range []string{"", "\x80", "\x80\x02", "PK\x03\x04", "\x00\x00\x00\x00\x00\x00\x00\x00",
		"\x01\x00\x00\x00\x00\x00\x00\x00{"} {
		for n := range 12 {
			data := append([]byte(start), make([]byte, 12)...)[:n]
			if got, err := parse(bytes.NewReader(data), int64(n)); err == nil {
				t.Errorf("% x gives %v", data, got)
			}
		}
	}
	for n, want := range map[int]string{7: "shorter than", 8: "not a JSON object"} {
		if _, _, err := parseSafetensors(bytes.NewReader(make([]byte, n)), int64(n)); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	for header, want := range map[string]string{"{x}": "safetensors header: invalid character", `{} ` + "\x00": "",
		`{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}`: "safetensors header"} {
		f := file(header, 0)
		if _, _, err := parseSafetensors(bytes.NewReader(f), int64(len(f))); (err == nil) != (want == "") ||
			err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("header %q: %v, want %q", header, err, want)
		}
	}
}
