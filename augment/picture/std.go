package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"
	"image/gif"
	"image/png"
	"io"

	"golang.org/x/image/bmp"

	ownbmp "finetune/internal/bmp"
)

var codecs = map[string]codec{
	"jpeg": {"JPEG", openJPEG},
	"png":  {"PNG", openPNG},
	"gif":  {"GIF", std("gif", gif.DecodeConfig, gif.Decode)},
	"bmp":  {"BMP", openBMP},
	"tiff": {"TIFF", openTIFF},
	"heic": {"HEIC", openHEIF},
	"avif": {"AVIF", openHEIF},
	"webp": {"WebP", openWebP},
}

// std is a codec of the standard library, or of its relatives.
func std(format string, config func(io.Reader) (image.Config, error),
	decode func(io.Reader) (image.Image, error)) func([]byte, Limits) (*file, error) {
	return func(data []byte, _ Limits) (*file, error) {
		cfg, err := config(bytes.NewReader(data))
		if err != nil {
			return nil, err
		}
		f := &file{width: cfg.Width, height: cfg.Height, orientation: orientation(format, data)}
		pixels := int64(cfg.Width) * int64(cfg.Height)
		f.bytes = 11 * pixels // 8 of what is decoded at most, 3 of RGB
		// Deflate shrinks at most 1,032 times, and a pixel has an eighth of a byte at least.
		f.short = format == "png" && pixels/8 > 1032*int64(len(data))
		f.decode = func(ctx context.Context, l Limits) (Source, error) {
			img, err := decode(newReader(ctx, data))
			if err != nil {
				return nil, err
			}
			l.mapDeep(img)
			return flatten(ctx, img, cfg.Width, cfg.Height)
		}
		return f, nil
	}
}

// openPNG reads a PNG file, and of an animated one the first frame: the standard
// library checks the frames behind it too.
func openPNG(data []byte, l Limits) (*file, error) {
	f, err := std("png", png.DecodeConfig, png.Decode)(stillPNG(data), l)
	if f != nil {
		f.orientation = orientation("png", data)
	}
	return f, err
}

// stillPNG ends an animation behind the chunks of its first frame. Other files stay as they are.
func stillPNG(data []byte) []byte {
	animated, pixels, at := false, false, 8
	for at+8 <= len(data) {
		n, kind := int(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+8])
		if pixels && kind != "IDAT" {
			break
		}
		if n > len(data)-at-12 {
			return data
		}
		animated, pixels = animated || kind == "acTL", kind == "IDAT"
		at += 12 + n
	}
	if !animated || !pixels {
		return data
	}
	return append(data[:at:at], "\x00\x00\x00\x00IEND\xae\x42\x60\x82"...)
}

// openBMP reads what golang.org/x/image/bmp does not in internal/bmp.
func openBMP(data []byte, l Limits) (*file, error) {
	f, err := std("bmp", bmp.DecodeConfig, bmp.Decode)(data, l)
	if err != bmp.ErrUnsupported {
		return f, err
	}
	w, h, err := ownbmp.Config(data)
	if err != nil {
		return nil, err
	}
	f = &file{width: w, height: h, bytes: 7 * int64(w) * int64(h)}
	f.decode = func(ctx context.Context, _ Limits) (Source, error) {
		img, err := ownbmp.Decode(data)
		if err != nil {
			return nil, err
		}
		return flatten(ctx, img, w, h)
	}
	return f, nil
}
