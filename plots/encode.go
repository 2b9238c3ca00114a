package plots

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/png"
	"slices"
)

// encode writes a chart as a PNG of at most 256 colours, a quarter of the bytes
// of a true-colour one: the most frequent colours stay exact, which are all
// those of the palette; of the rest, the blended edges of letters and lines,
// each takes the nearest. Photographs keep their colours.
func encode(im image.Image, photographs bool) ([]byte, error) {
	rgba, ok := im.(*image.RGBA)
	if ok && photographs {
		return trueColour(rgba)
	}
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed} // trying longer saves little and is most of a report's time
	if ok {
		im = indexed(rgba)
	}
	err := enc.Encode(&b, im)
	return b.Bytes(), err
}

// trueColour writes an opaque picture as a PNG whose rows all have the filter
// Sub. image/png tries all five filters on each row, which takes as long again
// as the compression and saves a tenth of the bytes of a page of photographs.
func trueColour(im *image.RGBA) ([]byte, error) {
	w, h := im.Rect.Dx(), im.Rect.Dy()
	var packed bytes.Buffer
	z, err := zlib.NewWriterLevel(&packed, zlib.BestSpeed)
	if err != nil {
		return nil, err
	}
	row := make([]byte, 1+3*w)
	row[0] = 1 // Sub
	for y := range h {
		pix := im.Pix[y*im.Stride : y*im.Stride+4*w]
		var left [3]uint8
		for x := range w {
			p, out := pix[4*x:4*x+4], row[1+3*x:4+3*x]
			out[0], out[1], out[2] = p[0]-left[0], p[1]-left[1], p[2]-left[2]
			left = [3]uint8{p[0], p[1], p[2]}
		}
		if _, err := z.Write(row); err != nil {
			return nil, err
		}
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	header := binary.BigEndian.AppendUint32(nil, uint32(w))
	header = binary.BigEndian.AppendUint32(header, uint32(h))
	header = append(header, 8, 2, 0, 0, 0) // 8 bits, RGB, deflate, the five filters, not interlaced
	out := []byte("\x89PNG\r\n\x1a\n")
	out = chunk(out, "IHDR", header)
	out = chunk(out, "IDAT", packed.Bytes())
	return chunk(out, "IEND", nil), nil
}

// chunk appends one part of a PNG file: length, kind, data, checksum.
func chunk(out []byte, kind string, data []byte) []byte {
	out = binary.BigEndian.AppendUint32(out, uint32(len(data)))
	begin := len(out)
	out = append(append(out, kind...), data...)
	return binary.BigEndian.AppendUint32(out, crc32.ChecksumIEEE(out[begin:]))
}

func indexed(im *image.RGBA) *image.Paletted {
	counts := map[color.RGBA]int{}
	runs(im.Pix, func(c color.RGBA, _, n int) { counts[c] += n })
	colours := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		colours = append(colours, c)
	}
	slices.SortFunc(colours, func(a, b color.RGBA) int {
		return cmp.Or(counts[b]-counts[a], cmp.Compare(rgb(a), rgb(b)))
	})
	index := make(map[color.RGBA]uint8, len(colours))
	var palette color.Palette
	for i, c := range colours {
		if i < 256 {
			palette, index[c] = append(palette, c), uint8(i)
		} else {
			index[c] = uint8(palette.Index(c))
		}
	}
	out := image.NewPaletted(im.Bounds(), palette)
	runs(im.Pix, func(c color.RGBA, at, n int) {
		for k, v := 0, index[c]; k < n; k++ {
			out.Pix[at+k] = v
		}
	})
	return out
}

// runs visits the stretches of equal pixels: their colour, first pixel and length.
func runs(pix []uint8, visit func(c color.RGBA, at, n int)) {
	for i := 0; i < len(pix); {
		j, first := i+4, binary.LittleEndian.Uint32(pix[i:])
		for j < len(pix) && binary.LittleEndian.Uint32(pix[j:]) == first {
			j += 4
		}
		visit(color.RGBA{pix[i], pix[i+1], pix[i+2], pix[i+3]}, i/4, (j-i)/4)
		i = j
	}
}

func rgb(c color.RGBA) uint32 { return uint32(c.R)<<16 | uint32(c.G)<<8 | uint32(c.B) }
