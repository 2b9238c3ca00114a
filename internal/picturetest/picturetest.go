// Package picturetest has what the tests of photographs share: files, synthetic
// pictures, and the vectors that a reference made. It knows no package that it helps to test.
package picturetest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sort"
	"strings"
	"testing"

	"finetune/internal/rng"
)

// GoPhotos is the folder of photographs that every Go installation has.
func GoPhotos(t testing.TB) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("no photographs: go env GOROOT: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(root)), "src", "image", "testdata")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no photographs: %v; a Go installation with sources has them", err)
	}
	return dir
}

// Root is the folder of the module: the first with a go.mod above a test.
func Root(t testing.TB) string {
	t.Helper()
	dir, err := filepath.Abs(".")
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	t.Fatalf("no go.mod above this test: %v", err)
	return ""
}

// ReadFile reads the file that elem leads to.
func ReadFile(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// Image reads a file of testdata/images.
func Image(t testing.TB, name string) []byte {
	t.Helper()
	return ReadFile(t, Root(t), "testdata", "images", name)
}

// Noise draws RGB samples [h, w, 3]: smooth colours with sharp random squares.
func Noise(w, h int, seed uint64) []uint8 {
	s := rng.New(seed)
	pix := make([]uint8, 3*w*h)
	for y := range h {
		for x := range w {
			p := pix[3*(y*w+x):]
			p[0], p[1], p[2] = uint8(x*255/w), uint8(y*255/h), uint8(128+(x-y)/4)
			if s.Intn(7) == 0 {
				p[0], p[1], p[2] = uint8(s.Intn(256)), uint8(s.Intn(256)), uint8(s.Intn(256))
			}
		}
	}
	return pix
}

// RGBA is the opaque picture of RGB samples [h, w, 3].
func RGBA(w, h int, pix []uint8) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, w, h))
	for i := range w * h {
		copy(out.Pix[4*i:], pix[3*i:3*i+3])
		out.Pix[4*i+3] = 255
	}
	return out
}

// EncodePNG writes m as a PNG.
func EncodePNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// EncodeJPEG writes m as a JPEG of quality 90.
func EncodeJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Photographs reads up to n JPEGs of ../shared/data/hymenoptera, which is not
// part of the project, or else makes one of the usual size.
func Photographs(t testing.TB, n int) [][]byte {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join(Root(t), "..", "shared", "data", "hymenoptera", "val", "*", "*.jpg"))
	var files [][]byte
	for _, path := range paths[:min(n, len(paths))] {
		data := ReadFile(t, path)
		if _, err := jpeg.DecodeConfig(bytes.NewReader(data)); err == nil { // one of them is a GIF
			files = append(files, data)
		}
	}
	if len(files) == 0 {
		t.Log("no photographs in ../shared/data/hymenoptera: one synthetic picture instead")
		files = append(files, EncodeJPEG(t, RGBA(447, 298, Noise(447, 298, 1))))
	}
	return files
}

// WithEXIF adds an orientation to a JPEG or a PNG.
func WithEXIF(data []byte, o uint16) []byte {
	ifd := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	ifd = append(binary.BigEndian.AppendUint16(ifd, o), 0, 0, 0, 0, 0, 0)
	if data[0] == 0xff {
		body := append([]byte("Exif\x00\x00"), ifd...)
		app1 := append(binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2)), body...)
		return slices.Concat(data[:2], app1, data[2:])
	}
	chunk := append([]byte("eXIf"), ifd...)
	full := binary.BigEndian.AppendUint32(nil, uint32(len(ifd)))
	full = binary.BigEndian.AppendUint32(append(full, chunk...), crc32.ChecksumIEEE(chunk))
	return slices.Concat(data[:33], full, data[33:]) // after the signature and IHDR
}

// Vector is one tensor of testdata/reference/augment_vectors.safetensors.
type Vector struct {
	Shape []int
	Bytes []uint8   // as they are stored
	F32   []float32 // the values, of a tensor of float32
}

// Vectors reads all of them, by name.
func Vectors(t testing.TB) map[string]Vector {
	t.Helper()
	data := ReadFile(t, Root(t), "testdata", "reference", "augment_vectors.safetensors")
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	out := map[string]Vector{}
	for name, h := range header {
		v := Vector{Shape: h.Shape, Bytes: data[8+n:][h.Offsets[0]:h.Offsets[1]]}
		if h.DType == "F32" {
			for i := 0; i < len(v.Bytes); i += 4 {
				v.F32 = append(v.F32, math.Float32frombits(binary.LittleEndian.Uint32(v.Bytes[i:])))
			}
		}
		out[name] = v
	}
	return out
}

// Each runs f for the vectors whose name starts with prefix.
func Each(t *testing.T, prefix string, f func(t *testing.T, name string, v Vector)) {
	t.Helper()
	all := Vectors(t)
	var names []string
	for name := range all {
		if strings.HasPrefix(name, prefix) {
			names = append(names, name)
		}
	}
	if sort.Strings(names); len(names) == 0 {
		t.Fatalf("no vectors named %s*; run testdata/reference/augment_vectors.py", prefix)
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) { f(t, strings.TrimPrefix(name, prefix), all[name]) })
	}
}
