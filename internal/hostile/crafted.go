//go:build unix

package hostile

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
	"hash/crc32"
)

const pngMagic = "\x89PNG\r\n\x1a\n"

// crafted are files made for a purpose.
func crafted(seeds []File) []File {
	out := []File{
		{"empty.jpg", nil},
		{"one-byte.jpg", []byte{0xff}},
		{"text.jpg", []byte("this is no photograph\n")},
		{"zeros.png", make([]byte, 1<<16)},
		{"page.jpg", []byte("<html><script>alert(1)</script></html>")},
		{"zip.jpg", []byte("PK\x03\x04\x14\x00\x00\x00\x08\x00")},
		{"pickle.png", []byte("\x80\x02cos\nsystem\nX\x02\x00\x00\x00idq\x00\x85R.")},
		{"svg.png", []byte(`<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>`)},
	}
	out = append(out, pngs()...)
	out = append(out, tiffs()...)
	out = append(out, others()...)
	for _, s := range seeds { // huge sizes in a sound file's own header
		for i, size := range [][2]uint32{{0, 0}, {1, 1 << 31}, {65535, 65535}, {7000, 7000}} {
			if data := resized(s.Data, size[0], size[1]); data != nil {
				out = append(out, File{fmt.Sprintf("size%d-%s", i, s.Name), data})
			}
		}
	}
	return out
}

// resized declares another size in the header of a picture; nil for kinds it does not know.
func resized(data []byte, w, h uint32) []byte {
	d := bytes.Clone(data)
	switch {
	case bytes.HasPrefix(d, []byte(pngMagic)) && len(d) > 33:
		binary.BigEndian.PutUint32(d[16:], w)
		binary.BigEndian.PutUint32(d[20:], h)
		return mendPNG(d)
	case bytes.HasPrefix(d, []byte("GIF8")) && len(d) > 10:
		binary.LittleEndian.PutUint16(d[6:], uint16(w))
		binary.LittleEndian.PutUint16(d[8:], uint16(h))
		if i := bytes.IndexByte(d[10:], ','); i >= 0 && 10+i+9 <= len(d) {
			binary.LittleEndian.PutUint16(d[10+i+5:], uint16(w))
			binary.LittleEndian.PutUint16(d[10+i+7:], uint16(h))
		}
		return d
	case bytes.HasPrefix(d, []byte("BM")) && len(d) > 26:
		binary.LittleEndian.PutUint32(d[18:], w)
		binary.LittleEndian.PutUint32(d[22:], h)
		return d
	case bytes.HasPrefix(d, []byte{0xff, 0xd8}):
		for i := 2; i+9 < len(d) && d[i] == 0xff; i += 2 + int(binary.BigEndian.Uint16(d[i+2:])) {
			if m := d[i+1]; m >= 0xc0 && m <= 0xc2 {
				binary.BigEndian.PutUint16(d[i+5:], uint16(h))
				binary.BigEndian.PutUint16(d[i+7:], uint16(w))
				return d
			}
		}
	case bytes.HasPrefix(d, []byte("RIFF")) && len(d) > 30 && string(d[12:16]) == "VP8 ":
		binary.LittleEndian.PutUint16(d[26:], uint16(w)&0x3fff)
		binary.LittleEndian.PutUint16(d[28:], uint16(h)&0x3fff)
		return d
	case bytes.HasPrefix(d, []byte("RIFF")) && len(d) > 30 && string(d[12:16]) == "VP8X":
		d[24], d[25], d[26] = byte(w), byte(w>>8), byte(w>>16)
		d[27], d[28], d[29] = byte(h), byte(h>>8), byte(h>>16)
		return d
	}
	return nil
}

func chunk(kind string, data []byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(append(b, kind...), data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

func ihdr(w, h uint32, depth, colour, interlace byte) []byte {
	b := binary.BigEndian.AppendUint32(nil, w)
	b = binary.BigEndian.AppendUint32(b, h)
	return chunk("IHDR", append(b, depth, colour, 0, 0, interlace))
}

// zeros is a zlib stream of n zero bytes: a thousandth of that.
func zeros(n int) []byte {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	block := make([]byte, 1<<16)
	for n > 0 {
		k, _ := z.Write(block[:min(n, len(block))])
		n -= k
	}
	z.Close()
	return b.Bytes()
}

func pngs() []File {
	bomb := zeros(64 << 20)
	file := func(parts ...[]byte) []byte { return append([]byte(pngMagic), bytes.Join(parts, nil)...) }
	end, pixel := chunk("IEND", nil), chunk("IDAT", zeros(5))
	many := bytes.Repeat(chunk("tEXt", []byte("a\x00b")), 20000)
	return []File{
		{"bomb-idat.png", file(ihdr(1, 1, 8, 6, 0), chunk("IDAT", bomb), end)},
		{"bomb-ztxt.png", file(ihdr(1, 1, 8, 6, 0), chunk("zTXt", append([]byte("Raw profile type exif\x00\x00"), bomb...)),
			pixel, end)},
		{"bomb-iccp.png", file(ihdr(1, 1, 8, 6, 0), chunk("iCCP", append([]byte("icc\x00\x00"), bomb...)), pixel, end)},
		{"bomb-itxt.png", file(ihdr(1, 1, 8, 6, 0),
			chunk("iTXt", append([]byte("XML:com.adobe.xmp\x00\x01\x00\x00\x00"), bomb...)), pixel, end)},
		{"chunks.png", file(ihdr(1, 1, 8, 6, 0), many, pixel, end)},
		{"wide.png", file(ihdr(50_000_000, 1, 16, 6, 0), pixel, end)},
		{"tall.png", file(ihdr(1, 50_000_000, 16, 6, 1), pixel, end)},
		{"square.png", file(ihdr(7000, 7000, 16, 6, 1), pixel, end)},
		{"huge.png", file(ihdr(1<<31-1, 1<<31-1, 16, 6, 0), pixel, end)},
		{"two-headers.png", file(ihdr(1, 1, 8, 6, 0), ihdr(60000, 60000, 8, 6, 0), pixel, end)},
		{"long-chunk.png", append(file(ihdr(1, 1, 8, 6, 0)), 0xff, 0xff, 0xff, 0xff, 'I', 'D', 'A', 'T')},
	}
}

// tag is an entry of a TIFF's directory.
type tag struct {
	id, kind     uint16
	count, value uint32
}

// tiffFile is a little-endian TIFF of one directory, at byte 8, that is followed by next.
func tiffFile(next uint32, tail []byte, tags ...tag) []byte {
	b := []byte("II*\x00\x08\x00\x00\x00")
	b = binary.LittleEndian.AppendUint16(b, uint16(len(tags)))
	for _, t := range tags {
		b = binary.LittleEndian.AppendUint16(b, t.id)
		b = binary.LittleEndian.AppendUint16(b, t.kind)
		b = binary.LittleEndian.AppendUint32(b, t.count)
		b = binary.LittleEndian.AppendUint32(b, t.value)
	}
	return append(binary.LittleEndian.AppendUint32(b, next), tail...)
}

func tiffs() []File {
	const short, long = 3, 4
	grey := func(w, h, compression uint32, more ...tag) []tag {
		return append([]tag{{256, long, 1, w}, {257, long, 1, h}, {258, short, 1, 8}, {259, short, 1, compression},
			{262, short, 1, 1}}, more...)
	}
	bomb := zeros(64 << 20)
	at := func(tags int) uint32 { return uint32(8 + 2 + 12*tags + 4) }
	strip := []tag{{273, long, 1, at(8)}, {278, long, 1, 16}, {279, long, 1, uint32(len(bomb))}}
	tile := func(w, h uint32) []tag {
		return []tag{{322, long, 1, w}, {323, long, 1, h}, {324, long, 1, at(9)}, {325, long, 1, uint32(len(bomb))}}
	}
	return []File{
		{"loop.tif", tiffFile(8, nil, tag{330, long, 1, 8}, tag{34665, long, 1, 8}, tag{34853, long, 1, 8},
			tag{40965, long, 1, 8})},
		{"strip-bomb.tif", tiffFile(0, bomb, grey(16, 16, 8, strip...)...)},
		{"tile-bomb.tif", tiffFile(0, bomb, grey(16, 16, 8, tile(1024, 1024)...)...)},
		{"large-tile-bomb.tif", tiffFile(0, bomb, grey(16, 16, 8, tile(65536, 65536)...)...)},
		{"tile-zero.tif", tiffFile(0, bomb[:64], grey(16, 16, 8, tile(0, 0)...)...)},
		{"strips.tif", tiffFile(0, nil,
			grey(7000, 7000, 1, tag{273, long, 1 << 30, 8}, tag{278, long, 1, 1}, tag{279, long, 1 << 30, 8})...)},
		{"palette.tif", tiffFile(0, nil, append(grey(16, 16, 1, strip...), tag{320, short, 1 << 31, 8})...)},
		{"square.tif", tiffFile(0, bomb[:64],
			grey(7000, 7000, 8, tag{273, long, 1, at(8)}, tag{278, long, 1, 7000}, tag{279, long, 1, 64})...)},
		{"fax.tif", tiffFile(0, make([]byte, 1<<16),
			grey(7000, 7000, 4, tag{273, long, 1, at(8)}, tag{278, long, 1, 7000}, tag{279, long, 1, 1 << 16})...)},
		{"no-tags.tif", tiffFile(0, nil)},
		{"far.tif", []byte("II*\x00\xff\xff\xff\xff")},
	}
}

func others() []File {
	frame := []byte(",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00")
	gif := append([]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"), bytes.Repeat(frame, 50000)...)
	outside := append([]byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"),
		",\x00\x00\x00\x00\xff\xff\xff\xff\x00\x02\x02D\x01\x00;"...)
	bmp := func(w, h uint32, bits byte) []byte {
		b := append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"), make([]byte, 36)...)
		binary.LittleEndian.PutUint32(b[18:], w)
		binary.LittleEndian.PutUint32(b[22:], h)
		b[26], b[28] = 1, bits
		return b
	}
	vp8x := func(inner string) []byte { // a small canvas around a large picture
		return append([]byte("RIFF\xff\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x00\x00\x00\x00\x07\x00\x00\x07\x00\x00"),
			inner...)
	}
	var markers []byte
	for range 20000 {
		markers = append(markers, 0xff, 0xe1, 0, 8, 'E', 'x', 'i', 'f', 0, 0)
	}
	return []File{
		{"frames.gif", append(gif, ';')},
		{"frame-outside.gif", outside},
		{"huge.bmp", bmp(1<<31-1, 1<<31-1, 24)},
		{"negative.bmp", bmp(7000, 1<<32-7000, 24)},
		{"palette.bmp", bmp(16, 16, 8)},
		{"canvas-lossy.webp", vp8x("VP8 \x0a\x00\x00\x00\x10\x00\x00\x9d\x01\x2a\xff\x3f\xff\x3f")},
		{"canvas-lossless.webp", vp8x("VP8L\x06\x00\x00\x00\x2f\xff\xff\xff\x0f\x00")},
		{"riff.webp", []byte("RIFF\xff\xff\xff\xffWEBPVP8 \xff\xff\xff\xff")},
		{"markers.jpg", append(append([]byte{0xff, 0xd8}, markers...), 0xff, 0xd9)},
		{"start.jpg", bytes.Repeat([]byte{0xff, 0xd8}, 50000)},
		{"fill.jpg", append([]byte{0xff, 0xd8}, bytes.Repeat([]byte{0xff}, 1<<20)...)},
		{"tables.jpg", append([]byte{0xff, 0xd8, 0xff, 0xc4, 0xff, 0xff}, make([]byte, 1<<16)...)},
	}
}
