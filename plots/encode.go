package plots

import (
	"bytes"
	"cmp"
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
	var b bytes.Buffer
	enc := png.Encoder{CompressionLevel: png.BestSpeed} // trying longer saves little and is most of a report's time
	if rgba, ok := im.(*image.RGBA); ok && !photographs {
		im = indexed(rgba)
	}
	err := enc.Encode(&b, im)
	return b.Bytes(), err
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
		j := i + 4
		for j < len(pix) && [4]uint8(pix[j:]) == [4]uint8(pix[i:]) {
			j += 4
		}
		visit(color.RGBA{pix[i], pix[i+1], pix[i+2], pix[i+3]}, i/4, (j-i)/4)
		i = j
	}
}

func rgb(c color.RGBA) uint32 { return uint32(c.R)<<16 | uint32(c.G)<<8 | uint32(c.B) }
