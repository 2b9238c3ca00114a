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
	enc := png.Encoder{CompressionLevel: png.DefaultCompression}
	if rgba, ok := im.(*image.RGBA); ok && !photographs {
		im = indexed(rgba)
	}
	err := enc.Encode(&b, im)
	return b.Bytes(), err
}

func indexed(im *image.RGBA) *image.Paletted {
	counts := map[color.RGBA]int{}
	pix := im.Pix
	for i := 0; i < len(pix); i += 4 {
		counts[color.RGBA{pix[i], pix[i+1], pix[i+2], pix[i+3]}]++
	}
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
	for i := range out.Pix {
		out.Pix[i] = index[color.RGBA{pix[4*i], pix[4*i+1], pix[4*i+2], pix[4*i+3]}]
	}
	return out
}

func rgb(c color.RGBA) uint32 { return uint32(c.R)<<16 | uint32(c.G)<<8 | uint32(c.B) }
