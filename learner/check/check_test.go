package check

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"

	"finetune/audit"
	"finetune/augment/picture"
	"finetune/learner/features"
	"finetune/onnx"
)

func picture60(t *testing.T) *image.NRGBA {
	t.Helper()
	im := image.NewNRGBA(image.Rect(0, 0, 60, 40))
	for i := range 60 * 40 {
		im.Set(i%60, i/60, color.NRGBA{uint8(4 * (i % 60)), uint8(6 * (i / 60)), 90, 255})
	}
	return im
}

// TestFileFacts: Go's encoder at quality 50 writes the tables of the JPEG standard, annex K,
// whose luminance has a mean of 57.625 (3688/64).
func TestFileFacts(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, data []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, data, 0o666); err != nil {
			t.Fatal(err)
		}
		return path
	}
	encode := func(quality int) []byte {
		var b bytes.Buffer
		if err := jpeg.Encode(&b, picture60(t), &jpeg.Options{Quality: quality}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	f, small := lookAt(write("a.jpg", encode(50)), picture.Limits{})
	if f.Width != 60 || f.Height != 40 || f.Format != "jpeg" || f.EXIF || math.Abs(f.Quantum-57.625) > 1e-9 ||
		len(small) != audit.PictureSide*audit.PictureSide || !f.Pixels.Known || f.Pixels.Grey {
		t.Errorf("%+v", f)
	}
	again, other := fileFacts(encode(50)), fileFacts(encode(90))
	if again.Compression != f.Compression || other.Compression == f.Compression || other.Quantum >= f.Quantum {
		t.Errorf("tables %q and %q, of another quality %q (%g)", f.Compression, again.Compression, other.Compression,
			other.Quantum)
	}
	exif := append([]byte("\xff\xd8\xff\xe1\x00\x0aExif\x00\x00MM"), encode(50)[2:]...)
	if f := fileFacts(exif); !f.EXIF || f.Quantum == 0 {
		t.Errorf("with EXIF: %+v", f)
	}
	for n := range 40 { // truncated anywhere: no panic
		fileFacts(exif[:n])
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture60(t)); err != nil {
		t.Fatal(err)
	}
	if f := fileFacts(b.Bytes()); f.Format != "png" || f.Compression != "" || f.EXIF {
		t.Errorf("PNG: %+v", f)
	}
	if f, small := lookAt(write("b.jpg", []byte("no picture")), picture.Limits{}); small != nil || f.Pixels.Known {
		t.Errorf("no picture: %+v", f)
	}
}

func fast(t testing.TB) *features.Products {
	lib, err := onnx.FindLibrary("cpu")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	if _, err := onnx.Start(lib); err != nil {
		t.Fatal(err)
	}
	p, err := features.NewProducts(0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}

// TestProducts: ONNX Runtime's and gonum's agree.
func TestProducts(t *testing.T) {
	p := fast(t)
	r := rand.New(rand.NewPCG(1, 1))
	random := func(rows, cols int) blas64.General {
		m := blas64.General{Rows: rows, Cols: cols, Stride: cols, Data: make([]float64, rows*cols)}
		for i := range m.Data {
			m.Data[i] = r.NormFloat64()
		}
		return m
	}
	a, b, c := random(7, 130), random(130, 11), random(11, 130)
	for _, x := range []struct {
		b blas64.General
		t blas.Transpose
	}{{b, blas.NoTrans}, {c, blas.Trans}} {
		got, want := random(7, 11), random(7, 11)
		if err := p.Multiply(got, a, x.b, x.t == blas.Trans); err != nil {
			t.Fatal(err)
		}
		blas64.Gemm(blas.NoTrans, x.t, 1, a, x.b, 0, want)
		for i := range got.Data {
			if math.Abs(got.Data[i]-want.Data[i]) > 1e-12*130 {
				t.Fatalf("transposed %v, %d: %g, want %g", x.t == blas.Trans, i, got.Data[i], want.Data[i])
			}
		}
	}
}

// someRows repeats 500 rows of features, none below 0, with noise.
func someRows(n int) (rows [][]float32, labels []int) {
	r := rand.New(rand.NewPCG(2, 2))
	const d = 2560
	for i := range n {
		row := make([]float32, d)
		for j := range row {
			if i < 500 {
				row[j] = float32(max(r.NormFloat64()+float64(i%2)*.1, 0))
			} else {
				row[j] = max(rows[i%500][j]+float32(r.NormFloat64()*.3), 0)
			}
		}
		rows, labels = append(rows, row), append(labels, i%2)
	}
	return rows, labels
}
