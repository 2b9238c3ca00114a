package picture

import (
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"

	"finetune/internal/bmp"
	"finetune/internal/heif"
	ownjpeg "finetune/internal/jpeg"
	"finetune/internal/tiff"
)

// DefaultMaxPixels is the limit on width × height when Limits names none.
const DefaultMaxPixels = 200_000_000

// Limits bounds what Decode may spend on one file.
type Limits struct {
	// MaxPixels is the largest width × height a file may declare; 0 means DefaultMaxPixels.
	MaxPixels int64
	// MinSide, if positive, lets a decoder that can shrink while decoding do so
	// as long as the smaller side keeps at least MinSide pixels. Sizes and crops
	// stay those of the full picture. The pure Go decoders ignore it.
	MinSide int
	// Context, if not nil, ends a decode that nobody waits for any more. The
	// error is then the context's.
	Context context.Context
	// Depth maps the samples of photographs of more than 8 bits. augment.Preprocess.Load
	// sets its own.
	Depth Depth
	// Narrow, if not nil, is told of a photograph of more than 8 bits whose samples
	// lie so close together that the high byte makes it all but one colour.
	Narrow func(min, max float64)

	pure bool // tests: without libjpeg-turbo
}

func (l Limits) pixels() int64 {
	if l.MaxPixels <= 0 {
		return DefaultMaxPixels
	}
	return l.MaxPixels
}

func (l Limits) context() context.Context {
	if l.Context == nil {
		return context.Background()
	}
	return l.Context
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

// Decode reads a JPEG (progressive, CMYK and grey too), PNG, GIF and WebP (first
// frame), BMP, TIFF (first page), HEIC or AVIF file, told by content, not by name.
// 16-bit samples keep their high byte, unless l.Depth maps them. Chroma of JPEG and
// WebP is interpolated as libjpeg does, where Go's own conversion repeats samples.
//
// Errors: a *DecodeError, or that of l.Context. data is only read; the Image
// shares nothing with it.
func Decode(data []byte, l Limits) (*Image, error) {
	p, done, err := Open(data, l)
	if err != nil {
		return nil, err
	}
	defer done()
	return p.RGB(), nil
}

// file is a photograph whose header has been read.
type file struct {
	width, height int
	orientation   int   // EXIF's, 1 to 8
	short         bool  // the file cannot hold the picture that it declares
	bytes         int64 // memory that a decode takes, roughly
	decode        func(ctx context.Context, l Limits) (Source, error)
}

// codec reads one format.
type codec struct {
	name string
	open func(data []byte, l Limits) (*file, error)
}

// Open decodes as Decode does, and leaves the conversion to RGB to the caller. It waits
// until there is memory for the picture; done gives that back, and is nil beside an error.
func Open(data []byte, l Limits) (p Source, done func(), err error) {
	format, derr := sniff(data)
	if derr != nil {
		return nil, nil, derr
	}
	c, release := codecs[format], func() {}
	defer func() { // decoders of others index before they check
		if r := recover(); r != nil {
			p, err = nil, &DecodeError{Unreadable, fmt.Sprintf("damaged %s file: the decoder gave up (%v)", c.name, r)}
		}
		if err != nil {
			release()
		}
	}()
	f, err := c.open(data, l)
	if err != nil {
		return nil, nil, c.failed(err)
	}
	if err := f.allowed(l); err != nil {
		return nil, nil, err
	}
	if f.short {
		return nil, nil, c.failed(io.ErrUnexpectedEOF)
	}
	ctx := l.context()
	if release, err = setAside(ctx, f.bytes); err != nil {
		return nil, nil, err
	}
	if p, err = f.decode(ctx, l); err != nil {
		if ctx.Err() != nil { // which some decoders turn into a text
			return nil, nil, ctx.Err()
		}
		return nil, nil, c.failed(err)
	}
	if f.orientation > 1 {
		p = p.RGB().oriented(f.orientation)
	}
	return p, release, nil
}

func (f *file) allowed(l Limits) error {
	limit := l.pixels()
	w, h := int64(f.width), int64(f.height)
	switch {
	case w <= 0 || h <= 0:
		return &DecodeError{Unreadable, fmt.Sprintf("declares %d × %d pixels: nothing to see", w, h)}
	case w > limit/h: // w*h may overflow
		return &DecodeError{TooLarge, fmt.Sprintf("declares %d × %d pixels, more than the limit of %d; shrink it, or "+
			"raise --max-pixels", w, h, limit)}
	}
	return nil
}

// failed turns a decoder's error into ours.
func (c codec) failed(err error) error {
	var known *DecodeError
	var own ownjpeg.Unsupported
	var je jpeg.UnsupportedError
	var pe png.UnsupportedError
	var he heif.Unsupported
	var be bmp.Unsupported
	var te tiff.Unsupported
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &own):
		return &DecodeError{Unsupported, fmt.Sprintf("%s is not read here; save it again as plain JPEG or PNG", own)}
	case errors.As(err, &he):
		return &DecodeError{Unsupported, fmt.Sprintf("%s is not read here; convert it first, for example: heif-convert IN "+
			"OUT.jpg", he)}
	case errors.As(err, &be):
		return &DecodeError{Unsupported, fmt.Sprintf("%s is not read here; save it again as plain JPEG or PNG", be)}
	case errors.As(err, &te):
		return &DecodeError{Unsupported, fmt.Sprintf("%s is not read here; save it again as plain JPEG or PNG", te)}
	case errors.As(err, &je), errors.As(err, &pe):
		return &DecodeError{Unsupported, fmt.Sprintf("%s with a feature that is not read here (%v); save it again as "+
			"plain JPEG or PNG", c.name, err)}
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), err == jpeg.FormatError("short Huffman data"):
		return &DecodeError{Unreadable, fmt.Sprintf("truncated %s file: it ends before the picture does", c.name)}
	}
	return &DecodeError{Unreadable, fmt.Sprintf("damaged %s file: %v", c.name, err)}
}
