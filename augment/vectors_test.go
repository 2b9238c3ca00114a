package augment

import (
	"encoding/binary"
	"encoding/json"
	"math"
	"path/filepath"
	"sort"
	"strings"
	"testing"
)

// vector is one tensor of testdata/reference/augment_vectors.safetensors.
type vector struct {
	shape []int
	bytes []uint8
	f32   []float32
}

func vectors(t testing.TB) map[string]vector {
	t.Helper()
	data := readFile(t, "..", "testdata", "reference", "augment_vectors.safetensors")
	n := binary.LittleEndian.Uint64(data)
	var header map[string]struct {
		DType   string `json:"dtype"`
		Shape   []int  `json:"shape"`
		Offsets [2]int `json:"data_offsets"`
	}
	if err := json.Unmarshal(data[8:8+n], &header); err != nil {
		t.Fatal(err)
	}
	out := map[string]vector{}
	for name, h := range header {
		v := vector{shape: h.Shape, bytes: data[8+n:][h.Offsets[0]:h.Offsets[1]]}
		if h.DType == "F32" {
			for i := 0; i < len(v.bytes); i += 4 {
				v.f32 = append(v.f32, math.Float32frombits(binary.LittleEndian.Uint32(v.bytes[i:])))
			}
		}
		out[name] = v
	}
	return out
}

// each runs f for the vectors whose name starts with prefix.
func each(t *testing.T, prefix string, f func(t *testing.T, name string, v vector)) {
	t.Helper()
	all := vectors(t)
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

func bytesDiffer(a, b []uint8) (worst int, mean float64) {
	for i := range a {
		d := int(a[i]) - int(b[i])
		if d < 0 {
			d = -d
		}
		worst, mean = max(worst, d), mean+float64(d)
	}
	return worst, mean / float64(len(a))
}

func worstDiff(a, b []float32) float64 {
	if len(a) != len(b) {
		return math.Inf(1)
	}
	w := 0.0
	for i := range a {
		w = max(w, math.Abs(float64(a[i])-float64(b[i])))
	}
	return w
}

// Lossless files are exact; JPEG may differ by the rounding of the inverse
// cosine transform (one unit of it moves a sample by up to 2 after the colour
// conversion); WebP by the interpolation of chroma; CMYK by Pillow's rounding.
func TestDecodeVectors(t *testing.T) {
	tolerance := map[string]int{".jpg": 3, ".webp": 3}
	each(t, "decode/", func(t *testing.T, name string, v vector) {
		im := mustDecode(t, readFile(t, "..", "testdata", "images", name))
		if im.Height != v.shape[0] || im.Width != v.shape[1] {
			t.Fatalf("%d × %d, the reference has %v", im.Height, im.Width, v.shape)
		}
		worst, mean := bytesDiffer(im.Pix, v.bytes)
		t.Logf("worst %d, mean %.3f", worst, mean)
		tol := tolerance[filepath.Ext(name)]
		if strings.HasPrefix(name, "lossless") {
			tol = 0
		}
		if worst > tol || mean > 0.5 {
			t.Errorf("worst difference %d, mean %.3f; tolerance %d and 0.5 of 255", worst, mean, tol)
		}
	})
}

func TestOrientationVectors(t *testing.T) {
	tiny := &Image{Width: 3, Height: 2}
	for i := range 18 {
		tiny.Pix = append(tiny.Pix, uint8(i))
	}
	each(t, "orient/", func(t *testing.T, name string, v vector) {
		got := tiny.oriented(int(name[0] - '0'))
		if got.Height != v.shape[0] || string(got.Pix) != string(v.bytes) {
			t.Errorf("%d × %d %v, Pillow gives %v %v", got.Height, got.Width, got.Pix, v.shape, v.bytes)
		}
	})
}

func input(t testing.TB) *raster {
	v := vectors(t)["input"]
	r := new(raster)
	r.setImage(&Image{Width: v.shape[1], Height: v.shape[0], Pix: v.bytes})
	return r
}

// rounding of float32 sums whose order OpenCV's vector code may change.
const areaTolerance = 1.5e-7

func TestAreaVectors(t *testing.T) {
	src := input(t)
	each(t, "area/", func(t *testing.T, name string, v vector) {
		in, out := src, new(raster)
		if name == "whole" { // both factors whole: OpenCV takes another path there
			c := &canvas{cur: raster{src.w, src.h, append([]float32(nil), src.pix...)}}
			cut(c, 0, 0, 36, 20)
			in = &c.cur
		}
		area(out, in, v.shape[1], v.shape[0])
		if d := worstDiff(out.pix, v.f32); d > areaTolerance {
			t.Errorf("worst difference from OpenCV %g, tolerance %g", d, areaTolerance)
		}
	})
}

func TestRotateVectors(t *testing.T) {
	src := input(t)
	each(t, "rotate/", func(t *testing.T, name string, v vector) {
		var angle float64
		if err := json.Unmarshal([]byte(name), &angle); err != nil {
			t.Fatal(err)
		}
		out := new(raster)
		rotate(out, src, angle)
		if d := worstDiff(out.pix, v.f32); d > 0 {
			t.Errorf("worst difference from OpenCV %g, none expected", d)
		}
	})
}

func TestPadVectors(t *testing.T) {
	c := &canvas{cur: *input(t)}
	addPadding(5)(c, nil)
	if d := worstDiff(c.cur.pix, vectors(t)["pad/5"].f32); d != 0 {
		t.Errorf("worst difference from OpenCV %g, none expected", d)
	}
}

// The whole validation view of the reference: Scale, CenterCrop, Normalize.
func TestValidVectors(t *testing.T) {
	all := vectors(t)
	in := all["input"]
	im := &Image{Width: in.shape[1], Height: in.shape[0], Pix: in.bytes}
	each(t, "valid/", func(t *testing.T, _ string, v vector) {
		p := Preprocess{Size: v.shape[1], Mean: ImageNetMean, Std: ImageNetStd, Resample: Area}
		got := make([]float32, p.Len())
		if err := p.Valid(got, im); err != nil {
			t.Fatal(err)
		}
		if d, tol := worstDiff(got, v.f32), areaTolerance/0.224; d > tol {
			t.Errorf("worst difference from OpenCV %g, tolerance %g", d, tol)
		}
	})
	p := Preprocess{Size: 16, Std: [3]float32{1, 1, 1}, Resample: Area, Crop: "no"}
	got := make([]float32, p.Len())
	if err := p.Valid(got, im); err != nil {
		t.Fatal(err)
	}
	want := all["squash/16"].f32
	for i := range want {
		if c := i % 3; math.Abs(float64(got[c*256+i/3]-want[i])) > 2*areaTolerance {
			t.Fatalf("crop no: value %d is %v, OpenCV gives %v", i, got[c*256+i/3], want[i])
		}
	}
}
