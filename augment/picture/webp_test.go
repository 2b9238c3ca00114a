package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"image"
	"slices"
	"strings"
	"testing"

	"finetune/internal/picturetest"
)

func u24(v int) []byte { return []byte{uint8(v), uint8(v >> 8), uint8(v >> 16)} }

func riffOf(chunks ...[]byte) []byte {
	body := bytes.Join(chunks, nil)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(body))),
		append([]byte("WEBP"), body...)...)
}

func chunkOf(kind string, data []byte) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(data))), data...)
	return append(b, make([]byte, len(data)%2)...)
}

// animated makes a still the first frame of an animation, on a canvas.
func animated(still []byte, size image.Point, canvas image.Rectangle, more ...[]byte) []byte {
	var parts [][]byte
	for _, kind := range []string{"ALPH", "VP8 ", "VP8L"} {
		if c := riffChunk(still, kind); c != nil {
			parts = append(parts, chunkOf(kind, c))
		}
	}
	frame := slices.Concat(u24(canvas.Min.X/2), u24(canvas.Min.Y/2), u24(size.X-1), u24(size.Y-1), u24(100), []byte{0},
		bytes.Join(parts, nil))
	head := slices.Concat([]byte{2, 0, 0, 0}, u24(canvas.Max.X-1), u24(canvas.Max.Y-1))
	return riffOf(slices.Concat([][]byte{chunkOf("VP8X", head), chunkOf("ANIM", make([]byte, 6)), chunkOf("ANMF", frame)},
		more)...)
}

// The first frame of an animation stands where it is placed, on white.
func TestFirstFrameIsPlaced(t *testing.T) {
	for _, name := range []string{"lossy.webp", "lossy_alpha.webp", "lossless_alpha.webp"} {
		still := picturetest.Image(t, name)
		want := mustDecode(t, still)
		w, h := want.Width, want.Height
		for _, c := range []image.Rectangle{image.Rect(0, 0, w, h), image.Rect(4, 6, w+10, h+9), image.Rect(4, 6, w+4, h+6),
			image.Rect(0, 2, w, h+2), image.Rect(2, 0, w+300, h)} {
			data := animated(still, image.Pt(w, h), c)
			got := mustDecode(t, data)
			if got.Width != c.Max.X || got.Height != c.Max.Y {
				t.Fatalf("%s, %v: %d × %d", name, c, got.Width, got.Height)
			}
			for i := range got.Width * got.Height {
				x, y := i%got.Width-c.Min.X, i/got.Width-c.Min.Y
				pixel := []uint8{255, 255, 255}
				if x >= 0 && x < w && y >= 0 && y < h {
					pixel = want.Pix[3*(y*w+x):][:3]
				}
				if !bytes.Equal(got.Pix[3*i:3*i+3], pixel) {
					t.Fatalf("%s, %v at %d, %d: %v, want %v", name, c, x, y, got.Pix[3*i:3*i+3], pixel)
				}
			}
		}
		beyond := []image.Rectangle{
			image.Rect(0, 0, w-1, h), image.Rect(0, 0, w, h-1), image.Rect(4, 0, w+3, h), image.Rect(0, 4, w+9, h+3),
			// as large as the canvas, and beside it
			image.Rect(2, 0, w, h), image.Rect(0, 2, w, h), {Min: image.Pt(2*w, 2*h), Max: image.Pt(w, h)},
		}
		for _, c := range beyond {
			_, err := Decode(animated(still, image.Pt(w, h), c), Limits{})
			wantStatus(t, c.String(), err, Unreadable, "reaches over the canvas")
		}
		large := animated(still, image.Pt(w, h), image.Rect(0, 0, 1000, 1000))
		if _, err := Decode(large, Limits{MaxPixels: 1000 * 1000}); err != nil {
			t.Error(err)
		}
		_, err := Decode(large, Limits{MaxPixels: 1000*1000 - 1})
		wantStatus(t, "canvas", err, TooLarge, "1000 × 1000")
		_, err = Decode(animated(still, image.Pt(w, h), image.Rect(0, 0, 1, 1)), Limits{MaxPixels: int64(w*h) - 1})
		wantStatus(t, "frame", err, TooLarge)
		six := exif(binary.LittleEndian, 0, exifEntry(binary.LittleEndian, 0x0112, 3, 1, []byte{6, 0, 0, 0}))
		turned := mustDecode(t, animated(still, image.Pt(w, h), image.Rect(0, 0, w, h), chunkOf("EXIF", six)))
		if !bytes.Equal(turned.Pix, want.oriented(6).Pix) || turned.Width != h {
			t.Errorf("%s: not turned", name)
		}
	}
}

// Sizes and places have three bytes each.
func TestCanvasOfThreeBytes(t *testing.T) {
	still := picturetest.Image(t, "lossy.webp")
	size := mustDecode(t, still)
	f, err := openWebP(animated(still, image.Pt(size.Width, size.Height), image.Rect(0, 0, 0x123457, 0x89abce)), Limits{})
	if err != nil || f.width != 0x123457 || f.height != 0x89abce {
		t.Errorf("%+v, %v", f, err)
	}
}

// Animations that hold no frame, or a part of one.
func TestAnimationsThatAreCut(t *testing.T) {
	head := chunkOf("VP8X", append([]byte{2, 0, 0, 0}, make([]byte, 6)...))
	for n := range 24 {
		_, err := Decode(riffOf(head, chunkOf("ANMF", make([]byte, n))), Limits{})
		words := []string{"WebP"}
		if n < 16 {
			words = append(words, "no frame in an animation")
		}
		if wantStatus(t, "cut", err, Unreadable, words...); strings.Contains(fmt.Sprint(err), "gave up") {
			t.Errorf("a frame of %d bytes: %v", n, err)
		}
	}
	for n := range 11 { // a header too short to say, or one of no animation
		_, err := Decode(riffOf(chunkOf("VP8X", bytes.Repeat([]byte{2}, n)[:n])), Limits{})
		wantStatus(t, "header", err, Unreadable)
	}
	still := picturetest.Image(t, "lossy.webp")
	want := mustDecode(t, still)
	extended := chunkOf("VP8X", slices.Concat(make([]byte, 4), u24(want.Width-1), u24(want.Height-1)))
	if got := mustDecode(t, riffOf(extended, still[12:])); !bytes.Equal(got.Pix, want.Pix) {
		t.Error("a still with a long header differs")
	}
}
