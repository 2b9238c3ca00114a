package picture

import (
	"finetune/internal/jpeg"
	"finetune/internal/libjpeg"
)

// Decoder names the decoder of JPEG files, "turbojpeg" or "go": the pixels of one differ
// a little from the other's, so the name is part of augment.Preprocess.String and of
// every cache key.
func Decoder() string {
	if lib, _ := libjpeg.Loaded(); lib.Path != "" {
		return "turbojpeg"
	}
	return "go"
}

// fastJPEG decodes grey and YCbCr files with libjpeg-turbo, where it is, shrinking
// by eighths in the inverse cosine transform where l.MinSide allows it. It
// returns nil for everything else, and for any warning or error (a premature end
// is a warning there): the Go decoder then decides, so that a file cut short or
// with a wrong header is refused for the same reason with and without the library.
// Damage inside the picture data that libjpeg-turbo conceals without a warning
// passes here and not there: 12 of 1,500 photographs with one to three random
// bytes, of which Go refused 144.
//
// Accuracy (64 photographs of ants and bees, TestDecodersAgree): mean difference
// from the Go decoder 0.04 of 255, worst 3, before and after the resize. Shrunk to
// no less than twice the size wanted (TestShrunkDecodeAgrees): mean 0.44, worst 11;
// with no such margin 1.2 to 1.4 and 32.
func fastJPEG(data []byte, cfg *jpeg.Header, l Limits) *Image {
	if len(cfg.Components) > 3 || !hasTables(data) {
		return nil
	}
	m := eighths(cfg.Width, cfg.Height, l.MinSide)
	pix, got := libjpeg.Decode(data, libjpeg.Size{Width: cfg.Width, Height: cfg.Height}, m)
	if pix == nil {
		return nil
	}
	im := &Image{Width: got.Width, Height: got.Height, Pix: pix}
	if m < 8 {
		k := float64(m) / 8
		im.shrunk = &Geometry{W: im.Width, H: im.Height, FullW: cfg.Width, FullH: cfg.Height,
			ExtW: float64(cfg.Width) * k, ExtH: float64(cfg.Height) * k}
	}
	return im
}

// eighths returns the smallest m of 1..8 for which m/8 of the smaller side has
// minSide pixels; 8 where minSide is 0.
func eighths(w, h, minSide int) int {
	if minSide <= 0 {
		return 8
	}
	for m := 1; m < 8; m++ {
		if min(w, h)*m/8 >= minSide {
			return m
		}
	}
	return 8
}
