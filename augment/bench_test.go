//go:build unix

package augment

import (
	"syscall"
	"testing"
	"time"

	"finetune/augment/picture"
	"finetune/internal/picturetest"
	"finetune/internal/rng"
)

// cpu returns the processor time this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// rotating runs f over files in turn and reports processor time an image, which
// other programs on the machine disturb less than wall time.
func rotating(b *testing.B, files [][]byte, f func(data []byte) error) {
	b.ReportAllocs()
	i := 0
	start := cpu(b)
	for b.Loop() {
		if err := f(files[i%len(files)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
	b.ReportMetric(float64((cpu(b)-start).Microseconds())/1000/float64(i), "cpu-ms/image")
}

// Columns: the decoder alone, the decoder with nfnt/resize to 256 on the smaller
// side (the figure of design section 4), and the whole way to a tensor at 224.
func BenchmarkDecodeResize(b *testing.B) {
	files := picturetest.Photographs(b, 64)
	p := Preprocess{Size: 224, Mean: ImageNetMean, Std: ImageNetStd}
	x := make([]float32, p.Len())
	b.Run("step=decode", func(b *testing.B) {
		rotating(b, files, func(data []byte) error { _, err := picture.Decode(data, picture.Limits{}); return err })
	})
	b.Run("step=decode+library256", func(b *testing.B) {
		rotating(b, files, func(data []byte) error {
			im, err := picture.Decode(data, picture.Limits{})
			if err == nil {
				w, h := scaledSize(im.Width, im.Height, 256)
				nfntLibrary(make([]uint8, 3*w*h), im, w, h)
			}
			return err
		})
	})
	b.Run("step=load224", func(b *testing.B) {
		rotating(b, files, func(data []byte) error { return p.Load(x, data, picture.Limits{}) })
	})
	p.Resample = Area
	b.Run("step=load224area", func(b *testing.B) {
		rotating(b, files, func(data []byte) error { return p.Load(x, data, picture.Limits{}) })
	})
}

// A 12-megapixel photograph, as telephones make.
func BenchmarkLargePhotograph(b *testing.B) {
	files := [][]byte{picturetest.EncodeJPEG(b, picturetest.RGBA(4000, 3000, picturetest.Noise(4000, 3000, 1)))}
	p := Preprocess{Size: 224, Mean: ImageNetMean, Std: ImageNetStd}
	x := make([]float32, p.Len())
	rotating(b, files, func(data []byte) error { return p.Load(x, data, picture.Limits{}) })
}

func BenchmarkAugmented(b *testing.B) {
	for _, resample := range []string{NFNT, Area} {
		b.Run("resample="+resample, func(b *testing.B) {
			im := mustDecode(b, picturetest.Photographs(b, 1)[0])
			p := Preprocess{Size: 224, Mean: ImageNetMean, Std: ImageNetStd, Resample: resample}
			pol, err := ParsePolicy("side-on", 1.1, 0, "")
			if err != nil {
				b.Fatal(err)
			}
			x := make([]float32, p.Len())
			seed := uint64(0)
			rotating(b, [][]byte{nil}, func([]byte) error {
				seed++
				return p.Augmented(x, im, pol, rng.New(seed))
			})
		})
	}
}
