package picture

import (
	"bytes"
	"context"
	"fmt"
	"image"
	stdjpeg "image/jpeg"
	"slices"
	"sync"

	"finetune/internal/jpeg"
	"finetune/internal/plural"
)

// scansOfLimit is how often the scans of a JPEG may pass over as many pixels as
// the limit on pixels allows. Real files have some 10 scans; each scan of a few
// bytes can cost as much as one of megabytes.
const scansOfLimit = 20

// openJPEG chooses among three decoders: libjpeg-turbo where it is,
// image/jpeg, and internal/jpeg for the files that the others refuse or get wrong.
func openJPEG(data []byte, l Limits) (*file, error) {
	h, err := jpeg.ReadHeader(data)
	if err != nil {
		return nil, err
	}
	if err := h.Supported(); err != nil {
		return nil, err
	}
	f := &file{width: h.Width, height: h.Height, orientation: exifOrientation(h.Exif)}
	if err := f.allowed(l); err != nil {
		return nil, err
	}
	pixels := int64(h.Width) * int64(h.Height)
	if most := scansOfLimit * l.pixels(); int64(h.Scans) > most/pixels {
		return nil, &DecodeError{TooLarge, fmt.Sprintf("a JPEG of %s of %d × %d pixels, which costs too much to "+
			"decode; save it again, or raise --max-pixels", plural.Count(h.Scans, "scan"), h.Width, h.Height)}
	}
	if h.Scans == 0 || pixels/64 > 8*int64(len(data)) { // a bit or more for each block of 8 × 8 pixels
		f.short = true
	}
	if !h.Huffman && !h.Progressive() { // a frame of Motion-JPEG
		data = slices.Concat(data[:h.FirstScan], motionTables(), data[h.FirstScan:])
	}
	f.bytes = jpegMemory(h)
	f.decode = func(ctx context.Context, l Limits) (Source, error) { return decodeJPEG(ctx, data, h, l) }
	return f, nil
}

// jpegMemory estimates what a decode takes: planes and RGB, and coefficients of
// 4 bytes where they come in several scans.
func jpegMemory(h *jpeg.Header) int64 {
	a := 6
	if h.Progressive() || h.Scans > 1 {
		a += 4 * len(h.Components)
	}
	return int64(a) * int64(h.Width) * int64(h.Height)
}

func decodeJPEG(ctx context.Context, data []byte, h *jpeg.Header, l Limits) (Source, error) {
	if h.Model() <= jpeg.YCC && !l.pure {
		if im := fastJPEG(data, h, l); im != nil {
			return im, nil
		}
	}
	if !suitsGo(h) {
		return ownJPEG(ctx, data, h)
	}
	img, err := stdjpeg.Decode(newReader(ctx, data))
	// a wrong number: libjpeg goes on with the next block, and so does this
	if err == stdjpeg.FormatError("bad RST marker") {
		return ownJPEG(ctx, data, h)
	}
	if err != nil {
		return nil, err
	}
	if ycc, ok := img.(*image.YCbCr); ok {
		return &planes{YCbCr: ycc}, nil
	}
	return flatten(ctx, img, h.Width, h.Height)
}

func ownJPEG(ctx context.Context, data []byte, h *jpeg.Header) (Source, error) {
	planes, err := jpeg.Decode(ctx, data, h)
	if err != nil {
		return nil, err
	}
	return newSamples(planes, h), nil
}

// suitsGo reports whether image/jpeg reads a file as libjpeg does.
func suitsGo(h *jpeg.Header) bool {
	c := h.Components
	if len(c) == 1 {
		return true
	}
	whole := true
	for _, p := range c {
		whole = whole && p.H == 1 && p.V == 1
	}
	first, second, third := c[0], c[1], c[2]
	switch {
	case h.Restarts && (h.Progressive() || h.Scans > 1 || !h.Interleaved) && !whole:
		return false // it counts the units of a scan of one component as if all were in it
	case len(c) == 4:
		return whole && h.Adobe >= 0
	case h.Model() == jpeg.RGB:
		return whole
	case first.H == 3 || first.V > 2 || first.H%second.H != 0 || first.V%second.V != 0:
		return false
	}
	// it miscounts others in scans of one component
	single := second.H == 1 && second.V == 1 || !h.Progressive() && h.Scans == 1
	return single && second.H == third.H && second.V == third.V
}

// samples is a JPEG as internal/jpeg leaves it.
type samples struct {
	planes []jpeg.Plane
	model  jpeg.Model
	w, h   int
	rows   [4][]uint8 // of each component at full resolution
	sum    []int32
}

func newSamples(planes []jpeg.Plane, h *jpeg.Header) *samples {
	s := &samples{planes: planes, model: h.Model(), w: h.Width, h: h.Height, sum: make([]int32, (h.Width+1)/2)}
	for i, p := range planes {
		if p.H > 1 || p.V > 1 {
			s.rows[i] = make([]uint8, h.Width+1)
		}
	}
	return s
}

func (s *samples) Geometry() Geometry { return whole(s.w, s.h) }

func (s *samples) RGB() *Image { return unpack(s, s.w, s.h) }

// row returns row y of component i.
func (s *samples) row(i, y int) []uint8 {
	p := &s.planes[i]
	line := func(y int) []uint8 { return p.Pix[max(0, min(y, p.Height-1))*p.Stride:] }
	if s.rows[i] == nil {
		return line(y)[:s.w]
	}
	near := y / p.V
	far := near
	if p.V == 2 {
		far = near - 1 + 2*(y&1)
	}
	upsample(s.rows[i][:s.w], line(near), line(far), p.H, p.V, y, s.sum)
	return s.rows[i][:s.w]
}

func (s *samples) Pack(dst []uint64, y, x0 int) {
	var c [4][]uint8
	for i := range s.planes {
		c[i] = s.row(i, y)[x0:][:len(dst)]
	}
	switch s.model {
	case jpeg.Grey:
		for i, v := range c[0] {
			dst[i] = rgb(v, v, v)
		}
		return
	case jpeg.RGB, jpeg.CMYK:
		for i := range dst {
			dst[i] = rgb(c[0][i], c[1][i], c[2][i])
		}
	default:
		convertYCC(dst, c[0], c[1], c[2])
	}
	for i, k := range c[3] { // of four components: what is stored is 255 less the ink, transformed or not
		if s.model == jpeg.YCCK {
			dst[i] ^= rgb(255, 255, 255) // the transform is of the inks
		}
		dst[i] = rgb(times(uint8(dst[i]), k), times(uint8(dst[i]>>Lane), k), times(uint8(dst[i]>>(2*Lane)), k))
	}
}

func times(a, b uint8) uint8 { return uint8((uint32(a)*uint32(b) + 127) / 255) }

func rgb(r, g, b uint8) uint64 { return uint64(r) | uint64(g)<<Lane | uint64(b)<<(2*Lane) }

// motionTables is the segment of T.81's typical Huffman tables (annex K.3),
// which frames of Motion-JPEG leave out. image/jpeg writes them into every file.
var motionTables = sync.OnceValue(func() []byte {
	var b bytes.Buffer
	_ = stdjpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio420), nil)
	return jpeg.Tables(b.Bytes())
})
