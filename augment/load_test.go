package augment

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"finetune/augment/picture"
	"finetune/internal/picturetest"
)

// A photograph through Load, and through Decode and Valid, is one tensor.
func TestLoadIsDecodeAndValid(t *testing.T) {
	dir := picturetest.GoPhotos(t)
	for _, name := range []string{"video-001.jpeg", "video-001.q50.420.progressive.jpeg", "video-001.q50.422.jpeg",
		"video-001.q50.440.jpeg",
		"video-001.q50.411.jpeg", "video-001.cmyk.jpeg", "video-001.rgb.jpeg", "video-005.gray.jpeg", "video-001.png",
		"video-001.5bpp.gif"} {
		for _, resample := range []string{NFNT, Area} {
			p := Preprocess{Size: 60, Mean: ImageNetMean, Std: ImageNetStd, Resample: resample}
			data := picturetest.ReadFile(t, dir, name)
			got, want := make([]float32, p.Len()), make([]float32, p.Len())
			if err := p.Load(got, data, picture.Limits{}); err != nil {
				t.Fatal(err)
			}
			if err := p.Valid(want, mustDecode(t, data)); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, want) {
				t.Errorf("%s, %s: Load differs from Decode and Valid by up to %g", name, resample, worstDiff(got, want))
			}
		}
	}
}

// Load asks for a picture that may be shrunk to twice its size, except for the
// resampler that is exact on the file's own pixels, and maps samples as its own fields say.
func TestWhatLoadAsksFor(t *testing.T) {
	for _, c := range []struct {
		resample string
		size     int
		want     int
	}{{NFNT, 8, 16}, {NFNT, 224, 448}, {Area, 224, 0}, {Area, 8, 0}} {
		p := Preprocess{Size: c.size, Std: plain.Std, Resample: c.resample, Depth: picture.Depth{Auto: true}}
		asked := p.limits(picture.Limits{MinSide: 5, MaxPixels: 81, Depth: picture.Depth{Max: 7}})
		if asked.MinSide != c.want || asked.Depth != p.Depth || asked.MaxPixels != 81 {
			t.Errorf("%+v: asked for %+v", c, asked)
		}
	}
}

// Load gives back the memory that was set aside for a photograph: each of these takes
// 64 MiB, and 40 of them together more than all decodes may.
func TestLoadGivesMemoryBack(t *testing.T) {
	data, x := picturetest.Image(t, "small.heic"), make([]float32, plain.Len())
	for n := range 40 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if err := plain.Load(x, data, picture.Limits{Context: ctx}); err != nil {
			t.Fatalf("photograph %d: %v", n, err)
		}
		cancel()
	}
}

// Whatever is read as a photograph becomes a tensor or is refused as a photograph.
func FuzzLoad(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join("..", "testdata", "images", "*.*"))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		f.Add(picturetest.ReadFile(f, path))
	}
	f.Add(picturetest.WithEXIF(picturetest.Image(f, "420.jpg"), 6))
	f.Fuzz(func(t *testing.T, data []byte) {
		p := Preprocess{Size: 8, Mean: ImageNetMean, Std: ImageNetStd}
		x := make([]float32, p.Len())
		var d *picture.DecodeError
		if err := p.Load(x, data, picture.Limits{MaxPixels: 1 << 16}); err != nil && !errors.As(err, &d) {
			t.Fatalf("%v (%T) is no DecodeError", err, err)
		}
	})
}
