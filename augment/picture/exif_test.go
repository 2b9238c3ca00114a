package picture

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"finetune/internal/picturetest"
)

// exif is a TIFF structure of one directory; entries are tag, type, count and
// the four bytes of the value.
func exif(order binary.AppendByteOrder, gap int, entries ...[]byte) []byte {
	b := []byte("II")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		b = []byte("MM")
	}
	b = order.AppendUint32(order.AppendUint16(b, 42), uint32(8+gap))
	b = append(b, make([]byte, gap)...)
	return slices.Concat(order.AppendUint16(b, uint16(len(entries))), bytes.Join(entries, nil))
}

func exifEntry(order binary.AppendByteOrder, tag, kind uint16, count uint32, value []byte) []byte {
	b := order.AppendUint16(order.AppendUint16(nil, tag), kind)
	return append(order.AppendUint32(b, count), value...)
}

// The orientation in each type of integer, in both byte orders, wherever it
// stands; what is none of 1 to 8 counts as upright.
func TestExifOrientation(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		size := map[uint16]int{1: 1, 6: 1, 7: 1, 3: 2, 8: 2, 4: 4, 9: 4}
		number := func(kind uint16, v uint32) []byte {
			switch size[kind] {
			case 1:
				return []byte{uint8(v), 9, 9, 9}
			case 2:
				return append(order.AppendUint16(nil, uint16(v)), 9, 9)
			}
			return order.AppendUint32(nil, v)
		}
		other := exifEntry(order, 0x0110, 3, 1, number(3, 5))
		for kind := range size {
			for v := range uint32(11) {
				want := 1
				if v >= 1 && v <= 8 {
					want = int(v)
				}
				entry := exifEntry(order, 0x0112, kind, 1, number(kind, v))
				for name, data := range map[string][]byte{
					"alone":  exif(order, 0, entry),
					"third":  exif(order, 6, other, other, entry),
					"twice":  exif(order, 0, entry, exifEntry(order, 0x0112, kind, 1, number(kind, 2))),
					"marked": append([]byte("Exif\x00\x00"), exif(order, 0, entry, other)...),
				} {
					if got := exifOrientation(data); got != want {
						t.Errorf("%v, %s, type %d, value %d: %d", order, name, kind, v, got)
					}
				}
			}
		}
		six := exifEntry(order, 0x0112, 3, 1, number(3, 6))
		good := exif(order, 0, six)
		if got := exifOrientation(append(bytes.Clone(good), 1, 2, 3)); got != 6 {
			t.Errorf("with more behind: %d", got)
		}
		for n := range len(good) {
			if got := exifOrientation(good[:n]); got != 1 {
				t.Errorf("cut to %d of %d bytes: %d", n, len(good), got)
			}
		}
		many := exifEntry(order, 0x0112, 3, 5, number(3, 6))
		for name, c := range map[string]struct {
			data []byte
			want int
		}{
			"of another type": {exif(order, 0, exifEntry(order, 0x0112, 2, 1, number(3, 6))), 1},
			"of no values":    {exif(order, 0, exifEntry(order, 0x0112, 3, 0, number(3, 6))), 1},
			"of many values":  {exif(order, 0, many), 6},
			"one entry of two": {append(exif(order, 0, other)[:8],
				append(order.AppendUint16(nil, 1), slices.Concat(other, six)...)...), 1},
			"no TIFF":     {append(order.AppendUint16(bytes.Clone(good[:2]), 43), good[4:]...), 1},
			"far away":    {append(order.AppendUint32(bytes.Clone(good[:4]), 0xffffffff), good[8:]...), 1},
			"at the end":  {append(order.AppendUint32(bytes.Clone(good[:4]), uint32(len(good)-2)), good[8:]...), 1},
			"large short": {exif(order, 0, exifEntry(order, 0x0112, 3, 1, number(3, 0x0106))), 1},
		} {
			if got := exifOrientation(c.data); got != c.want {
				t.Errorf("%v, %s: %d, want %d", order, name, got, c.want)
			}
		}
	}
}

// The chunk that holds it in PNG and WebP, behind others, padded or cut.
func TestOrientationChunks(t *testing.T) {
	body := exif(binary.BigEndian, 0, exifEntry(binary.BigEndian, 0x0112, 3, 1, []byte{0, 7, 0, 0}))
	png := func(kind string, data []byte) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
		return append(append(append(b, kind...), data...), "CRC!"...)
	}
	riff := func(kind string, data []byte) []byte {
		b := append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(data))), data...)
		return append(b, make([]byte, len(data)%2)...)
	}
	signature, header := []byte("\x89PNG\r\n\x1a\n"), []byte("RIFF\x00\x00\x00\x00WEBP")
	for _, c := range []struct {
		name, format string
		data         []byte
		want         int
	}{
		{"first", "png", slices.Concat(signature, png("eXIf", body)), 7},
		{"third", "png", slices.Concat(signature, png("IHDR", make([]byte, 13)), png("IDAT", nil), png("eXIf", body)), 7},
		{"another", "png", slices.Concat(signature, png("iXIf", body)), 1},
		{"without its checksum", "png", slices.Concat(signature, png("eXIf", body))[:8+8+len(body)], 7},
		{"cut", "png", slices.Concat(signature, png("eXIf", body))[:8+8+len(body)-1], 1},
		{"behind a chunk that lies", "png", slices.Concat(signature, []byte("\x00\x00\xff\xffIDAT"), png("eXIf", body)), 1},
		{"none", "png", signature, 1},
		{"first", "webp", slices.Concat(header, riff("EXIF", body)), 7},
		{"behind an odd one", "webp", slices.Concat(header, riff("VP8 ", make([]byte, 5)), riff("EXIF", body)), 7},
		{"behind an even one", "webp", slices.Concat(header, riff("VP8 ", make([]byte, 6)), riff("EXIF", body)), 7},
		{"another", "webp", slices.Concat(header, riff("EXIX", body)), 1},
		{"cut", "webp", slices.Concat(header, riff("EXIF", body))[:12+8+len(body)-1], 1},
		{"behind a chunk that lies", "webp", slices.Concat(header, []byte("VP8 \xff\xff\x00\x00"), riff("EXIF", body)), 1},
		{"none", "webp", header, 1},
		{"of a GIF", "gif", slices.Concat(signature, png("eXIf", body)), 1},
	} {
		if got := orientation(c.format, c.data); got != c.want {
			t.Errorf("%s, %s: %d, want %d", c.format, c.name, got, c.want)
		}
	}
}

// In a JPEG it may stand behind any number of other segments.
func TestExifBehindOtherSegments(t *testing.T) {
	still := picturetest.Image(t, "420.jpg")
	want := mustDecode(t, still)
	segment := func(marker byte, body []byte) []byte {
		return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(body)+2)), body...)
	}
	six := append([]byte("Exif\x00\x00"),
		exif(binary.BigEndian, 0, exifEntry(binary.BigEndian, 0x0112, 4, 1, []byte{0, 0, 0, 6}))...)
	other := segment(0xe2, append([]byte("MPF\x00"), make([]byte, 65000)...))
	xmp := segment(0xe1, append([]byte("http://ns.adobe.com/xap/1.0/\x00"), make([]byte, 60000)...))
	for n := range 6 {
		parts := [][]byte{still[:2], segment(0xfe, []byte("a comment")), xmp}
		for range n * n { // up to 1.6 MB
			parts = append(parts, other)
		}
		got := mustDecode(t, slices.Concat(append(parts, segment(0xe1, six), still[2:])...))
		if got.Width != want.Height || !bytes.Equal(got.Pix, want.oriented(6).Pix) {
			t.Errorf("behind %d segments: %d × %d, not turned", n*n+2, got.Width, got.Height)
		}
	}
}
