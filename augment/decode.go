package augment

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"
	"golang.org/x/image/webp"
)

// DefaultMaxPixels is the limit on width × height when Limits names none.
const DefaultMaxPixels = 50_000_000

// Limits bounds what Decode may spend on one file.
type Limits struct {
	// MaxPixels is the largest width × height a file may declare; 0 means DefaultMaxPixels.
	MaxPixels int64
	// MinSide, if positive, lets a decoder that can shrink while decoding do so
	// as long as the smaller side keeps at least MinSide pixels. Sizes and crops
	// stay those of the full picture. The pure Go decoders ignore it.
	MinSide int
}

// Status is why a file gave no pixels, in the words of the score files.
type Status string

// The statuses of a DecodeError.
const (
	Unreadable  Status = "unreadable"  // damaged, truncated, or not an image
	TooLarge    Status = "too_large"   // declares more pixels than Limits allow
	Empty       Status = "empty"       // no bytes
	Unsupported Status = "unsupported" // a sound format or feature that is not read here
)

// DecodeError says why a file could not be decoded. It does not depend on which
// decoder was built in.
type DecodeError struct {
	Status Status
	Reason string // one line for people, without the path
}

func (e *DecodeError) Error() string { return string(e.Status) + ": " + e.Reason }

// DecodeStatus returns the two parts, as activations.Fill asks for them.
func (e *DecodeError) DecodeStatus() (status, reason string) { return string(e.Status), e.Reason }

// Decode reads a JPEG (progressive, CMYK and grey too), PNG, GIF (first frame),
// BMP, TIFF (first page) or WebP file, told by content, not by name. 16-bit
// samples keep their high byte. Chroma of JPEG and WebP is interpolated as
// libjpeg does, where Go's own conversion repeats samples.
//
// Errors: always a *DecodeError. data is only read; the Image shares nothing with it.
func Decode(data []byte, l Limits) (*Image, error) {
	p, err := open(data, l)
	if err != nil {
		return nil, err
	}
	return p.image(), nil
}

// picture is a decoded file whose rows may still need conversion to RGB.
type picture interface {
	image() *Image
	geometry() geometry
	// pack writes pixels x0.. of row y to dst, red in bits 0..7, green in 21.., blue in 42...
	pack(dst []uint64, y, x0 int)
}

func (im *Image) image() *Image { return im }

func (im *Image) pack(dst []uint64, y, x0 int) {
	row := im.Pix[3*(y*im.Width+x0):]
	row = row[:3*len(dst)]
	for x := range dst {
		p := row[3*x : 3*x+3 : 3*x+3]
		dst[x] = uint64(p[0]) | uint64(p[1])<<21 | uint64(p[2])<<42
	}
}

// codec reads one format.
type codec struct {
	name   string
	config func(io.Reader) (image.Config, error)
	decode func(io.Reader) (image.Image, error)
}

var codecs = map[string]codec{
	"jpeg": {"JPEG", jpeg.DecodeConfig, jpeg.Decode},
	"png":  {"PNG", png.DecodeConfig, png.Decode},
	"gif":  {"GIF", gif.DecodeConfig, gif.Decode},
	"bmp":  {"BMP", bmp.DecodeConfig, bmp.Decode},
	"tiff": {"TIFF", tiff.DecodeConfig, tiff.Decode},
	"webp": {"WebP", webp.DecodeConfig, webp.Decode},
}

func open(data []byte, l Limits) (p picture, err error) {
	format, derr := sniff(data)
	if derr != nil {
		return nil, derr
	}
	c := codecs[format]
	defer func() { // the third-party decoders index before they check
		if r := recover(); r != nil {
			p, err = nil, &DecodeError{Unreadable, fmt.Sprintf("damaged %s file: the decoder gave up (%v)", c.name, r)}
		}
	}()
	cfg, cerr := c.config(bytes.NewReader(data))
	if cerr != nil {
		return nil, c.failed(cerr)
	}
	if derr := allowed(cfg, l); derr != nil {
		return nil, derr
	}
	if short(format, cfg, len(data)) {
		return nil, c.failed(io.ErrUnexpectedEOF)
	}
	o := orientation(format, data)
	if format == "jpeg" {
		if im := fastJPEG(data, cfg, l); im != nil {
			return im.oriented(o), nil
		}
	}
	img, cerr := c.decode(bytes.NewReader(data))
	if cerr != nil {
		return nil, c.failed(cerr)
	}
	if ycc, ok := img.(*image.YCbCr); ok && format == "jpeg" {
		p := &planes{YCbCr: ycc}
		if o <= 1 {
			return p, nil
		}
		return p.image().oriented(o), nil
	}
	im, derr := flatten(img, cfg.Width, cfg.Height)
	if derr != nil {
		return nil, derr
	}
	return im.oriented(o), nil
}

func allowed(cfg image.Config, l Limits) error {
	limit := l.MaxPixels
	if limit <= 0 {
		limit = DefaultMaxPixels
	}
	w, h := int64(cfg.Width), int64(cfg.Height)
	switch {
	case w <= 0 || h <= 0:
		return &DecodeError{Unreadable, fmt.Sprintf("declares %d × %d pixels: nothing to see", w, h)}
	case w > limit/h: // w*h may overflow
		return &DecodeError{TooLarge, fmt.Sprintf("declares %d × %d pixels, more than the limit of %d; shrink it or raise the limit", w, h, limit)}
	}
	return nil
}

// short reports whether n bytes cannot hold the picture, so that a few bytes do
// not make the decoder set room for all it declares. Deflate shrinks at most
// 1,032 times; a JPEG spends a bit or more on each block of 8 × 8 pixels.
func short(format string, cfg image.Config, n int) bool {
	w, h := int64(cfg.Width), int64(cfg.Height)
	switch format {
	case "png": // an eighth of a byte a pixel at least
		return w*h/8 > 1032*int64(n)
	case "jpeg":
		return w*h/64 > 8*int64(n)
	}
	return false
}

// failed turns a decoder's error into ours.
func (c codec) failed(err error) error {
	var je jpeg.UnsupportedError
	var pe png.UnsupportedError
	var te tiff.UnsupportedError
	switch {
	case errors.As(err, &je), errors.As(err, &pe), errors.As(err, &te), errors.Is(err, bmp.ErrUnsupported):
		return &DecodeError{Unsupported, fmt.Sprintf("%s with a feature that is not read here (%v); save it again as plain JPEG or PNG", c.name, err)}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), err == jpeg.FormatError("short Huffman data"):
		return &DecodeError{Unreadable, fmt.Sprintf("truncated %s file: it ends before the picture does", c.name)}
	}
	return &DecodeError{Unreadable, fmt.Sprintf("damaged %s file: %v", c.name, err)}
}
