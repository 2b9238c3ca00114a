package picture

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"finetune/internal/bmp"
	"finetune/internal/heif"
	ownjpeg "finetune/internal/jpeg"
	"finetune/internal/picturetest"
	"finetune/internal/tiff"
)

// allBack wants all memory of decodes to be given back.
func allBack(t *testing.T, after string) {
	t.Helper()
	if !room.TryAcquire(memory) {
		t.Fatalf("%s: memory is still set aside", after)
	}
	room.Release(memory)
}

// Decodes wait for memory, the largest alone, and give up with their context.
func TestDecodesShareMemory(t *testing.T) {
	for _, n := range []int64{-5, 0, 1, memory, memory + 1, 1 << 60} {
		done, err := setAside(t.Context(), n)
		if err != nil {
			t.Fatal(err)
		}
		if want := max(1, min(n, memory)); room.TryAcquire(memory-want+1) || want < memory && !room.TryAcquire(memory-want) {
			t.Errorf("%d bytes: not %d were set aside", n, want)
		} else if want < memory {
			room.Release(memory - want)
		}
		done()
		allBack(t, fmt.Sprint(n))
	}
	done, err := setAside(t.Context(), memory)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	photo := picturetest.Image(t, "420.jpg")
	if im, err := Decode(photo, Limits{Context: ctx}); im != nil || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v: it was to wait for memory", im, err)
	}
	done()
	allBack(t, "one that gave up")
}

// What gets no memory is not decoded.
func TestNoMemoryNoDecode(t *testing.T) {
	defer func(c codec) { codecs["png"] = c }(codecs["png"])
	codecs["png"] = codec{"PNG", func([]byte, Limits) (*file, error) {
		return &file{width: 1, height: 1, bytes: 99, decode: func(context.Context, Limits) (Source, error) {
			t.Error("decoded without memory")
			return noise(1, 1, 1), nil
		}}, nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, done, err := Open([]byte("\x89PNG\r\n\x1a\n"), Limits{Context: ctx})
	if done != nil || !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	allBack(t, "one that got none")
}

// A decode that ends with its context blames no file, whatever its decoder makes of it.
func TestStopIsNoFaultOfTheFile(t *testing.T) {
	defer func(c codec) { codecs["gif"] = c }(codecs["gif"])
	ctx, cancel := context.WithCancel(t.Context())
	codecs["gif"] = codec{"GIF", func([]byte, Limits) (*file, error) {
		return &file{width: 1, height: 1, bytes: 99, decode: func(ctx context.Context, _ Limits) (Source, error) {
			cancel()
			return nil, fmt.Errorf("gif: reading header: %v", ctx.Err()) // as image/gif does
		}}, nil
	}}
	if _, err := Decode([]byte("GIF89a"), Limits{Context: ctx}); !errors.Is(err, context.Canceled) {
		t.Errorf("%v (%T)", err, err)
	}
	allBack(t, "one that was stopped")
}

// A decoder that is told to stop says so, in every format.
func TestDecodersEndWithTheirContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for name, format := range map[string]string{"420.jpg": "jpeg", "420_progressive.jpg": "jpeg", "cmyk.jpg": "jpeg",
		"rgb.png": "png", "part.gif": "gif", "rgb.bmp": "bmp", "lzw.tif": "tiff", "grey16.tif": "tiff",
		"lossy.webp": "webp", "lossless_alpha.webp": "webp", "small.heic": "heic", "small.avif": "avif"} {
		f, err := codecs[format].open(picturetest.Image(t, name), Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if p, err := f.decode(ctx, Limits{pure: true}); p != nil || err == nil ||
			!strings.Contains(err.Error(), context.Canceled.Error()) {
			t.Errorf("%s: %v, %v", name, p, err)
		}
	}
}

// Whatever becomes of a file, its memory is given back.
func TestMemoryIsGivenBack(t *testing.T) {
	photo := picturetest.Image(t, "420.jpg")
	for name, data := range map[string][]byte{"sound": photo, "cut": photo[:len(photo)/2],
		"strip": picturetest.EncodePNG(t, noise(3000, 1, 1).rgba()), "none": nil} {
		_, _ = Decode(data, Limits{})
		allBack(t, name)
		if _, done, err := Open(data, Limits{}); err == nil {
			if room.TryAcquire(memory) {
				t.Errorf("%s: no memory is set aside for a picture in use", name)
			}
			done()
		}
		allBack(t, name)
	}
	defer func(c codec) { codecs["png"] = c }(codecs["png"])
	open := func([]byte, Limits) (*file, error) { panic("index out of range") }
	decode := func([]byte, Limits) (*file, error) {
		return &file{width: 1, height: 1, bytes: 99,
			decode: func(context.Context, Limits) (Source, error) { panic("index out of range") }}, nil
	}
	failing := func([]byte, Limits) (*file, error) {
		return &file{width: 1, height: 1, bytes: 99,
			decode: func(context.Context, Limits) (Source, error) { return nil, errors.New("index out of range") }}, nil
	}
	for name, c := range map[string]codec{"open": {"PNG", open}, "decode": {"PNG", decode}, "error": {"PNG", failing}} {
		codecs["png"] = c
		im, err := Decode([]byte("\x89PNG\r\n\x1a\n"), Limits{})
		if wantStatus(t, name, err, Unreadable, "damaged PNG file", "index out of range"); im != nil {
			t.Errorf("%s: an image beside an error", name)
		}
		allBack(t, name)
	}
}

// A decoder reads all of a file in pieces, and none after the end of the context.
func TestReaderEndsWithItsContext(t *testing.T) {
	for _, n := range []int{0, 1, 63, 64, 65, 1000, 1 << 16, 1<<22 + 1} {
		data := make([]byte, n)
		for i := range data {
			data[i] = uint8(i * 7)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := iotest.TestReader(newReader(context.Background(), data), data); err != nil {
			t.Errorf("%d bytes: %v", n, err)
		}
		if got, err := io.ReadAll(newReader(ctx, data)); err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: %d read, %v", n, len(got), err)
		}
		r := newReader(ctx, data)
		buf := make([]byte, n+1)
		got, _ := r.Read(buf)
		if most := max(64, min(n/64, 1<<16)); got != min(n, most) {
			t.Errorf("%d bytes: a piece of %d, want %d", n, got, min(n, most))
		}
		cancel()
		if got, err := r.Read(buf); got != 0 || !errors.Is(err, context.Canceled) {
			t.Errorf("%d bytes: %d read after the end, %v", n, got, err)
		}
	}
}

// The size declared is judged before anything is decoded.
func TestAllowed(t *testing.T) {
	for _, c := range []struct {
		w, h   int
		limit  int64
		status Status
	}{
		{1, 1, 1, ""}, {30, 20, 600, ""}, {20, 30, 600, ""}, {30, 20, 599, TooLarge}, {601, 1, 600, TooLarge},
		{1, 601, 600, TooLarge},
		{0, 5, 0, Unreadable}, {5, 0, 0, Unreadable}, {-1, 5, 0, Unreadable}, {5, -1, 0, Unreadable}, {-5, -5, 0, Unreadable},
		{20000, 10000, 0, ""}, {20000, 10001, 0, TooLarge}, {20000, 10000, -1, ""}, {1 << 31, 1 << 31, 1 << 61, TooLarge},
		{1 << 31, 1 << 31, 1 << 62, ""},
	} {
		err := (&file{width: c.w, height: c.h}).allowed(Limits{MaxPixels: c.limit})
		if c.status == "" && err == nil {
			continue
		}
		wantStatus(t, fmt.Sprintf("%d × %d of %d", c.w, c.h, c.limit), err, c.status, fmt.Sprintf("%d × %d", c.w, c.h))
	}
}

// What each decoder says becomes a status and an advice.
func TestErrorsOfDecoders(t *testing.T) {
	for _, c := range []struct {
		err    error
		status Status
		words  []string
	}{
		{&DecodeError{TooLarge, "as it was"}, TooLarge, []string{"as it was"}},
		{ownjpeg.Unsupported("lossless JPEG"), Unsupported, []string{"lossless JPEG is not read here", "save it again"}},
		{heif.Unsupported("a sequence"), Unsupported, []string{"a sequence is not read here", "heif-convert"}},
		{bmp.Unsupported("a BMP of planes"), Unsupported, []string{"a BMP of planes is not read here", "save it again"}},
		{tiff.Unsupported("a TIFF of Lab"), Unsupported, []string{"a TIFF of Lab is not read here", "save it again"}},
		{jpeg.UnsupportedError("luma"), Unsupported, []string{"X with a feature", "luma", "save it again"}},
		{png.UnsupportedError("depth"), Unsupported, []string{"X with a feature", "depth", "save it again"}},
		{io.ErrUnexpectedEOF, Unreadable, []string{"truncated X file"}},
		{io.EOF, Unreadable, []string{"truncated X file"}},
		{jpeg.FormatError("short Huffman data"), Unreadable, []string{"truncated X file"}},
		{jpeg.FormatError("bad marker"), Unreadable, []string{"damaged X file", "bad marker"}},
		{errors.New("odd"), Unreadable, []string{"damaged X file: ", "odd"}},
	} {
		for _, err := range []error{c.err, fmt.Errorf("deeper: %w", c.err)} {
			if _, format := c.err.(jpeg.FormatError); format && err != c.err {
				continue
			}
			wantStatus(t, fmt.Sprintf("%T", c.err), codec{name: "X"}.failed(err), c.status, c.words...)
		}
	}
	for _, err := range []error{context.Canceled, context.DeadlineExceeded, fmt.Errorf("read: %w", context.Canceled)} {
		if got := (codec{name: "X"}).failed(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
	d := &DecodeError{Empty, "no bytes"}
	if status, reason := d.DecodeStatus(); status != "empty" || reason != "no bytes" || d.Error() != "empty: no bytes" {
		t.Errorf("%s, %s, %v", status, reason, d)
	}
}
