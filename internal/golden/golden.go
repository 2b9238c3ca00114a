// Package golden compares pictures and texts that a test made with those on file.
//
// `make golden`, or `go test ./plots -update`, rewrites the files. A failure
// leaves NAME.got.png and NAME.diff.png in a folder that its message names.
package golden

import (
	"bytes"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"finetune/internal/durable"
	"finetune/internal/plural"
)

var update = flag.Bool("update", os.Getenv("GOLDEN_UPDATE") != "", "rewrite golden files")

// PNG fails the test unless got decodes to the pixels of
// testdata/PACKAGE/name.png at the module root, PACKAGE being the folder the
// test runs in. Other processors than amd64 may fuse a multiplication and an
// addition, so there a value may differ by 2 of 255.
func PNG(t testing.TB, name string, got []byte) {
	t.Helper()
	want := onFile(t, name+".png", got)
	if want == nil {
		return
	}
	tolerance := 0
	if runtime.GOARCH != "amd64" {
		tolerance = 2
	}
	if message := compare(name, got, want, tolerance, filepath.Join(os.TempDir(), "finetune-golden")); message != "" {
		t.Error(message)
	}
}

// Text fails the test unless got is testdata/PACKAGE/name.txt at the module root.
func Text(t testing.TB, name, got string) {
	t.Helper()
	want := onFile(t, name+".txt", []byte(got))
	if want == nil || string(want) == got {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	at := 0
	for at < min(len(g), len(w)) && g[at] == w[at] {
		at++
	}
	line := func(lines []string) string { return strings.Join(lines[at:min(at+1, len(lines))], "") }
	t.Errorf("golden: %s: line %d is\n%s\nwant\n%s\nmake golden rewrites it", name, at+1, line(g), line(w))
}

// onFile is the golden file's content, nil where there is none or it was rewritten.
func onFile(t testing.TB, name string, got []byte) []byte {
	t.Helper()
	path, err := file(name)
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := durable.WriteFile(path, got); err != nil {
			t.Fatal(err)
		}
		return nil
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("golden: %s: %v; make golden writes it", name, err)
	}
	return want
}

// file is the golden file's path, found from the folder of the running test.
func file(name string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for root := dir; root != filepath.Dir(root); root = filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.mod")); err == nil {
			return filepath.Join(root, "testdata", filepath.Base(dir), name), nil
		}
	}
	return "", fmt.Errorf("golden: %s: no go.mod above it", dir)
}

// compare returns "" for equal pictures, otherwise what differs and where the
// evidence lies.
func compare(name string, got, want []byte, tolerance int, dir string) string {
	g, err := png.Decode(bytes.NewReader(got))
	if err != nil {
		return fmt.Sprintf("golden: %s: not a PNG: %v", name, err)
	}
	w, err := png.Decode(bytes.NewReader(want))
	if err != nil {
		return fmt.Sprintf("golden: %s: golden file is not a PNG: %v; make golden rewrites it", name, err)
	}
	diff, n := difference(g, w, tolerance)
	if n == 0 {
		return ""
	}
	base := filepath.Join(dir, strings.ReplaceAll(name, "/", "-"))
	var b bytes.Buffer
	if err := png.Encode(&b, diff); err != nil {
		return fmt.Sprintf("golden: %s: encode difference: %v", name, err)
	}
	for suffix, data := range map[string][]byte{".got.png": got, ".diff.png": b.Bytes()} {
		if err := durable.WriteFile(base+suffix, data); err != nil {
			return fmt.Sprintf("golden: %s: %v", name, err)
		}
	}
	return fmt.Sprintf("golden: %s: %s (%v, golden %v); look at %s.got.png and %s.diff.png, make golden "+
		"accepts the new picture", name, plural.Of(n, "pixel differs", "pixels differ"),
		g.Bounds().Size(), w.Bounds().Size(), base, base)
}

// difference marks in red, over a faded a, the pixels that b does not have.
func difference(a, b image.Image, tolerance int) (*image.NRGBA, int) {
	area := a.Bounds().Union(b.Bounds())
	out, n := image.NewNRGBA(area), 0
	for y := area.Min.Y; y < area.Max.Y; y++ {
		for x := area.Min.X; x < area.Max.X; x++ {
			at := image.Pt(x, y)
			p, q := color.NRGBAModel.Convert(a.At(x, y)).(color.NRGBA), color.NRGBAModel.Convert(b.At(x, y)).(color.NRGBA)
			if !at.In(a.Bounds()) || !at.In(b.Bounds()) || far(p, q, tolerance) {
				out.SetNRGBA(x, y, color.NRGBA{0xD0, 0, 0, 0xFF})
				n++
				continue
			}
			grey := color.GrayModel.Convert(p).(color.Gray).Y
			out.SetNRGBA(x, y, color.NRGBA{192 + grey/4, 192 + grey/4, 192 + grey/4, 0xFF})
		}
	}
	return out, n
}

func far(p, q color.NRGBA, tolerance int) bool {
	for _, d := range []int{int(p.R) - int(q.R), int(p.G) - int(q.G), int(p.B) - int(q.B), int(p.A) - int(q.A)} {
		if d > tolerance || -d > tolerance {
			return true
		}
	}
	return false
}
