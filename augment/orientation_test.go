package augment

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"image/jpeg"
	"slices"
	"testing"
)

// withEXIF adds an orientation to a JPEG or a PNG.
func withEXIF(data []byte, o uint16) []byte {
	ifd := []byte("MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01")
	ifd = append(binary.BigEndian.AppendUint16(ifd, o), 0, 0, 0, 0, 0, 0)
	if data[0] == 0xff {
		body := append([]byte("Exif\x00\x00"), ifd...)
		app1 := append(binary.BigEndian.AppendUint16([]byte{0xff, 0xe1}, uint16(len(body)+2)), body...)
		return slices.Concat(data[:2], app1, data[2:])
	}
	chunk := append([]byte("eXIf"), ifd...)
	full := binary.BigEndian.AppendUint32(nil, uint32(len(ifd)))
	full = binary.BigEndian.AppendUint32(append(full, chunk...), crc32.ChecksumIEEE(chunk))
	return slices.Concat(data[:33], full, data[33:]) // after the signature and IHDR
}

// One picture stored in the eight ways that cameras do gives one tensor.
func TestEightOrientationsOneTensor(t *testing.T) {
	// flat 16 × 16 blocks survive JPEG in any orientation
	blocks := &Image{Width: 96, Height: 64, Pix: make([]uint8, 3*96*64)}
	for i := range blocks.Width * blocks.Height {
		x, y := i%96/16, i/96/16
		for c := range 3 {
			blocks.Pix[3*i+c] = uint8(40 + x*25 + y*13*(c+1))
		}
	}
	inverse := []int{0, 1, 2, 3, 4, 5, 8, 7, 6}
	for _, kind := range []string{"png", "jpeg"} {
		for _, resample := range []string{NFNT, Area} {
			p := Preprocess{Size: 24, Mean: ImageNetMean, Std: ImageNetStd, Resample: resample}
			var want []float32
			for o := 1; o <= 8; o++ {
				stored := blocks.oriented(inverse[o]).rgba()
				data := encodePNG(t, stored)
				if kind == "jpeg" {
					var b bytes.Buffer
					if err := jpeg.Encode(&b, stored, &jpeg.Options{Quality: 100}); err != nil {
						t.Fatal(err)
					}
					data = b.Bytes()
				}
				got := make([]float32, p.Len())
				if err := p.Load(got, withEXIF(data, uint16(o)), Limits{}); err != nil {
					t.Fatal(err)
				}
				if want == nil {
					want = got
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s, %s, orientation %d: differs from orientation 1 by up to %g", kind, resample, o, worstDiff(got, want))
				}
			}
		}
	}
}

// Damaged metadata is no reason to refuse a photograph.
func TestBrokenEXIFIsIgnored(t *testing.T) {
	photo := readFile(t, "..", "testdata", "images", "420.jpg")
	want := mustDecode(t, photo)
	good := withEXIF(photo, 1)
	for i := 12; i < 6+32; i++ { // any byte of the EXIF block, from the byte order on
		for _, v := range []byte{0, 0x7f, 0xff} {
			data := bytes.Clone(good)
			data[i] = v
			im, err := Decode(data, Limits{})
			if err != nil {
				t.Fatalf("byte %d = %#x: %v", i, v, err)
			}
			if len(im.Pix) != len(want.Pix) {
				t.Fatalf("byte %d = %#x: %d samples", i, v, len(im.Pix))
			}
		}
	}
	if got := mustDecode(t, withEXIF(photo, 9)); !bytes.Equal(got.Pix, want.Pix) {
		t.Error("orientation 9, which does not exist, changed the picture")
	}
	if got := mustDecode(t, withEXIF(photo, 6)); got.Width != want.Height {
		t.Error("orientation 6 did not turn the picture")
	}
}
