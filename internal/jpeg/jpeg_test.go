package jpeg

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"
	"testing"
)

func samples(t testing.TB) map[string][]byte {
	t.Helper()
	paths, err := filepath.Glob("../../testdata/images/*.jpg")
	if err != nil || len(paths) < 5 {
		t.Fatalf("%d pictures: %v", len(paths), err)
	}
	m := map[string][]byte{}
	for _, p := range paths {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		m[filepath.Base(p)] = data
	}
	return m
}

// Planes are those of image/jpeg, whose inverse transform rounds otherwise, on files that it reads right.
func TestPlanesAreImageJPEGs(t *testing.T) {
	for name, data := range samples(t) {
		h, err := ReadHeader(data)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		planes, err := Decode(t.Context(), data, h)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		m, err := jpeg.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		var want [][]uint8
		var strides []int
		switch m := m.(type) {
		case *image.YCbCr:
			want, strides = [][]uint8{m.Y, m.Cb, m.Cr}, []int{m.YStride, m.CStride, m.CStride}
		case *image.Gray:
			want, strides = [][]uint8{m.Pix}, []int{m.Stride}
		default:
			continue
		}
		for i, pix := range want {
			p := planes[i]
			for y := range p.Height {
				for x := range p.Width {
					if d := int(p.Pix[y*p.Stride+x]) - int(pix[y*strides[i]+x]); d < -2 || d > 2 {
						t.Fatalf("%s, component %d at %d, %d: %d from image/jpeg's", name, i, x, y, d)
					}
				}
			}
		}
	}
}

func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, data := range samples(t) {
		h, err := ReadHeader(data)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode(ctx, data, h); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file cut anywhere in its scans ends early, or is told to be damaged.
func TestCutFiles(t *testing.T) {
	for name, data := range samples(t) {
		h, err := ReadHeader(data)
		if err != nil {
			t.Fatal(err)
		}
		for n := h.FirstScan; n < len(data)-2; n += 7 {
			_, err := Decode(t.Context(), data[:n], h)
			if err == nil || n < len(data)-16 && !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s cut to %d of %d bytes: %v", name, n, len(data), err)
			}
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, data := range samples(f) {
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		h, err := ReadHeader(data)
		if err != nil || h.Width*h.Height > 1<<16 || h.Scans > 64 {
			return
		}
		planes, err := Decode(t.Context(), data, h)
		if err != nil {
			return
		}
		for _, p := range planes {
			if len(p.Pix) < p.Stride*(p.Height-1)+p.Width {
				t.Fatalf("a plane of %d × %d in %d bytes", p.Width, p.Height, len(p.Pix))
			}
		}
	})
}

// Segments ends before the picture, and where a file is cut short.
func TestSegments(t *testing.T) {
	data := []byte("\xff\xd8\xff\xe1\x00\x04ab\xff\xff\xdb\x00\x03c\xff\xda\x00\x02\xff\xdb\x00\x02")
	for n := range len(data) + 1 {
		var got string
		for marker, body := range Segments(data[:n]) {
			got += fmt.Sprintf("%x %s|", marker, body)
		}
		want := ""
		if n >= 8 {
			want = "e1 ab|"
		}
		if n >= 14 {
			want += "db c|"
		}
		if got != want {
			t.Errorf("%d bytes: %q, want %q", n, got, want)
		}
	}
}
