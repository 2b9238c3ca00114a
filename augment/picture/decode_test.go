package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/image/bmp"
	"golang.org/x/image/tiff"

	"finetune/internal/picturetest"
)

func wantStatus(t *testing.T, name string, err error, status Status, words ...string) {
	t.Helper()
	var d *DecodeError
	if !errors.As(err, &d) || d.Status != status {
		t.Errorf("%s: %v; want status %s", name, err, status)
		return
	}
	for _, w := range words {
		if !strings.Contains(d.Reason, w) {
			t.Errorf("%s: reason %q does not say %q", name, d.Reason, w)
		}
	}
}

func TestStatuses(t *testing.T) {
	photo := picturetest.Image(t, "420.jpg")
	ftypBox := func(brands string) []byte {
		b := binary.BigEndian.AppendUint32(nil, uint32(8+len(brands)))
		return append(append(b, "ftyp"+brands...), make([]byte, 64)...)
	}
	for _, c := range []struct {
		name   string
		data   []byte
		status Status
		words  []string
	}{
		{"no bytes", nil, Empty, nil},
		{"text", []byte("hello, world"), Unreadable, []string{"not an image", "hello"}},
		{"one byte", []byte{0xff}, Unreadable, nil},
		{"truncated JPEG", photo[:len(photo)*2/3], Unreadable, []string{"truncated JPEG"}},
		{"JPEG without its last marker", photo[:len(photo)-2], Unreadable, []string{"truncated JPEG"}},
		{"JPEG header alone", photo[:20], Unreadable, nil},
		{"HEIC", ftypBox("heic\x00\x00\x00\x00mif1heic"), Unsupported, []string{"still picture", "heif-convert", "jpg"}},
		{"HEIC by compatible brand", ftypBox("mif1\x00\x00\x00\x00heix"), Unsupported, []string{"HEIF"}},
		{"AVIF", ftypBox("avif\x00\x00\x00\x00mif1miaf"), Unsupported, []string{"HEIF"}},
		{"video", ftypBox("isom\x00\x00\x00\x00mp41"), Unsupported, []string{"video"}},
		{"JPEG XL", []byte("\xff\x0a\x00\x00"), Unsupported, []string{"JPEG XL"}},
		{"PDF", []byte("%PDF-1.7"), Unsupported, []string{"PDF"}},
		{"animated WebP without a frame",
			append([]byte("RIFF\x40\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x02"), make([]byte, 40)...), Unreadable,
			[]string{"animation"}},
		{"Git LFS", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n"), Unreadable,
			[]string{"git lfs pull"}},
		{"DICOM", append(append(make([]byte, 128), "DICM"...), make([]byte, 99)...), Unsupported, []string{"DICOM"}},
		{"ONNX Runtime", append([]byte("\x20\x00\x00\x00ORTM"), make([]byte, 99)...), Unsupported, []string{".ort"}},
		{"PPM", []byte("P6\n1 1\n255\n\x00\x00\x00"), Unsupported, []string{"PPM", "magick"}},
		{"TGA", append([]byte("\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x02\x00\x18\x00"),
			make([]byte, 12)...), Unsupported, []string{"TGA"}},
		{"PCX", []byte("\x0a\x05\x01\x08\x00\x00"), Unsupported, []string{"PCX"}},
		{"icon", []byte("\x00\x00\x01\x00\x01\x00\x10\x10"), Unsupported, []string{"ICO"}},
		{"web page", []byte("<!DOCTYPE html><html><body>403</body></html>"), Unreadable, []string{"web page"}},
		{"SVG with a header", []byte("<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>"), Unsupported,
			[]string{"SVG"}},
		{"AVI", []byte("RIFF\x40\x00\x00\x00AVI LIST"), Unsupported, []string{"video", "ffmpeg"}},
		{"zeros", make([]byte, 500), Unreadable, []string{"zeros"}},
		{"arithmetic JPEG", bytes.Replace(photo, []byte{0xff, 0xc0}, []byte{0xff, 0xc9}, 1), Unsupported,
			[]string{"arithmetic-coded JPEG is not read here"}},
		{"lossless JPEG", bytes.Replace(photo, []byte{0xff, 0xc0}, []byte{0xff, 0xc3}, 1), Unsupported,
			[]string{"lossless JPEG is not read here"}},
		{"hierarchical JPEG", bytes.Replace(photo, []byte{0xff, 0xc0}, []byte{0xff, 0xc5}, 1), Unsupported,
			[]string{"hierarchical JPEG is not read here"}},
		{"JPEG of 12 bits", bytes.Replace(photo, []byte{0xff, 0xc0, 0, 17, 8}, []byte{0xff, 0xc1, 0, 17, 12}, 1), Unsupported,
			[]string{"JPEG of 12 bits a sample is not read here"}},
	} {
		_, err := Decode(c.data, Limits{})
		wantStatus(t, c.name, err, c.status, c.words...)
		var d *DecodeError
		if errors.As(err, &d) && strings.ContainsRune(d.Reason, '\n') {
			t.Errorf("%s: the reason has more than one line: %q", c.name, d.Reason)
		}
	}
}

// Every format cut anywhere is unreadable, and never a panic.
func TestTruncatedFiles(t *testing.T) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "images", "*.*"))
	if err != nil || len(paths) < 10 {
		t.Fatalf("%d images: %v", len(paths), err)
	}
	for _, path := range paths {
		data := picturetest.ReadFile(t, path)
		for n := 1; n < len(data); n += 1 + len(data)/97 {
			_, err := Decode(data[:n], Limits{})
			var d *DecodeError
			if err != nil && !errors.As(err, &d) {
				t.Errorf("%s cut to %d bytes: %v is no DecodeError", path, n, err)
			}
			if err == nil && n < len(data)/2 {
				t.Errorf("%s cut to %d of %d bytes was read", path, n, len(data))
			}
		}
	}
}

// The limit counts what a file declares, before memory is taken for it: these
// declare up to 65535 × 65535 pixels and hold none.
func TestDeclaredPixelsAreCapped(t *testing.T) {
	pngHeader := func(w, h uint32) []byte {
		chunk := append([]byte("IHDR"), binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)...)
		chunk = append(chunk, 8, 2, 0, 0, 0)
		b := append([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), chunk...)
		return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(chunk))
	}
	for name, data := range map[string][]byte{
		"png":  pngHeader(60000, 60000),
		"png2": pngHeader(1<<31-1, 1<<31-1),
		"gif":  []byte("GIF89a\xff\xff\xff\xff\x00\x00\x00,\x00\x00\x00\x00\xff\xff\xff\xff\x00\x08"),
		"jpeg": []byte("\xff\xd8\xff\xc0\x00\x11\x08\xff\xff\xff\xff" +
			"\x03\x01\x22\x00\x02\x11\x01\x03\x11\x01\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"),
		"bmp": append([]byte("BM\x00\x00\x00\x00\x00\x00\x00\x00\x36\x00\x00\x00\x28\x00\x00\x00"+
			"\x60\xea\x00\x00\x60\xea\x00\x00\x01\x00\x18\x00"), make([]byte, 64)...),
	} {
		allocated := testing.AllocsPerRun(1, func() {
			_, err := Decode(data, Limits{})
			if name != "png2" || err == nil { // png2 overflows an int in image/png first
				wantStatus(t, name, err, TooLarge, "limit", "200000000", "--max-pixels")
			}
		})
		if allocated > 1000 {
			t.Errorf("%s: %v allocations for a refusal", name, allocated)
		}
	}
	data := picturetest.EncodePNG(t, noise(30, 20, 1).rgba())
	if _, err := Decode(data, Limits{MaxPixels: 600}); err != nil {
		t.Errorf("600 pixels at a limit of 600: %v", err)
	}
	_, err := Decode(data, Limits{MaxPixels: 599})
	wantStatus(t, "599", err, TooLarge, "30 × 20", "599")
}

// The photographs of GOROOT/src/image/testdata: every file decodes, and gives
// the picture stored losslessly beside it within the loss of its format.
func TestGoPhotographs(t *testing.T) {
	dir := picturetest.GoPhotos(t)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	compared := 0
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		im, err := Decode(picturetest.ReadFile(t, dir, e.Name()), Limits{})
		if err != nil {
			t.Errorf("%s: %v", e.Name(), err)
			continue
		}
		lossless := "video-001.png"
		if strings.Contains(e.Name(), "gray") {
			lossless = "video-005.gray.png"
		} else if _, err := os.Stat(filepath.Join(dir,
			strings.TrimSuffix(e.Name(), filepath.Ext(e.Name()))+".png")); err == nil {
			lossless = strings.TrimSuffix(e.Name(), filepath.Ext(e.Name())) + ".png"
		}
		original := mustDecode(t, picturetest.ReadFile(t, dir, lossless))
		if im.Width != original.Width || im.Height != original.Height {
			continue
		}
		compared++
		if _, mean := bytesDiffer(im.Pix, original.Pix); mean > 12 { // quality 50 and palettes are this far
			t.Errorf("%s: mean difference %.2f of 255 from %s", e.Name(), mean, lossless)
		}
	}
	if compared < 30 {
		t.Errorf("%d pictures compared, 30 or more expected", compared)
	}
}

// Formats by content, whatever the name says; kinds of pixels composited on white.
func TestKindsOfPixels(t *testing.T) {
	r := image.Rect(0, 0, 3, 2)
	half := color.NRGBA{200, 100, 0, 128}
	nrgba, nrgba64, gray16 := image.NewNRGBA(r), image.NewNRGBA64(r), image.NewGray16(r)
	rgba, paletted := image.NewRGBA(r), image.NewPaletted(r, color.Palette{half, color.White})
	for i := range 6 {
		nrgba.Set(i%3, i/3, half)
		nrgba64.Set(i%3, i/3, color.NRGBA64{0x12ff, 0xffff, 0x00ff, 0xffff})
		gray16.Set(i%3, i/3, color.Gray16{0x12ff})
		rgba.Set(i%3, i/3, half)
	}
	encode := func(f func(*bytes.Buffer) error) []byte {
		var b bytes.Buffer
		if err := f(&b); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	onWhite := [3]uint8{227, 177, 127} // (200*128 + 255*127)/255 and so on
	for _, c := range []struct {
		name string
		data []byte
		want [3]uint8
	}{
		{"png straight alpha", picturetest.EncodePNG(t, nrgba), onWhite},
		{"png palette alpha", picturetest.EncodePNG(t, paletted), onWhite},
		{"png 16 bits keeps the high byte", picturetest.EncodePNG(t, nrgba64), [3]uint8{0x12, 0xff, 0}},
		{"png 16-bit grey", picturetest.EncodePNG(t, gray16), [3]uint8{0x12, 0x12, 0x12}},
		{"tiff 16-bit grey", encode(func(b *bytes.Buffer) error { return tiff.Encode(b, gray16, nil) }),
			[3]uint8{0x12, 0x12, 0x12}},
		{"tiff alpha", encode(func(b *bytes.Buffer) error { return tiff.Encode(b, nrgba, nil) }), onWhite},
		{"bmp", encode(func(b *bytes.Buffer) error { return bmp.Encode(b, nrgba64) }), [3]uint8{0x12, 0xff, 0}},
		{"gif", encode(func(b *bytes.Buffer) error {
			return gif.EncodeAll(b,
				&gif.GIF{Image: []*image.Paletted{image.NewPaletted(r, color.Palette{color.RGBA{9, 8, 7, 255}, color.White})},
					Delay: []int{0}})
		}), [3]uint8{9, 8, 7}},
	} {
		im := mustDecode(t, c.data)
		if im.Width != 3 || im.Height != 2 || [3]uint8(im.Pix[:3]) != c.want || [3]uint8(im.Pix[15:]) != c.want {
			t.Errorf("%s: %d × %d, first pixel %v, want %v", c.name, im.Width, im.Height, im.Pix[:3], c.want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("..", "..", "testdata", "images", "*.*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		f.Add(picturetest.ReadFile(f, path))
	}
	f.Add(picturetest.WithEXIF(picturetest.Image(f, "420.jpg"), 6))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := Limits{MaxPixels: 1 << 16, MinSide: 8}
		im, err := Decode(data, l)
		var d *DecodeError
		if err != nil {
			if !errors.As(err, &d) || d.Reason == "" {
				t.Fatalf("%v (%T) is no DecodeError with a reason", err, err)
			}
			return
		}
		if err := im.Check(); err != nil {
			t.Fatal(err)
		}
	})
}

func ExampleDecode() {
	_, err := Decode([]byte("not a photograph"), Limits{})
	var d *DecodeError
	if errors.As(err, &d) {
		fmt.Println(d.Status)
	}
	// Output: unreadable
}

// A header alone sets aside no room for the picture it declares.
func TestTinyFilesOfLargePictures(t *testing.T) {
	var b bytes.Buffer
	if err := png.Encode(&b, image.NewGray(image.Rect(0, 0, 8, 8))); err != nil {
		t.Fatal(err)
	}
	large := b.Bytes()
	binary.BigEndian.PutUint32(large[16:], 7000)
	binary.BigEndian.PutUint32(large[20:], 7000)
	binary.BigEndian.PutUint32(large[29:], crc32.ChecksumIEEE(large[12:29]))
	photo := bytes.Clone(picturetest.Image(t, "420_progressive.jpg"))
	at := bytes.Index(photo, []byte{0xff, 0xc2})
	copy(photo[at+5:], []byte{7000 >> 8, 7000 & 0xff, 7000 >> 8, 7000 & 0xff})
	for name, data := range map[string][]byte{"PNG": large, "JPEG": photo} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Decode(data, Limits{})
		runtime.ReadMemStats(&after)
		wantStatus(t, name, err, Unreadable, "truncated "+name)
		if n := after.TotalAlloc - before.TotalAlloc; n > 1<<20 {
			t.Errorf("%s: %d bytes set aside for a file of %d", name, n, len(data))
		}
	}
	blank := new(bytes.Buffer) // what shrinks best is still read
	if err := png.Encode(blank, image.NewGray(image.Rect(0, 0, 4000, 4000))); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(blank.Bytes(), Limits{}); err != nil {
		t.Errorf("a blank PNG of %d bytes: %v", blank.Len(), err)
	}
}
