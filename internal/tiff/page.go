package tiff

import (
	"bytes"
	"fmt"

	"finetune/internal/plural"
)

// Compressions and photometric interpretations by their numbers.
const (
	plain, group3, group4, lzwCode   = 1, 3, 4, 5
	oldJPEG, newJPEG, deflate        = 6, 7, 8
	packBits, oldDeflate, zstandard  = 32773, 32946, 50000
	whiteIsZero, blackIsZero, colour = 0, 1, 2
	paletted, separated, ycbcr       = 3, 5, 6
	floating                         = 3
)

var compressions = map[int]string{2: "CCITT run lengths", 34925: "LZMA", 50001: "WebP", 50002: "JPEG XL",
	34712: "JPEG 2000", 33003: "JPEG 2000",
	34887: "LERC", 34676: "SGI LogLuv", 34677: "SGI LogLuv", 32809: "ThunderScan", 34661: "JBIG", 7: "JPEG",
	oldJPEG: "JPEG of the old kind"}

var photometrics = map[int]string{4: "a mask", 8: "CIE L*a*b*", 9: "ICC L*a*b*", 10: "ITU L*a*b*", 32844: "LogL",
	32845: "LogLuv",
	32803: "the sensor's own values, as raw files of cameras have", 34892: "linear raw values"}

// page reads a directory. What keeps it from being decoded is in its err.
func (f *file) page(at uint64) (p *Page, next uint64, err error) {
	fields, next, err := f.fields(at)
	if err != nil {
		return nil, 0, err
	}
	list := func(tag int) []uint64 { return fields[tag].ints() }
	one := func(tag, without int) int {
		if v := list(tag); len(v) > 0 && v[0] < 1<<31 {
			return int(v[0])
		}
		return without
	}
	p = &Page{data: f.data, order: f.order, Width: one(256, 0), Height: one(257, 0), Orientation: one(274, 0),
		bits: one(258, 1), format: one(339, 1),
		samples: one(277, 1), photometric: one(262, -1), compression: one(259, 1), planar: one(284, 1),
		predictor: one(317, 1), fill: one(266, 1),
		subfile: one(254, 0), mode2D: one(292, 0)&1 != 0, palette: list(320), tables: fields[347].bytes, sub: list(330)}
	if len(p.sub) > maxPages {
		p.sub = p.sub[:maxPages]
	}
	p.offsets, p.counts = list(273), list(279)
	p.blockWide, p.blockHigh = p.Width, min(one(278, p.Height), max(p.Height, 1))
	if tiles := list(324); len(tiles) > 0 {
		p.offsets, p.counts, p.blockWide, p.blockHigh = tiles, list(325), one(322, 0), one(323, 0)
	}
	if p.preview(one(513, 0), one(514, 0)) {
		return p, next, nil
	}
	for _, b := range list(258) {
		if int(b) != p.bits {
			p.err = Unsupported("TIFF whose samples have different numbers of bits")
		}
	}
	if s := list(530); len(s) >= 2 && (s[0] != 1 || s[1] != 1) || len(s) < 2 && p.photometric == ycbcr {
		p.subsampled = true
	}
	p.channels(list(338))
	if p.err == nil {
		p.err = p.check()
	}
	return p, next, nil
}

// preview takes a page whose data are one whole JPEG file.
func (p *Page) preview(at, size int) bool {
	if p.compression != oldJPEG && p.photometric >= 0 || p.compression == newJPEG {
		return false
	}
	if at == 0 && len(p.offsets) == 1 && len(p.counts) == 1 {
		at, size = int(min(p.offsets[0], 1<<31)), int(min(p.counts[0], 1<<31))
	}
	if at <= 0 || at >= len(p.data) || size <= 0 {
		return false
	}
	file := p.data[at:min(at+size, len(p.data))]
	if !bytes.HasPrefix(file, []byte{0xff, 0xd8, 0xff}) || isLossless(file) {
		return false
	}
	p.JPEG = file
	if p.Width == 0 || p.Height == 0 { // larger files are larger pictures
		p.Width, p.Height = size, 1
	}
	return true
}

// isLossless tells the JPEG that some raw files keep the sensor's values in.
func isLossless(file []byte) bool {
	at := bytes.Index(file[:min(len(file), 1<<16)], []byte{0xff, 0xc3})
	dqt := bytes.Index(file[:min(len(file), 1<<16)], []byte{0xff, 0xdb})
	return at >= 0 && dqt < 0
}

// channels works out which samples of a pixel are colours and which is alpha.
func (p *Page) channels(extra []uint64) {
	colours := 1
	switch p.photometric {
	case colour, ycbcr:
		colours = 3
	case separated:
		colours = 4
	}
	p.extra = p.samples - colours
	if p.extra > 0 && len(extra) > 0 && p.photometric != separated && p.photometric != paletted {
		p.alpha, p.premultiplied = extra[0] == 1 || extra[0] == 2, extra[0] == 1
	}
}

func (p *Page) check() error {
	known := false
	switch p.compression {
	case plain, lzwCode, deflate, oldDeflate, packBits, zstandard, newJPEG:
		known = true
	case group3, group4:
		known = p.bits == 1 && p.samples == 1
	}
	switch name := photometrics[p.photometric]; {
	case p.Width <= 0 || p.Height <= 0:
		return Format("no width and height")
	case name != "":
		return Unsupported("TIFF of " + name)
	case p.photometric < 0:
		return Format("no photometric interpretation")
	case p.photometric > ycbcr:
		return Unsupported(fmt.Sprintf("TIFF of photometric interpretation %d", p.photometric))
	case !known && compressions[p.compression] != "":
		return Unsupported("TIFF compressed by " + compressions[p.compression])
	case !known:
		return Unsupported(fmt.Sprintf("TIFF of compression %d", p.compression))
	case p.extra < 0:
		return Format(fmt.Sprintf("%s a pixel for photometric interpretation %d", plural.Count(p.samples, "sample"),
			p.photometric))
	case p.samples > 64:
		return Unsupported(fmt.Sprintf("TIFF of %s a pixel", plural.Count(p.samples, "sample")))
	case p.planar != 1 && p.planar != 2, p.predictor < 1 || p.predictor > 3, p.fill != 1 && p.fill != 2:
		return Format("planar configuration, predictor or fill order")
	case p.photometric == paletted && (p.bits > 8 || len(p.palette) != 3<<p.bits):
		return Format("palette")
	case p.photometric == ycbcr && p.subsampled && p.compression != newJPEG:
		return Unsupported("TIFF of YCbCr with fewer samples of colour, and not as JPEG")
	case p.compression == newJPEG && p.bits != 8:
		return Unsupported(fmt.Sprintf("TIFF of JPEG with %s a sample", plural.Count(p.bits, "bit")))
	}
	if err := p.depth(); err != nil {
		return err
	}
	return p.blocks()
}

// depth refuses kinds of samples that are not read.
func (p *Page) depth() error {
	integer := p.bits >= 1 && p.bits <= 16 || p.bits == 32
	float := p.bits == 16 || p.bits == 32 || p.bits == 64
	deep := p.photometric == separated || p.photometric == ycbcr
	switch {
	case p.format == floating && float, p.format == 1 && integer, p.format == 4 && integer,
		p.format == 2 && (p.bits == 8 || p.bits == 16 || p.bits == 32):
	default:
		return Unsupported(fmt.Sprintf("TIFF of %s a sample in format %d", plural.Count(p.bits, "bit"), p.format))
	}
	if p.predictor == 2 && p.bits != 8 && p.bits != 16 && p.bits != 32 || p.predictor == 3 && p.format != floating {
		return Unsupported(fmt.Sprintf("TIFF with predictor %d for %s a sample", p.predictor, plural.Count(p.bits, "bit")))
	}
	if deep && p.bits != 8 && (p.bits != 16 || p.photometric == ycbcr) || deep && p.format != 1 {
		return Unsupported(fmt.Sprintf("TIFF of CMYK or YCbCr with %s a sample", plural.Count(p.bits, "bit")))
	}
	return nil
}

// blocks counts strips or tiles.
func (p *Page) blocks() error {
	if p.blockWide <= 0 || p.blockHigh <= 0 {
		return Format("size of strips or tiles")
	}
	p.across, p.down = (p.Width-1)/p.blockWide+1, (p.Height-1)/p.blockHigh+1
	n := p.across * p.down
	if p.planar == 2 {
		n *= p.samples
	}
	if p.across > maxBlocks || p.down > maxBlocks || n > maxBlocks || p.blockWide > 1<<24 || p.blockHigh > 1<<24 {
		return Format("too many strips or tiles, or too large ones")
	}
	if len(p.offsets) < n {
		return Format("fewer strips or tiles than the picture has")
	}
	if len(p.counts) < n {
		if n != 1 || p.offsets[0] > uint64(len(p.data)) {
			return Format("fewer sizes of strips or tiles than the picture has")
		}
		p.counts = []uint64{uint64(len(p.data)) - p.offsets[0]}
	}
	return nil
}

// Memory estimates what Decode takes, in bytes.
func (p *Page) Memory() int64 {
	size := int64(1)
	if p.bits > 8 {
		size = 2
	}
	if p.format == floating || p.bits > 16 {
		size = 4
	}
	block := int64(p.blockWide) * int64(min(p.blockHigh, p.Height)) * int64(p.samples*p.bits/8+1)
	return int64(p.Width)*int64(p.Height)*int64(p.out())*size + min(block, maxBlock)
}

// Short reports whether n bytes cannot hold the picture: none of the
// compressions but fax shrinks more than 1,500 times.
func (p *Page) Short() bool {
	pixels, n := int64(p.Width)*int64(p.Height), int64(len(p.data))
	switch p.compression {
	case group3, group4:
		return int64(p.Height) > 8*n
	case newJPEG:
		return pixels/64 > 8*n
	case zstandard:
		return false
	case plain:
		return pixels/8*int64(p.samples*p.bits) > n
	}
	return pixels/8*int64(p.samples*p.bits) > 1500*n
}

// out is the channels of what Decode returns.
func (p *Page) out() int {
	n := 1
	if p.photometric != blackIsZero && p.photometric != whiteIsZero {
		n = 3
	}
	if p.alpha {
		n++
	}
	return n
}
