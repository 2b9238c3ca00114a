package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"finetune/internal/picturetest"
)

// manyScans is a grey progressive JPEG of few bytes that passes over all its
// blocks again and again.
func manyScans(side uint16, scans int) []byte {
	segment := func(marker byte, body ...byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2)), body...)
	}
	j := append([]byte{0xff, 0xd8}, segment(0xdb, append([]byte{0}, bytes.Repeat([]byte{1}, 64)...)...)...)
	j = append(j, segment(0xc2, 8, uint8(side>>8), uint8(side), uint8(side>>8), uint8(side), 1, 1, 0x11, 0)...)
	one := append([]byte{1}, make([]byte, 15)...) // one code, of one bit
	j = append(j, segment(0xc4, append(append([]byte{0}, one...), 0)...)...)
	j = append(j, segment(0xc4, append(append([]byte{0x10}, one...), 0xe0)...)...)
	blocks := (int(side) + 7) / 8 * ((int(side) + 7) / 8)
	j = append(append(j, segment(0xda, 1, 1, 0, 0, 0, 0)...), make([]byte, (blocks+7)/8)...)
	var bits []byte // end-of-band runs of 32,767 blocks
	acc, n := 0, 0
	for range (blocks + 32766) / 32767 {
		acc, n = acc<<15|0x3fff, n+15
		for ; n >= 8; n -= 8 {
			if b := byte(acc >> (n - 8)); b == 0xff {
				bits = append(bits, 0xff, 0)
			} else {
				bits = append(bits, b)
			}
		}
	}
	bits = append(bits, byte(acc<<(8-n))|byte(1<<(8-n)-1))
	if bits[len(bits)-1] == 0xff {
		bits = append(bits, 0)
	}
	for range scans {
		j = append(append(j, segment(0xda, 1, 1, 0, 1, 63, 0)...), bits...)
	}
	return append(j, 0xff, 0xd9)
}

// A JPEG may not pass over its pixels thousands of times, in any decoder.
func TestScansAreBounded(t *testing.T) {
	for _, pure := range []bool{false, true} {
		if _, err := Decode(manyScans(256, 30), Limits{pure: pure}); err != nil {
			t.Errorf("30 scans: %v", err)
		}
		start := time.Now()
		_, err := Decode(manyScans(7000, 2000), Limits{pure: pure})
		wantStatus(t, "2,000 scans", err, TooLarge, "2001 scans", "--max-pixels")
		if d := time.Since(start); d > 2*time.Second {
			t.Errorf("refused after %v", d)
		}
	}
}

// Every format has the limit, to the pixel, and says so in the same words.
func TestPixelsAreBounded(t *testing.T) {
	for _, name := range []string{"420.jpg", "rgb.png", "part.gif", "rgb.bmp", "lzw.tif", "lossy.webp", "small.heic",
		"small.avif"} {
		data := picturetest.Image(t, name)
		im := mustDecode(t, data)
		w, h := im.Width, im.Height
		pixels := int64(w * h)
		if _, err := Decode(data, Limits{MaxPixels: pixels}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for _, limit := range []int64{pixels - 1, 1} {
			_, err := Decode(data, Limits{MaxPixels: limit})
			wantStatus(t, name, err, TooLarge, fmt.Sprintf("declares %d × %d pixels, more than the limit of %d", w, h, limit),
				"--max-pixels")
		}
	}
}

// A strip or tile of a TIFF that is JPEG has the limits of a JPEG: 200 million pixels, 20 times that in all scans.
func TestStripsAreBounded(t *testing.T) {
	done, cancel := context.WithCancel(t.Context())
	cancel()                           // what is within the limits ends before it costs anything
	wide := func(w, h uint16) []byte { // lossless, which is not decoded
		return []byte{0xff, 0xd8, 0xff, 0xc3, 0, 11, 8, uint8(h >> 8), uint8(h), uint8(w >> 8), uint8(w), 1, 1, 0x11, 0}
	}
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"200 million pixels": {wide(20000, 10000), "lossless"}, "more": {wide(20000, 10001), "too many pixels"},
		"4,000 scans of a million": {manyScans(1000, 3999), "canceled"},
		"4,001":                    {manyScans(1000, 4000), "too many pixels or scans"},
	} {
		if _, _, _, _, err := tiffJPEG(done, c.data, false); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A decode that nobody waits for ends, and is no fault of the file's.
func TestDecodeEndsWithItsContext(t *testing.T) {
	data := manyScans(4000, 200)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := Decode(data, Limits{Context: ctx, pure: true})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("ended after %v", d)
	}
}
