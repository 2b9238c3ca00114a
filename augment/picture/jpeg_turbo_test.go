package picture_test

import (
	"bytes"
	"math"
	"path/filepath"
	"testing"

	"finetune/augment"
	"finetune/augment/picture"
	"finetune/internal/picturetest"
	"finetune/internal/rng"
)

// needsTurbo skips a test that compares the decoders where there is one alone.
func needsTurbo(t *testing.T) {
	t.Helper()
	if picture.Decoder() != "turbojpeg" {
		t.Skip("skipped: no libjpeg-turbo; `make fetch` brings it to Linux")
	}
}

// goJPEG decodes as is done where libjpeg-turbo is not.
func goJPEG(t *testing.T, data []byte) *picture.Image {
	t.Helper()
	im, err := picture.Decode(data, picture.InGo(picture.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// levels is a Preprocess whose values are samples, 0 to 255.
func levels(size int) augment.Preprocess {
	return augment.Preprocess{Size: size, Std: [3]float32{1. / 255, 1. / 255, 1. / 255}}
}

func compare(t *testing.T, p augment.Preprocess, a, b *picture.Image) (worst, mean float64) {
	t.Helper()
	x, y := make([]float32, p.Len()), make([]float32, p.Len())
	if err := p.Valid(x, a); err != nil {
		t.Fatal(err)
	}
	if err := p.Valid(y, b); err != nil {
		t.Fatal(err)
	}
	for i := range x {
		d := math.Abs(float64(x[i] - y[i]))
		worst, mean = max(worst, d), mean+d
	}
	return worst, mean / float64(len(x))
}

// The bounds that package documentation states, on photographs and on the
// pictures of every chroma ratio that come with Go.
func TestDecodersAgree(t *testing.T) {
	needsTurbo(t)
	files := picturetest.Photographs(t, 20)
	photos := len(files)
	paths, err := filepath.Glob(filepath.Join(picturetest.GoPhotos(t), "*.jpeg"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range paths {
		files = append(files, picturetest.ReadFile(t, path))
	}
	for i, data := range files {
		turbo, plain := picture.MustDecode(t, data), goJPEG(t, data)
		bound := 0.1
		if i >= photos { // one lacks its last scans, which libjpeg smooths over
			bound = 0.3
		}
		worst, mean := picture.BytesDiffer(turbo.Pix, plain.Pix)
		if worst > 4 || mean > bound {
			t.Errorf("file %d, all pixels: worst %d, mean %.3f of 255", i, worst, mean)
		}
		if min(turbo.Width, turbo.Height) < 100 {
			continue
		}
		if worst, mean := compare(t, levels(100), turbo, plain); worst > 3 || mean > bound {
			t.Errorf("file %d, at 100: worst %.0f, mean %.3f of 255", i, worst, mean)
		}
	}
}

// Shrinking while decoding, at the factor of two that Load keeps in hand.
func TestShrunkDecodeAgrees(t *testing.T) {
	needsTurbo(t)
	for _, size := range []int{32, 64} {
		total, files := 0.0, picturetest.Photographs(t, 20)
		for i, data := range files {
			full := picture.MustDecode(t, data)
			small, err := picture.Decode(data, picture.Limits{MinSide: 2 * size})
			if err != nil {
				t.Fatal(err)
			}
			if small.Geometry().FullW == small.Width || min(small.Width, small.Height) < 2*size {
				t.Fatalf("%d × %d from %d × %d, wanted %d or more", small.Width, small.Height, full.Width, full.Height, 2*size)
			}
			_, mean := compare(t, levels(size), full, small)
			if total += mean; mean > 1.5 {
				t.Errorf("file %d at %d: mean %.3f of 255", i, size, mean)
			}
		}
		mean := total / float64(len(files))
		t.Logf("size %d: mean %.3f of 255", size, mean)
		if mean > 0.5 && len(files) > 1 {
			t.Errorf("size %d: mean %.3f of 255, bound 0.5", size, mean)
		}
	}
}

// A shrunk picture, turned, still lies where the whole one does.
func TestShrunkOrientations(t *testing.T) {
	needsTurbo(t)
	im := &picture.Image{Width: 151, Height: 117, Pix: make([]uint8, 3*151*117)} // eighths that are not whole
	for i := range 151 * 117 {
		x, y := float64(i%151), float64(i/151)
		im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2] = uint8(128+100*math.Sin(x/17)), uint8(128+100*math.Cos(y/13)), uint8(x+y/2)
	}
	data := picturetest.EncodeJPEG(t, picturetest.RGBA(im.Width, im.Height, im.Pix))
	for o := uint16(1); o <= 8; o++ {
		data := picturetest.WithEXIF(data, o)
		small, err := picture.Decode(data, picture.Limits{MinSide: 40})
		if err != nil || small.Geometry().FullW == small.Width {
			t.Fatalf("orientation %d: %v", o, err)
		}
		if worst, mean := compare(t, levels(20), picture.MustDecode(t, data), small); mean > 1 || worst > 8 {
			t.Errorf("orientation %d: worst %.0f, mean %.3f of 255", o, worst, mean)
		}
	}
}

// Files cut anywhere, and files with a damaged header, are refused, or not, as
// without libjpeg-turbo, in the same words. Damage inside the picture data is the
// exception that fastJPEG states.
func TestSameVerdict(t *testing.T) {
	needsTurbo(t)
	var files [][]byte
	for _, dir := range []string{picturetest.GoPhotos(t), filepath.Join("..", "..", "testdata", "images")} {
		paths, err := filepath.Glob(filepath.Join(dir, "*.jp*g"))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range paths {
			files = append(files, picturetest.ReadFile(t, path))
		}
	}
	s, refused := rng.New(11), 0
	const rounds = 2000
	for round := range rounds {
		data := bytes.Clone(files[s.Intn(len(files))])
		if round%2 == 0 {
			data = data[:3+s.Intn(len(data)-3)]
		} else if scan := bytes.LastIndex(data[:min(len(data), 700)], []byte{0xff, 0xda}); scan > 3 {
			data[3+s.Intn(scan-3)] = uint8(s.Uint64())
		}
		_, got := picture.Decode(data, picture.Limits{MaxPixels: 1 << 20, MinSide: 20})
		want := verdict(data)
		if (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
			t.Errorf("round %d: turbojpeg build: %v; Go build: %v", round, got, want)
		}
		if want != nil {
			refused++
		}
	}
	if refused < rounds/5 || refused > rounds*4/5 {
		t.Errorf("%d of %d files refused: the damage proves little", refused, rounds)
	}
}

// libjpeg-turbo has tables of its own for files that lack them; Go refuses those.
func TestMissingTables(t *testing.T) {
	needsTurbo(t)
	for _, name := range []string{"420.jpg", "420_progressive.jpg", "grey.jpg"} {
		data := picturetest.Image(t, name)
		for _, marker := range []byte{0xc4, 0xdb} {
			for at := 2; ; {
				i := bytes.Index(data[at:], []byte{0xff, marker})
				if i < 0 {
					break
				}
				at += i + 2
				for _, v := range []byte{0x01, 0x02, 0x11, 0x13} { // another table than the one meant
					cut := bytes.Clone(data)
					cut[at+2] = v
					_, got := picture.Decode(cut, picture.Limits{})
					if want := verdict(cut); (got == nil) != (want == nil) || got != nil && got.Error() != want.Error() {
						t.Errorf("%s, segment %#x at %d, table %#x: turbojpeg build: %v; Go build: %v", name, marker, at, v, got, want)
					}
				}
			}
		}
	}
}

func verdict(data []byte) error {
	_, err := picture.Decode(data, picture.InGo(picture.Limits{MaxPixels: 1 << 20}))
	return err
}
