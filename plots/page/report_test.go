package page

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"finetune/internal/plotstest"
	"finetune/plots"
)

const attack = `valid/ants/"><script>document.title='owned'</script><img src=x onerror=alert(1)>.jpg`

// run is a report with everything in it: a hostile file name, names of many
// scripts, a file that does not open, a duplicate, a mislabelled photograph.
func run(classes, n int) Report {
	r := Report{
		Title: "ants or bees", Classes: plotstest.ClassNames(classes), Valid: plotstest.Predictions(classes, n),
		TrainCount: plotstest.Sizes(classes, 124),
		TTA:        &TTA{Views: 4, Loss: 0.1612, Accuracy: 0.941}, History: plotstest.Epochs(7),
		StepLoss: plotstest.Falling(1.1, 0.18, 420),
		Groups:   []string{"early", "middle", "head"},
		Rates: [][]float64{plotstest.Cosine(1e-4, 60, 2, 3), plotstest.Cosine(1e-3, 60, 2, 3),
			plotstest.Cosine(1e-2, 60, 2, 3)},
		Gains:     plotstest.SomeGains().Steps,
		Augmented: &plots.Grid{Title: "One photograph, six random versions", Images: plotstest.Pictures(6)},
		Skipped: []Skipped{
			{"train/bees/empty.jpg", "empty", "0 bytes"},
			{attack, "unreadable", "invalid JPEG format: <b>missing</b> SOI marker"},
		},
		Distance: "cosine distance",
		Command:  `finetune train "my data/ants & bees" --seed 7 --cycles 3 --cycle-mult 2 --unfreeze --lrs 1e-4,1e-3,1e-2`,
		Body: Body{"efficientnet-lite0", "sha256:6f0c1e0d6d1fbc0b1f6b7a3cf8e7a9d2f6d1a1d7a2f6b9a65e4b7d5c3a2b1908",
			"Apache-2.0"},
		Seed: 7, Versions: []Fact{{"finetune", "1.0.0"}, {"ONNX Runtime", "1.32.0, CPU, 2 threads"}, {"Go", "1.26"}},
		Timings:  []Timing{{"activations", 4.13}, {"training", 2.2}, {"total", 6.9}},
		Warnings: []string{"valid/ has no photographs of <i>wasps</i>"},
	}
	f := plotstest.SomeRates()
	r.RateSearch = &f
	r.Load = func(path string) (image.Image, error) {
		if strings.Contains(path, "moved") {
			return nil, errors.New("no such file")
		}
		return plotstest.Picture(len(path) + int(path[len(path)-5])), nil
	}
	if n == 0 {
		return r
	}
	r.Valid[0].Path, r.Valid[1].Path, r.Valid[2].Path = attack, "valid/ants/蟻の写真 \u202egpj.jpg", "valid/ants/moved.jpg"
	k := 0
	for i := range r.Valid {
		p := &r.Valid[i]
		if i < 3 { // surely wrong: shown
			for c := range p.LogProbs {
				p.LogProbs[c] = -4 - float32(i)
			}
			p.LogProbs[classes-1] = -0.02
		}
		if p.Right() {
			continue
		}
		other := p.Predicted()
		labels := [][]int{{other, other, other}, {p.Label, other, p.Label}, {other, p.Label, other}}[k%3]
		for j, l := range labels {
			p.Neighbours = append(p.Neighbours, plots.Neighbour{Path: fmt.Sprintf("train/%d/%04d.jpg", l, 7*i+j), Label: l,
				Distance: 0.08 + 0.05*float64(j), Duplicate: k == 1 && j == 0})
		}
		k++
	}
	return r
}

func TestReport(t *testing.T) {
	dir := t.TempDir()
	if err := WriteReport(dir, run(2, 153)); err != nil {
		t.Fatal(err)
	}
	html := read(t, filepath.Join(dir, "index.html"))
	for _, want := range []string{
		"95 % interval", "accuracy of always predicting", "With test-time augmentation", "Look at its label",
		"Exact duplicate",
		"finetune train &#34;my data/ants &amp; bees&#34;", "6f0c1e0d6d1f", "invalid JPEG format", "蟻の写真",
		"cosine distance 0.08",
		"pictures of this page could not be opened", "not available", "&lt;i&gt;wasps",
	} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(html, "<script") || strings.Contains(html, "ZgotmplZ") ||
		regexp.MustCompile(`(src|href)="https?:`).MatchString(html) {
		t.Error("the page holds a script, a refused value or an outside address")
	}
	for _, m := range regexp.MustCompile(`href="([^"#][^"]*\.png)"`).FindAllStringSubmatch(html, -1) {
		if _, err := os.Stat(filepath.Join(dir, m[1])); err != nil {
			t.Errorf("the page links to a missing picture: %v", err)
		}
	}
	if strings.Count(html, "<img ") != strings.Count(html, `alt="`) || strings.Contains(html, `alt=""`) {
		t.Error("a picture has no words for those who cannot see it")
	}
	again := t.TempDir()
	if err := WriteReport(again, run(2, 153)); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(dir, "*"))
	for _, f := range files {
		if read(t, f) != read(t, filepath.Join(again, filepath.Base(f))) {
			t.Errorf("%s: bytes differ between two equal reports", filepath.Base(f))
		}
	}
}

// TestReportOfAnyShape: many classes, missing classes, empty groups, no
// photographs, labels: a page of bounded size, always.
func TestReportOfAnyShape(t *testing.T) {
	noLoad := run(3, 60)
	noLoad.Load = nil
	missing := run(5, 20)
	for i := range missing.Valid {
		missing.Valid[i].Label = 0
	}
	labels := run(4, 40)
	labels.Multi = true
	for i := range labels.Valid {
		labels.Valid[i].Labels = []int{i % 4, (i + 1) % 4}[:i%3%2+1]
	}
	perfect := run(2, 0)
	perfect.Valid = []plots.Prediction{{Path: "a.jpg", Label: 1, LogProbs: []float32{-9, 0}}}
	for name, r := range map[string]Report{
		"nothing": {}, "no photographs": run(2, 0), "no loader": noLoad, "absent classes": missing, "labels": labels,
		"no mistakes": perfect, "37 classes": run(37, 400), "1000 classes": run(1000, 3000),
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := WriteReport(dir, r); err != nil {
				t.Fatal(err)
			}
			html := read(t, filepath.Join(dir, "index.html"))
			if len(html) > 8<<20 {
				t.Errorf("the page has %d MB, want at most 8", len(html)>>20)
			}
			if !strings.HasSuffix(strings.TrimSpace(html), "</html>") {
				t.Error("the page is cut short")
			}
		})
	}
}

// A report written again with fewer classes keeps no gallery of the others.
// What a report writes it knows as its own, and nothing else.
func TestOwnFiles(t *testing.T) {
	dir := t.TempDir()
	if err := WriteReport(dir, run(3, 60)); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) < 10 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		if !OwnFile(f.Name()) {
			t.Errorf("%s is not known", f.Name())
		}
	}
	for _, name := range []string{"thesis.txt", "most-correct-of-all.png", "figure.png", "index.html.bak",
		"confusion.jpg"} {
		if OwnFile(name) {
			t.Errorf("%s is taken for one of ours", name)
		}
	}
}

func TestReportWrittenAgain(t *testing.T) {
	dir := t.TempDir()
	mine := filepath.Join(dir, "notes.png")
	if err := os.WriteFile(mine, []byte("not ours"), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, classes := range []int{3, 2} {
		if err := WriteReport(dir,
			Report{Classes: plotstest.ClassNames(classes), Valid: plotstest.Predictions(classes, 30)}); err != nil {
			t.Fatal(err)
		}
		for c := range 3 {
			_, err := os.Stat(filepath.Join(dir, fmt.Sprintf("most-correct-%d.png", c)))
			if there := err == nil; there != (c < classes) {
				t.Errorf("%d classes: gallery of class %d there: %v", classes, c, there)
			}
		}
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
}

func TestReportFolderInTheWay(t *testing.T) {
	file := filepath.Join(t.TempDir(), "report")
	if err := os.WriteFile(file, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := WriteReport(file, Report{}); err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v, want one that names %s", err, file)
	}
}

// TestThumbnailsAreBounded: no photograph is opened twice, none beyond the bound.
func TestThumbnailsAreBounded(t *testing.T) {
	var opened [1000]int
	var paths []string
	for i := range 2 * len(opened) {
		paths = append(paths, fmt.Sprint(i%len(opened)))
	}
	thumbs := thumbnails(paths, mostThumbs, func(p string) (image.Image, error) {
		var i int
		fmt.Sscan(p, &i)
		opened[i]++
		return plotstest.Picture(i), nil
	})
	for i, n := range opened {
		if want := map[bool]int{true: 1}[i < mostThumbs]; n != want {
			t.Errorf("photograph %d opened %d times, want %d", i, n, want)
		}
	}
	if b := thumbs["0"].card.Bounds(); max(b.Dx(), b.Dy()) > cardSide {
		t.Errorf("thumbnail of %v", b)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(bytes.ToValidUTF8(data, []byte("?")))
}
