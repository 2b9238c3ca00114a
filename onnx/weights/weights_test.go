package weights

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/half"
)

const reference = "../../testdata/reference/"

// wanted reads testdata/reference/weights_files.json, made by weights_files.py
// with PyTorch and the safetensors package.
func wanted(t *testing.T) map[string]Tensor {
	t.Helper()
	data, err := os.ReadFile(reference + "weights_files.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Tensors map[string]struct {
			Shape  []int64
			Float  bool
			Values []json.RawMessage
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	want := map[string]Tensor{}
	for name, f := range file.Tensors {
		w := Tensor{Name: name, Shape: f.Shape}
		for _, v := range f.Values {
			text := strings.Trim(string(v), `"`)
			if f.Float {
				x, err := strconv.ParseFloat(text, 64)
				if err != nil {
					t.Fatal(err)
				}
				w.Data = append(w.Data, float32(x))
				continue
			}
			n, err := strconv.ParseInt(text, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			w.Ints = append(w.Ints, n)
		}
		want[name] = w
	}
	return want
}

func compareTensor(t *testing.T, got, want Tensor) {
	t.Helper()
	if len(got.Shape) != len(want.Shape) || got.Len() != want.Len() {
		t.Errorf("%s: shape %v with %d elements, PyTorch has %v with %d", want.Name, got.Shape, got.Len(), want.Shape,
			want.Len())
		return
	}
	for i := range want.Shape {
		if got.Shape[i] != want.Shape[i] {
			t.Errorf("%s: shape %v, PyTorch has %v", want.Name, got.Shape, want.Shape)
		}
	}
	for i, w := range want.Data {
		if math.Float32bits(got.Data[i]) != math.Float32bits(w) {
			t.Errorf("%s[%d] = %v, PyTorch has %v", want.Name, i, got.Data[i], w)
		}
	}
	for i, w := range want.Ints { // uint8 and bool are wanted as integers too
		if got.Ints != nil && got.Ints[i] != w || got.Bytes != nil && int64(got.Bytes[i]) != w {
			t.Errorf("%s[%d] = %v%v, PyTorch has %d", want.Name, i, got.Ints, got.Bytes, w)
		}
	}
}

func TestReadReference(t *testing.T) {
	for _, file := range []string{"weights_zip.pth", "weights_legacy.pth", "weights_wrapped.pth",
		"weights_files.safetensors"} {
		t.Run(file, func(t *testing.T) {
			want := wanted(t)
			got, err := Read(reference + file)
			if err != nil {
				t.Fatal(err)
			}
			if len(got) != len(want) {
				t.Errorf("%d tensors, PyTorch wrote %d", len(got), len(want))
			}
			for _, g := range got {
				compareTensor(t, g, want[g.Name])
			}
		})
	}
}

func TestOtherGlobalsAreNamed(t *testing.T) {
	_, err := Read(reference + "weights_namespace.pth")
	if err == nil || !strings.Contains(err.Error(), `"argparse.Namespace"`) {
		t.Errorf("a pickle that asks for argparse.Namespace gave: %v", err)
	}
	if failure.KindOf(err) != failure.DataKind {
		t.Errorf("kind %v, want bad data", failure.KindOf(err))
	}
}

// pickled is a legacy file whose state dict is written by body.
func pickled(body string) []byte {
	return []byte("\x80\x02\x8a\x0a" + string(legacyMagic) + ".\x80\x02M\xe9\x03.\x80\x02}.\x80\x02" + body +
		".\x80\x02].")
}

func TestHostilePickles(t *testing.T) {
	storage := "(U\x07storagectorch\nFloatStorage\nU\x01aU\x03cpuK\x04NtQ"
	rebuild := func(offset, shape, stride string) string {
		return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + offset + shape + stride + "\x89NtR"
	}
	for _, tt := range []struct{ name, body, want string }{
		{"runs a program", "cos\nsystem\nU\x02id\x85R", `"os.system"`},
		{"runs a builtin", "c__builtin__\nobject\n)R", `"__builtin__.object"`},
		{"instance opcode", "(ios\nsystem\n", "opcode 0x69"},
		{"new object opcode", "ccollections\nOrderedDict\n)\x81", "opcode 0x81"},
		{"long string", "X\xff\xff\xff\x7fab", "ends early"},
		{"very long string", "\x8d\xff\xff\xff\xff\xff\xff\xff\xffab", "ends early"},
		{"pop of nothing", "s", "stack is empty"},
		{"pop below a mark", "K\x01(\x85", "stack is empty"},
		{"no mark", "t", "no mark"},
		{"memo", "h\x07", "memo 7"},
		{"holds itself", "}q\x00U\x0astate_dicth\x00s", "no tensors"},
		{"outside the storage", "}U\x01w" + rebuild("K\x01", "K\x04\x85", "K\x01\x85") + "s", "leave the storage"},
		{"negative stride", "}U\x01w" + rebuild("K\x03", "K\x02\x85", "J\xff\xff\xff\xff\x85") + "s", "leave the storage"},
		{"negative offset", "}U\x01w" + rebuild("J\xff\xff\xff\xff", "K\x02\x85", "K\x01\x85") + "s", "do not fit"},
		{"expanded", "}U\x01w" + rebuild("K\x00", "K\x09\x85", "K\x00\x85") + "s", "do not fit"},
		{"huge shape", "}U\x01w" + rebuild("K\x00", "J\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x86", "K\x01K\x01\x86") + "s",
			"more than"},
		{"huge offset, no elements",
			"}U\x01w" + rebuild("\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f", "K\x00\x85", "K\x01\x85") + "s", "no storage"},
		{"twice", "}(U\x01w" + rebuild("K\x00", "K\x01\x85", "K\x01\x85") + "U\x01w" +
			rebuild("K\x00", "K\x01\x85", "K\x01\x85") + "u", "twice"},
		{"a number", "K\x01", "not a state dict"},
	} {
		_, err := parse(bytes.NewReader(pickled(tt.body)), int64(len(pickled(tt.body))))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one with %q", tt.name, err, tt.want)
		}
	}
}

// TestPython2Dict reads the list of pairs that Python 2 gave to OrderedDict.
func TestPython2Dict(t *testing.T) {
	body := "ccollections\nOrderedDict\n]](U\x0emodel.module.wctorch._utils\n_rebuild_tensor_v2\n((U\x07storagectorch\n" +
		"FloatStorage\nU\x01aU\x03cpuK\x02NtQ" +
		"K\x00K\x02\x85K\x01\x85\x89NtRea\x85R"
	file := []byte("\x80\x02\x8a\x0a" + string(legacyMagic) + ".\x80\x02M\xe9\x03.\x80\x02}.\x80\x02" + body +
		".\x80\x02]U\x01aa.")
	file = append(file, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0)
	got, err := parse(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0].Name != "w" || got[0].Data[0] != 1 || got[0].Data[1] != -2 {
		t.Errorf("got %+v, want w = [1 -2]", got)
	}
}

func TestCutShort(t *testing.T) {
	for _, file := range []string{"weights_zip.pth", "weights_legacy.pth", "weights_files.safetensors"} {
		whole, err := os.ReadFile(reference + file)
		if err != nil {
			t.Fatal(err)
		}
		for n := 0; n < len(whole); n += 7 {
			if _, err := parse(bytes.NewReader(whole[:n]), int64(n)); err == nil {
				t.Errorf("%s cut to %d of %d bytes was read without an error", file, n, len(whole))
			}
		}
	}
}

func TestZipDamageIsSeen(t *testing.T) {
	whole, err := os.ReadFile(reference + "weights_zip.pth")
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(whole, []byte{0, 0, 0x80, 0xbf, 0, 0, 0x60, 0xbf}) // -1, -0.875
	if at < 0 {
		t.Fatal("the storage was not found")
	}
	whole[at] ^= 1
	if _, err := parse(bytes.NewReader(whole), int64(len(whole))); err == nil ||
		!strings.Contains(err.Error(), "checksum") {
		t.Errorf("a flipped bit gave: %v", err)
	}
}

func TestReadErrorsNameThePath(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte("hello"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, dir, filepath.Join(dir, "absent.pth")} {
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("Read(%s): %v", path, err)
		}
	}
}

func TestHalf(t *testing.T) {
	for _, tt := range []struct {
		bits uint16
		want float32
	}{{0x3c00, 1}, {0xc000, -2}, {0x0001, 0x1p-24}, {0x83ff, -0x1.ff8p-15}, {0x7bff, 65504}, {0x7c00,
		float32(math.Inf(1))}} {
		if got := half.Float32(tt.bits); got != tt.want {
			t.Errorf("half.Float32(%#04x) = %v, IEEE 754 says %v", tt.bits, got, tt.want)
		}
	}
	if got := half.Float32(0x8000); got != 0 || !math.Signbit(float64(got)) {
		t.Errorf("half.Float32(-0) = %v", got)
	}
}
