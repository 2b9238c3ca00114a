package picture

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"image"
	"image/color/palette"
	"image/draw"
	"image/gif"
	"slices"
	"testing"

	"finetune/internal/picturetest"
)

// sealed is a chunk of a PNG with its checksum.
func sealed(kind string, data []byte) []byte {
	b := append(binary.BigEndian.AppendUint32(nil, uint32(len(data))), kind...)
	b = append(b, data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// pngParts are the chunks of a PNG.
func pngParts(data []byte) (parts [][]byte) {
	for at := 8; at < len(data); {
		n := 12 + int(binary.BigEndian.Uint32(data[at:]))
		parts = append(parts, data[at:at+n])
		at += n
	}
	return parts
}

// animatedPNG makes two stills of one size an animation; at is where the second frame begins.
func animatedPNG(first, second []byte) (data []byte, at int) {
	a, b := pngParts(first), pngParts(second)
	control := func(n uint32) []byte {
		f := append(binary.BigEndian.AppendUint32(nil, n), a[0][8:16]...)
		return sealed("fcTL", append(f, make([]byte, 14)...))
	}
	data = slices.Concat(first[:8], a[0], sealed("acTL", []byte{0, 0, 0, 2, 0, 0, 0, 0}), control(0))
	for _, c := range a[1 : len(a)-1] {
		data = append(data, c...)
	}
	at, n := len(data), uint32(2)
	data = append(data, control(1)...)
	for _, c := range b {
		if string(c[4:8]) == "IDAT" {
			data = append(data, sealed("fdAT", append(binary.BigEndian.AppendUint32(nil, n), c[8:len(c)-4]...))...)
			n++
		}
	}
	return append(data, a[len(a)-1]...), at
}

// animatedGIF is two frames; at is where the second begins.
func animatedGIF(t *testing.T, first, second *Image) (data []byte, at int) {
	t.Helper()
	var frames []*image.Paletted
	for _, im := range []*Image{first, second} {
		p := image.NewPaletted(image.Rect(0, 0, im.Width, im.Height), palette.Plan9)
		draw.Draw(p, p.Rect, im.rgba(), image.Point{}, draw.Src)
		frames = append(frames, p)
	}
	encode := func(n int) []byte {
		var b bytes.Buffer
		if err := gif.EncodeAll(&b, &gif.GIF{Image: frames[:n], Delay: make([]int, n), LoopCount: -1}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	return encode(2), len(encode(1)) - 1 // without the byte that ends a file
}

// twoPages is a TIFF of two grey pictures of 8 × 8; at is where the second begins: its pixels,
// then its directory.
func twoPages() (data []byte, at int) {
	pixels := picturetest.Noise(8, 8, 3)[:64]
	page := func(begin uint32) [][4]uint32 {
		return [][4]uint32{{256, 4, 1, 8}, {257, 4, 1, 8}, {258, 3, 1, 8}, {259, 3, 1, 1}, {262, 3, 1, 1},
			{273, 4, 1, begin}, {278, 4, 1, 8}, {279, 4, 1, 64}}
	}
	data = directory(pixels, page(8)...)
	at = len(data)
	second := directory(picturetest.Noise(8, 8, 4)[:64], page(uint32(at))...)[8:]
	binary.LittleEndian.PutUint32(data[at-4:], uint32(at+64))
	return append(data, second...), at
}

// Of several frames or pages the first is the photograph. What is wrong with a
// later one changes nothing: it is not read.
func TestLaterFramesAreNotRead(t *testing.T) {
	still := picturetest.Image(t, "lossy.webp")
	size := mustDecode(t, still)
	noise := [2]*Image{noise(24, 20, 1), noise(24, 20, 2)}
	var pngs, jpegs [2][]byte
	for i, im := range noise {
		pngs[i], jpegs[i] = picturetest.EncodePNG(t, im.rgba()), encodeJPEG(t, im)
	}
	webp := animated(still, image.Pt(size.Width, size.Height), image.Rect(0, 0, size.Width, size.Height))
	frame := webp[12+18+14:] // behind VP8X and ANIM
	type file struct {
		data []byte
		at   int    // where the second frame begins
		want *Image // nil: only that damage changes nothing
	}
	files := map[string]file{"WebP": {riffOf(webp[12:], frame), len(webp), size},
		"JPEG": {slices.Concat(jpegs[:]...), len(jpegs[0]), mustDecode(t, jpegs[0])}} // as in MPO
	png, at := animatedPNG(pngs[0], pngs[1])
	files["PNG"] = file{png, at, noise[0]}
	gif, at := animatedGIF(t, noise[0], noise[1])
	files["GIF"] = file{gif, at, nil}
	tiff, at := twoPages()
	files["TIFF"] = file{tiff, at, nil}
	for name, f := range files {
		want := mustDecode(t, f.data)
		if f.want != nil && !bytes.Equal(want.Pix, f.want.Pix) {
			t.Errorf("%s: not the first frame", name)
		}
		if _, err := Decode(f.data[:f.at-5], Limits{}); err == nil {
			t.Errorf("%s: a first frame that is cut is taken", name)
		}
		n := len(f.data) - f.at
		damaged := map[string][]byte{"gone": f.data[:f.at]}
		for _, share := range []int{10, 50, 90} {
			damaged[fmt.Sprintf("cut at %d %%", share)] = f.data[:f.at+n*share/100]
		}
		for _, fill := range []byte{0, 0x55, 0xff} {
			b := slices.Clone(f.data)
			for i := f.at; i < len(b); i++ {
				b[i] = fill
			}
			damaged[fmt.Sprintf("filled with %d", fill)] = b
		}
		for i := range 16 {
			b := slices.Clone(f.data)
			b[f.at+(n-1)*i/15] ^= 0x81
			damaged[fmt.Sprintf("flipped at %d", i)] = b
		}
		for how, data := range damaged {
			got, err := Decode(data, Limits{})
			if err != nil {
				t.Errorf("%s, second frame %q: %v", name, how, err)
			} else if !bytes.Equal(got.Pix, want.Pix) {
				t.Errorf("%s, second frame %q: other pixels", name, how)
			}
		}
	}
}
