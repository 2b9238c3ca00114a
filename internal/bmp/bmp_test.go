package bmp

import (
	"encoding/binary"
	"image"
	"testing"
)

// runs is a picture of 4 × 2 in RLE8: a run, pixels as they are, a jump.
func runs(t testing.TB) []byte {
	t.Helper()
	b := make([]byte, 54)
	copy(b, "BM")
	le := binary.LittleEndian
	le.PutUint32(b[14:], 40)
	le.PutUint32(b[18:], 4)
	le.PutUint32(b[22:], 2)
	le.PutUint16(b[26:], 1)
	le.PutUint16(b[28:], 8)
	le.PutUint32(b[30:], rle8)
	le.PutUint32(b[46:], 4)
	for i := range 4 {
		b = append(b, byte(i), byte(10*i), byte(20*i), 0)
	}
	le.PutUint32(b[10:], uint32(len(b)))
	return append(b, 2, 1, 0, 3, 2, 3, 1, 0, 0, 0, 0, 2, 1, 0, 1, 2, 0, 1)
}

func TestRuns(t *testing.T) {
	m, err := Decode(runs(t))
	if err != nil {
		t.Fatal(err)
	}
	p := m.(*image.Paletted)
	if got, want := string(p.Pix), "\x00\x02\x00\x00\x01\x01\x02\x03"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(runs(f))
	f.Fuzz(func(t *testing.T, data []byte) {
		w, h, err := Config(data)
		if err != nil || w <= 0 || h <= 0 || w > 1<<16/h {
			return
		}
		if m, err := Decode(data); err == nil && (m.Bounds().Dx() != w || m.Bounds().Dy() != h) {
			t.Fatalf("%v, declared %d × %d", m.Bounds(), w, h)
		}
	})
}
