package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/color"
	"testing"

	"golang.org/x/image/tiff"

	"finetune/internal/picturetest"
)

// Files that golang.org/x/image/tiff reads right give its pixels, to the byte.
func TestTIFFIsTheLibrarys(t *testing.T) {
	r := image.Rect(0, 0, 37, 23)
	nrgba, gray16, gray, pal := image.NewNRGBA(r), image.NewGray16(r), image.NewGray(r),
		image.NewPaletted(r, color.Palette{color.Black, color.White, color.RGBA{200, 30, 9, 255}})
	wide, pre := image.NewRGBA64(r), image.NewRGBA(r)
	for i := range 37 * 23 {
		x, y := i%37, i/37
		nrgba.Set(x, y, color.NRGBA{uint8(7 * x), uint8(11 * y), uint8(x * y), uint8(255 - 3*x)})
		pre.Set(x, y, color.NRGBA{uint8(7 * x), uint8(11 * y), uint8(x * y), uint8(255 - 3*x)})
		wide.Set(x, y, color.RGBA64{uint16(1771 * x), uint16(2111 * y), uint16(97 * x * y), 0xffff})
		gray16.Set(x, y, color.Gray16{uint16(1771 * x)})
		gray.Set(x, y, color.Gray{uint8(7*x + y)})
		pal.SetColorIndex(x, y, uint8((x+y)%3))
	}
	var files [][]byte
	for _, m := range []image.Image{nrgba, gray16, gray, pal, wide, pre} {
		for _, o := range []*tiff.Options{nil, {Compression: tiff.Deflate}, {Compression: tiff.Deflate, Predictor: true}} {
			var b bytes.Buffer
			if err := tiff.Encode(&b, m, o); err != nil {
				t.Fatal(err)
			}
			files = append(files, b.Bytes())
		}
	}
	for _, name := range []string{"lzw.tif", "grey16.tif"} {
		files = append(files, picturetest.Image(t, name))
	}
	for i, data := range files {
		m, err := tiff.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		want, err := flatten(t.Context(), m, m.Bounds().Dx(), m.Bounds().Dy())
		if err != nil {
			t.Fatal(err)
		}
		if got := mustDecode(t, data); !bytes.Equal(got.Pix, want.Pix) {
			worst, mean := bytesDiffer(got.Pix, want.Pix)
			t.Errorf("file %d (%T): worst %d, mean %.2f from the library's", i, m, worst, mean)
		}
	}
}

// directory writes a little-endian TIFF of one directory.
func directory(data []byte, entries ...[4]uint32) []byte {
	b := binary.LittleEndian.AppendUint32([]byte("II*\x00"), uint32(8+len(data)))
	b = append(b, data...)
	b = binary.LittleEndian.AppendUint16(b, uint16(len(entries)))
	for _, e := range entries {
		b = binary.LittleEndian.AppendUint16(binary.LittleEndian.AppendUint16(b, uint16(e[0])), uint16(e[1]))
		b = binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(b, e[2]), e[3])
	}
	return append(b, 0, 0, 0, 0)
}

// A header alone sets aside no room, and counts that no file could hold are told.
func TestTIFFThatLies(t *testing.T) {
	size := func(w, h uint32) [][4]uint32 {
		return [][4]uint32{{256, 4, 1, w}, {257, 4, 1, h}, {258, 3, 1, 8}, {259, 3, 1, 1}, {262, 3, 1, 1}}
	}
	for name, c := range map[string]struct {
		data   []byte
		status Status
	}{
		"large and empty": {directory([]byte{1, 2, 3, 4},
			append(size(7000, 7000), [4]uint32{273, 4, 1, 8}, [4]uint32{278, 4, 1, 7000}, [4]uint32{279, 4, 1, 4})...),
			Unreadable},
		"too large": {directory([]byte{1, 2, 3, 4},
			append(size(70000, 70000), [4]uint32{273, 4, 1, 8}, [4]uint32{278, 4, 1, 70000}, [4]uint32{279, 4, 1, 4})...),
			TooLarge},
		"no strips": {directory([]byte{1, 2, 3, 4}, size(2, 2)...), Unreadable},
		"strips beyond": {directory([]byte{1, 2, 3, 4},
			append(size(2, 2), [4]uint32{273, 4, 0x3fffffff, 8}, [4]uint32{278, 4, 1, 1}, [4]uint32{279, 4, 0x3fffffff, 8})...),
			Unreadable},
		"of a camera": {directory([]byte{1, 2, 3, 4}, [4]uint32{256, 4, 1, 2}, [4]uint32{257, 4, 1, 2},
			[4]uint32{258, 3, 1, 8}, [4]uint32{262, 3, 1, 32803}, [4]uint32{273, 4, 1, 8}, [4]uint32{279, 4, 1, 4}),
			Unsupported},
	} {
		_, err := Decode(c.data, Limits{})
		wantStatus(t, name, err, c.status)
	}
}

func FuzzTIFF(f *testing.F) {
	for _, name := range []string{"lzw.tif", "grey16.tif"} {
		f.Add(picturetest.Image(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		file, err := openTIFF(data, Limits{MaxPixels: 1 << 16})
		if err != nil || file.allowed(Limits{MaxPixels: 1 << 16}) != nil || file.short || file.bytes > 1<<22 {
			return
		}
		p, err := file.decode(t.Context(), Limits{})
		if err != nil {
			return
		}
		if err := p.RGB().Check(); err != nil {
			t.Fatal(err)
		}
	})
}
