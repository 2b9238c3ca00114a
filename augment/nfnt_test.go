package augment

import (
	"bytes"
	"fmt"
	"testing"
)

// The packed form against the library itself, byte for byte: shrinking,
// enlarging, one axis of each, odd sizes, a single column.
func TestPackedEqualsLibrary(t *testing.T) {
	for _, c := range []struct{ w, h, nw, nh int }{
		{447, 298, 336, 224}, {298, 447, 224, 336}, {100, 150, 224, 336}, {640, 480, 21, 15}, {33, 65, 33, 20},
		{5, 5, 9, 3}, {1, 40, 8, 8}, {700, 500, 699, 499}, {2000, 40, 64, 64}, {224, 224, 224, 224}, {40, 1, 3, 17},
	} {
		im := noise(c.w, c.h, 1)
		want := make([]uint8, 3*c.nw*c.nh)
		nfntLibrary(want, im, c.nw, c.nh)
		got := make([]uint8, 0, len(want))
		var r packed
		ok := r.resize(im, window{w: c.nw, h: c.nh, nx: c.nw, ny: c.nh}, func(_ int, row []uint64) {
			for _, v := range row {
				got = append(got, uint8(v), uint8(v>>lane), uint8(v>>(2*lane)))
			}
		})
		if !ok || !bytes.Equal(got, want) {
			t.Errorf("%d × %d to %d × %d: done %v, bytes equal to nfnt/resize %v", c.w, c.h, c.nw, c.nh, ok,
				bytes.Equal(got, want))
		}
	}
}

// Beyond a reduction by 32 a lane would overflow; the library itself serves.
func TestPackedRefusesWhatOverflows(t *testing.T) {
	im := noise(640, 480, 1)
	if new(packed).resize(im, window{w: 7, h: 3, nx: 7, ny: 3}, func(int, []uint64) { t.Error("a row came out") }) {
		t.Error("a reduction by 160 was taken")
	}
	p := Preprocess{Size: 5, Std: [3]float32{1, 1, 1}}
	got, want := make([]float32, p.Len()), make([]uint8, 3*6*5)
	if err := p.Valid(got, im); err != nil {
		t.Fatal(err)
	}
	nfntLibrary(want, im, 6, 5)
	if at := centred(6, 5); got[0] != unit[want[3*at]] {
		t.Errorf("first value %v, nfnt/resize gives %v", got[0], unit[want[3*at]])
	}
}

func BenchmarkResize(b *testing.B) {
	im := noise(447, 298, 1)
	dst := make([]uint8, 3*336*224)
	for _, m := range []struct {
		name string
		run  func()
	}{
		{"nfnt", func() { nfntLibrary(dst, im, 336, 224) }},
		{"packed", func() {
			var r packed
			r.resize(im, window{w: 336, h: 224, nx: 336, ny: 224}, func(int, []uint64) {})
		}},
	} {
		b.Run(fmt.Sprintf("impl=%s", m.name), func(b *testing.B) {
			for b.Loop() {
				m.run()
			}
		})
	}
}
