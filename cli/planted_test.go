package cli

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/home"
	"finetune/internal/photos"
	"finetune/onnx"
	"finetune/onnx/bodies"
)

// planter writes a data set of JPEG files, and remembers what is wrong with it.
type planter struct {
	t    *testing.T
	root string
	said []string // names of the planted files, and words of kinds that are of the whole set
}

func (p *planter) save(path string, im image.Image, quality int) {
	p.t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, im, &jpeg.Options{Quality: quality}); err != nil {
		p.t.Fatal(err)
	}
	p.write(path, b.Bytes())
}

func (p *planter) write(path string, data []byte) {
	p.t.Helper()
	file := filepath.Join(p.root, filepath.FromSlash(path))
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		p.t.Fatal(err)
	}
	if err := os.WriteFile(file, data, 0o666); err != nil {
		p.t.Fatal(err)
	}
}

// plant is save of a photograph that should be found.
func (p *planter) plant(path string, im image.Image, quality int) {
	p.save(path, im, quality)
	p.said = append(p.said, filepath.Base(path))
}

// The qualities that the two classes are saved at where the files give a class away.
const (
	redSaved  = 90
	blueSaved = 82
)

// picture is number n of a class: 0 is red, 2 is green, 3 is blue.
func picture(class, n int) image.Image { return photos.Draw(class, n, 160+n%7, 120+n%5) }

// clean writes a data set without faults.
func (p *planter) clean() {
	for class, name := range map[int]string{0: "red", 3: "blue"} {
		for n := range 60 {
			p.save(fmt.Sprintf("train/%s/%s-%x.jpg", name, name, 7919*(n+1)), picture(class, n), 90)
		}
		for n := range 20 {
			p.save(fmt.Sprintf("valid/%s/%s-%x.jpg", name, name, 104729*(n+1)), picture(class, 1000+n), 90)
		}
	}
}

func changed(im image.Image, at func(x, y int, size image.Point) (int, int), light int) image.Image {
	size := im.Bounds().Size()
	out := image.NewRGBA(im.Bounds())
	for y := range size.Y {
		for x := range size.X {
			u, v := at(x, y, size)
			r, g, b, _ := im.At(u, v).RGBA()
			plus := func(c uint32) uint8 { return uint8(min(int(c>>8)+light, 255)) }
			out.Set(x, y, color.RGBA{plus(r), plus(g), plus(b), 255})
		}
	}
	return out
}

func filled(of func(x, y int) color.Color) image.Image {
	im := image.NewRGBA(image.Rect(0, 0, 160, 120))
	for y := range 120 {
		for x := range 160 {
			im.Set(x, y, of(x, y))
		}
	}
	return im
}

// faults plants twenty of seven kinds: wrong labels, leaked copies, copies with two labels, odd photographs,
// photographs that are bad at first sight, a class that shows in its files, a small class.
func (p *planter) faults() {
	same := func(x, y int, _ image.Point) (int, int) { return x, y }
	mirrored := func(x, y int, size image.Point) (int, int) { return size.X - 1 - x, y }
	for n := range 3 {
		p.plant(fmt.Sprintf("train/blue/wrong-%d.jpg", n), picture(0, 2000+n), redSaved)
		p.plant(fmt.Sprintf("train/red/mixed-%d.jpg", n), picture(3, 2100+n), blueSaved)
	}
	p.plant("valid/red/leak-a.jpg", picture(0, 3), redSaved)
	p.plant("valid/red/leak-b.jpg", changed(picture(0, 4), mirrored, 0), redSaved)
	p.plant("valid/blue/leak-c.jpg", changed(picture(3, 5), same, 25), blueSaved)
	p.plant("train/blue/twice-a.jpg", picture(0, 9), redSaved)
	p.plant("train/red/twice-b.jpg", changed(picture(3, 11), mirrored, 0), blueSaved)
	r := rand.New(rand.NewPCG(1, 2))
	p.plant("train/red/odd-page.jpg", filled(func(x, y int) color.Color {
		if y%12 < 6 && x%5 < 3 && r.IntN(4) > 0 {
			return color.Black
		}
		return color.White
	}), redSaved)
	p.plant("valid/blue/odd-board.jpg", filled(func(x, y int) color.Color {
		return color.Gray{uint8(255 * ((x/20 + y/20) % 2))}
	}), blueSaved)
	p.plant("train/red/black.jpg", filled(func(x, y int) color.Color { return color.Gray{uint8(x % 3)} }), redSaved)
	p.plant("train/blue/one-colour.jpg", filled(func(x, y int) color.Color { return color.RGBA{90, 120, 160, 255} }),
		blueSaved)
	p.plant("train/blue/narrow.jpg", photos.Draw(3, 4000, 240, 40), blueSaved)
	p.write("train/red/broken.jpg", []byte("\xff\xd8\xff\xe0 no picture"))
	p.write("train/blue/empty.jpg", nil)
	p.said = append(p.said, "broken.jpg", "empty.jpg")
	for n := range 6 { // a small class
		p.save(fmt.Sprintf("train/green/green-%x.jpg", 7919*(n+1)), picture(2, n), 90)
		p.save(fmt.Sprintf("valid/green/green-%x.jpg", 104729*(n+1)), picture(2, 1000+n), 90)
	}
	p.said = append(p.said, "green (6")
	for n := range 60 { // a class that was saved by another program
		p.save(fmt.Sprintf("train/blue/blue-%x.jpg", 7919*(n+1)), picture(3, n), blueSaved)
	}
	for n := range 20 {
		p.save(fmt.Sprintf("valid/blue/blue-%x.jpg", 104729*(n+1)), picture(3, 1000+n), blueSaved)
	}
	p.said = append(p.said, "nearly gives it away")
}

// trained trains on a planter's data with the installed body and returns the terminal's text and the report.
func (p *planter) trained() (text, page string) {
	p.t.Helper()
	run := filepath.Join(p.t.TempDir(), "run")
	var out bytes.Buffer
	code := Main(context.Background(), []string{"finetune", "train", p.root, "--run", run, "--body",
		"efficientnet-lite0", "-q", "--max-bad", "0.1"}, Streams{Out: &out, Err: &out, In: strings.NewReader("")})
	if code != 0 {
		p.t.Fatalf("exit code %d: %s", code, out.String())
	}
	html, err := os.ReadFile(filepath.Join(run, "report", "index.html"))
	if err != nil {
		p.t.Fatal(err)
	}
	return out.String(), string(html)
}

// A new user who runs train and nothing else finds each of twenty planted faults, by the closing lines and the
// report. Of clean photographs they say nothing.
func TestTrainFindsPlantedFaults(t *testing.T) {
	if _, err := onnx.FindLibrary("cpu"); err != nil {
		t.Skipf("skipped: %v", err)
	}
	if _, err := bodies.Resolve("efficientnet-lite0", bodies.Override{}); err != nil {
		t.Skipf("skipped, as features of a pretrained network are needed: %v", err)
	}
	here := t.TempDir() // where no audit was kept
	for _, name := range []string{"bodies", "runtime"} {
		if err := os.Symlink(home.Path(name), filepath.Join(here, name)); err != nil {
			t.Skipf("skipped: %v", err)
		}
	}
	t.Setenv("FINETUNE_HOME", here)
	clean := &planter{t: t, root: t.TempDir()}
	clean.clean()
	text, page := clean.trained()
	if n := strings.Count(text, "\n"); n >= 12 || strings.Contains(text, "audit") || strings.Contains(page, `id="audit"`) {
		t.Errorf("of clean photographs, %d lines:\n%s", n, text)
	}
	p := &planter{t: t, root: t.TempDir()}
	p.clean()
	p.faults()
	text, page = p.trained()
	if len(p.said) < 20 {
		t.Fatalf("%d faults are planted", len(p.said))
	}
	at := strings.Index(page, `<section id="audit">`)
	if at < 0 {
		t.Fatalf("no section in the report:\n%s", text)
	}
	section, _, _ := strings.Cut(page[at:], "</section>")
	for _, want := range p.said {
		if !strings.Contains(text+section, want) {
			t.Errorf("neither the closing lines nor the report's section name %s", want)
		}
	}
	if t.Failed() {
		t.Log(text)
	}
	for _, kind := range []string{"label", "copy", "metadata", "odd", "basic", "balance"} {
		if !strings.Contains(text, "\n"+kind+" ") {
			t.Errorf("no closing line of kind %s:\n%s", kind, text)
		}
	}
}
