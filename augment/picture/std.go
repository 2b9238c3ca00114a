package picture

import (
	"bytes"
	"context"
	"image"
	"image/gif"
	"image/png"
	"io"

	"golang.org/x/image/bmp"

	ownbmp "finetune/internal/bmp"
)

var codecs = map[string]codec{
	"jpeg": {"JPEG", openJPEG},
	"png":  {"PNG", std("png", png.DecodeConfig, png.Decode)},
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
