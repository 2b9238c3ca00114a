package picture

import (
	"bytes"
	"context"
	"encoding/binary"
	"image"

	"golang.org/x/image/webp"
)

// openWebP reads a WebP file, and of an animated one the first frame.
func openWebP(data []byte, l Limits) (*file, error) {
	still := std("webp", webp.DecodeConfig, webp.Decode)
	head := riffChunk(data, "VP8X")
	if len(head) < 10 || head[0]&2 == 0 {
		return still(data, l)
	}
	frame := riffChunk(data, "ANMF")
	if len(frame) < 16 {
		return nil, webpCut
	}
	u24 := func(b []byte) int { return int(b[0]) | int(b[1])<<8 | int(b[2])<<16 }
	at := image.Pt(2*u24(frame), 2*u24(frame[3:]))
	f, err := still(stillWebP(frame), l)
	if err != nil {
		return nil, err
	}
	if err := f.allowed(l); err != nil {
		return nil, err
	}
	decode := f.decode
	f.width, f.height, f.orientation = u24(head[4:])+1, u24(head[7:])+1, orientation("webp", data)
	f.bytes += 3 * int64(f.width) * int64(f.height)
	f.decode = func(ctx context.Context, l Limits) (Source, error) {
		p, err := decode(ctx, l)
		if err != nil {
			return nil, err
		}
		return p.RGB().on(f.width, f.height, at)
	}
	return f, nil
}

const webpCut = webpError("no frame in an animation")

type webpError string

func (e webpError) Error() string { return "webp: " + string(e) }

// stillWebP makes a file of its own of a frame.
func stillWebP(frame []byte) []byte {
	chunks := frame[16:]
	var vp8x []byte
	if bytes.HasPrefix(chunks, []byte("ALPH")) {
		// alpha; width and height, less one, as in a frame
		vp8x = append([]byte("VP8X\x0a\x00\x00\x00\x10\x00\x00\x00"), frame[6:12]...)
	}
	out := binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(4+len(vp8x)+len(chunks)))
	return append(append(append(out, "WEBP"...), vp8x...), chunks...)
}

// on puts a picture on a white canvas.
func (im *Image) on(w, h int, at image.Point) (Source, error) {
	if at.X+im.Width > w || at.Y+im.Height > h {
		return nil, webpError("a frame that reaches over the canvas")
	}
	if im.Width == w && im.Height == h {
		return im, nil
	}
	out := &Image{Width: w, Height: h, Pix: bytes.Repeat([]byte{255}, 3*w*h)}
	for y := range im.Height {
		copy(out.Pix[3*((at.Y+y)*w+at.X):], im.Pix[3*y*im.Width:][:3*im.Width])
	}
	return out, nil
}
