package augment

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/rng"
)

// goPhotos is the folder of photographs that every Go installation has.
func goPhotos(t testing.TB) string {
	t.Helper()
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Skipf("no photographs: go env GOROOT: %v", err)
	}
	dir := filepath.Join(strings.TrimSpace(string(root)), "src", "image", "testdata")
	if _, err := os.Stat(dir); err != nil {
		t.Skipf("no photographs: %v; a Go installation with sources has them", err)
	}
	return dir
}

func readFile(t testing.TB, elem ...string) []byte {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func mustDecode(t testing.TB, data []byte) *Image {
	t.Helper()
	im, err := Decode(data, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return im
}

// noise is a synthetic picture: smooth colours with sharp random squares.
func noise(w, h int, seed uint64) *Image {
	s := rng.New(seed)
	im := &Image{Width: w, Height: h, Pix: make([]uint8, 3*w*h)}
	for y := range h {
		for x := range w {
			p := im.Pix[3*(y*w+x):]
			p[0], p[1], p[2] = uint8(x*255/w), uint8(y*255/h), uint8(128+(x-y)/4)
			if s.Intn(7) == 0 {
				p[0], p[1], p[2] = uint8(s.Intn(256)), uint8(s.Intn(256)), uint8(s.Intn(256))
			}
		}
	}
	return im
}

func (im *Image) rgba() *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, im.Width, im.Height))
	for i := range im.Width * im.Height {
		out.SetRGBA(i%im.Width, i/im.Width, color.RGBA{im.Pix[3*i], im.Pix[3*i+1], im.Pix[3*i+2], 255})
	}
	return out
}

func encodePNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// photographs reads up to n JPEGs of ../shared/data/hymenoptera, which is not
// part of the project, or else makes one of the usual size.
func photographs(t testing.TB, n int) [][]byte {
	t.Helper()
	paths, _ := filepath.Glob(filepath.Join("..", "..", "shared", "data", "hymenoptera", "val", "*", "*.jpg"))
	var files [][]byte
	for _, path := range paths[:min(n, len(paths))] {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := jpeg.DecodeConfig(bytes.NewReader(data)); err == nil { // one of them is a GIF
			files = append(files, data)
		}
	}
	if len(files) == 0 {
		t.Log("no photographs in ../shared/data/hymenoptera: one synthetic picture instead")
		files = append(files, encodeJPEG(t, noise(447, 298, 1)))
	}
	return files
}

func encodeJPEG(t testing.TB, im *Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im.rgba(), &jpeg.Options{Quality: 90}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
