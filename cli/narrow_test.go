package cli

import (
	"bytes"
	"fmt"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/durable"
	"finetune/internal/photos"
)

// writeGrey writes pictures of 16 bits, of which they use 0..255 times scale.
func writeGrey(t *testing.T, dir string, first, scale int) {
	t.Helper()
	for class, name := range []string{"circle", "square"} {
		for i := range 6 {
			im := photos.Draw(class, first+i, 40, 40)
			grey := image.NewGray16(im.Bounds())
			for at := range 40 * 40 {
				r, _, _, _ := im.At(at%40, at/40).RGBA()
				v := int(r>>8) * scale
				grey.Pix[2*at], grey.Pix[2*at+1] = byte(v>>8), byte(v)
			}
			var b bytes.Buffer
			check(t, png.Encode(&b, grey))
			check(t, durable.WriteFile(filepath.Join(dir, name, fmt.Sprintf("%d.png", i)), b.Bytes()))
		}
	}
}

// X-rays and the like that are black to the network are told, once, by each
// command that shows them to it; --depth-range makes of them what they are.
func TestNarrowPhotographs(t *testing.T) {
	b := newFaultBench(t)
	for _, set := range []struct {
		name  string
		scale int
	}{{"narrow", 1}, {"whole", 257}} {
		writeGrey(t, set.name+"/train", 0, set.scale)
		writeGrey(t, set.name+"/valid", 6, set.scale)
	}
	const told = "photographs look almost uniform: they have 16 bits or more per sample"
	train := []string{"--body", "tiny.onnx", "--epochs", "1", "--hidden", "8", "--no-report", "--cache"}
	for _, c := range []struct {
		args []string
		n    int
	}{
		{append([]string{"train", "narrow", "--run", "n"}, append(train, "c1")...), 24},
		{append([]string{"train", "whole", "--run", "w"}, append(train, "c2")...), 0},
		{append([]string{"train", "narrow", "--run", "a", "--depth-range", "auto"}, append(train, "c3")...), 0},
		{append([]string{"train", "narrow", "--run", "m", "--depth-range", "0,255"}, append(train, "c4")...), 0},
		{[]string{"precompute", "narrow", "--body", "tiny.onnx", "--cache", "c5"}, 24},
		{[]string{"score", "run", "narrow/valid", "--no-cache", "-o", "s.csv"}, 12},
		{[]string{"score", "a", "narrow/valid", "--no-cache", "-o", "s2.csv"}, 0},
	} {
		code, out := b.call(c.args...)
		want := fmt.Sprintf("%d %s", c.n, told)
		if code != 0 || strings.Count(out, told) != min(c.n, 1) || c.n > 0 && !strings.Contains(out, want) {
			t.Errorf("%v: exit code %d, want %q\n%s", c.args, code, want, out)
		}
	}
	// The range that is named makes of the one set the other.
	whole, err := os.ReadFile("w/steps.csv")
	check(t, err)
	mapped, err := os.ReadFile("m/steps.csv")
	check(t, err)
	if !bytes.Equal(whole, mapped) {
		t.Errorf("trained by other steps:\n%s\n%s", whole, mapped)
	}
}
