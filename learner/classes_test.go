package learner

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"finetune/dataset"
	"finetune/plots"
)

// heard is a UI that keeps what is said.
type heard struct{ said, warned []string }

func (h *heard) Say(format string, args ...any) {
	h.said = append(h.said, fmt.Sprintf(format, args...))
}
func (h *heard) Warn(format string, args ...any) {
	h.warned = append(h.warned, fmt.Sprintf(format, args...))
}
func (h *heard) Progress(string, string) (func(int, int), func()) {
	return func(int, int) {}, func() {}
}
func (h *heard) Header(...string) {}
func (h *heard) Row(...string)    {}

func item(path string, label int, digest string) dataset.Item {
	return dataset.Item{Path: path, Label: label, Digest: digest}
}

func TestTellData(t *testing.T) {
	ui := &heard{}
	set := &dataset.Set{Classes: []string{"ants", "new\nline"}, Train: []dataset.Item{item("a", 0, ""), item("b", 1, ""), item("c", 1, "")}, Valid: []dataset.Item{item("d", 0, "")}, Notes: []string{"note"}, Warnings: []string{"odd"}}
	l := &Learner{Set: set, ui: ui, Config: Config{Data: DataConfig{Labels: "x.csv"}}}
	l.tellData()
	want := "data       x.csv: 3 train, 1 valid, 0 test photographs in 2 classes\n" +
		"classes    ants             1 train      1 valid\n" +
		"           \"new\\nline\"      2 train      0 valid\n" +
		"layout     note"
	if got := strings.Join(ui.said, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(ui.warned) != 1 || ui.warned[0] != "odd" {
		t.Errorf("warned %q", ui.warned)
	}
}

func TestManyClassesFitTheScreen(t *testing.T) {
	counts := make([]dataset.Count, 1200)
	for i := range counts {
		counts[i] = dataset.Count{Class: fmt.Sprint("c", i), Train: 5 + i%7, Valid: 1}
	}
	counts[700].Train = 1
	lines := classLines(counts, false)
	if len(lines) != 2 || lines[1] != "fewest c700 (1 train, 1 valid), most c6 (11 train, 1 valid)" {
		t.Errorf("%q", lines)
	}
}

func TestCheckLeft(t *testing.T) {
	sound := func() (*Learner, *Features, *heard) {
		ui := &heard{}
		train := []dataset.Item{item("t/a1", 0, "1"), item("t/a2", 0, "2"), item("t/b1", 1, "3"), item("t/b2", 1, "4")}
		valid := []dataset.Item{item("v/a", 0, "5"), item("v/b", 1, "6")}
		set := &dataset.Set{Classes: []string{"a", "b"}, Train: train, Valid: valid}
		return &Learner{Set: set, ui: ui}, &Features{Train: split{items: train}, Valid: split{items: valid}}, ui
	}
	l, f, ui := sound()
	if err := l.checkLeft(f); err != nil || len(ui.warned) > 0 {
		t.Errorf("a sound set: %v, %q", err, ui.warned)
	}
	l, f, _ = sound()
	f.Train.items = f.Train.items[:2]
	f.Skipped = []Skipped{{"train", "t/b1", "unreadable", "torn"}}
	if err := l.checkLeft(f); err == nil || !strings.Contains(err.Error(), `class "b": none of its 2 training photographs can be read (t/b1: torn)`) {
		t.Error(err)
	}
	for want, change := range map[string]func(f *Features){
		`class "b": one of its 2 training photographs can be read`:      func(f *Features) { f.Train.items = f.Train.items[:3] },
		`class "b": none of its 1 validation photographs can be read`:   func(f *Features) { f.Valid.items = f.Valid.items[:1] },
		"2 of 2 validation photographs are training photographs too":    func(f *Features) { f.Valid.items = []dataset.Item{item("v/a", 0, "1"), item("v/b", 1, "3")} },
		"1 photographs are there again under another label (t/a1 and v": func(f *Features) { f.Valid.items = append(f.Valid.items[:1:1], item("v/x", 1, "1")) },
		"under another label (t/a2 and t/b3)":                           func(f *Features) { f.Train.items = append(f.Train.items[:4:4], item("t/b3", 1, "2")) },
	} {
		l, f, ui := sound()
		change(f)
		err := l.checkLeft(f)
		if warned := strings.Join(ui.warned, "\n"); err != nil || !strings.Contains(warned, want) {
			t.Errorf("no %q in %q, %v", want, warned, err)
		}
	}
}

func TestMajority(t *testing.T) {
	items := []dataset.Item{item("1", 1, ""), item("2", 1, ""), item("3", 0, "")}
	if m := majority(items, []string{"a", "b"}, false); m == nil || m.Class != "b" || m.Share != 2./3 {
		t.Errorf("%+v", m)
	}
	if majority(items, []string{"a", "b"}, true) != nil || majority(nil, []string{"a"}, false) != nil {
		t.Error("a majority of what has none")
	}
}

// What a spreadsheet would run is disarmed in a run's tables, and read back as it was.
func TestTablesDisarmFormulas(t *testing.T) {
	classes := []string{"-1", "=cmd|calc", "'=x"}
	r := &Run{Dir: t.TempDir()}
	rows := []Prediction{
		{Split: "valid", Path: "=a.jpg", Label: 1, Predicted: 2, LogProb: []float32{-1, -2, -3}},
		{Split: "train", Path: "'=b.jpg", Label: 0, Predicted: 0, LogProb: []float32{-1, -2, -3}},
	}
	if err := r.writePredictions(rows, classes, false, ""); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(r.Path(predictionsFile))
	want := "split,path,label,predicted,logp_-1,logp_=cmd|calc,logp_'=x\n" +
		"valid,'=a.jpg,'=cmd|calc,''=x,-1,-2,-3\ntrain,''=b.jpg,-1,-1,-1,-2,-3\n"
	if err != nil || string(data) != want {
		t.Errorf("%v\n%s\nwant\n%s", err, data, want)
	}
	var report plots.Report
	if err := gatherPredictions(r.Dir, Config{Classes: classes}, &report); err != nil {
		t.Fatal(err)
	}
	if p := report.Valid[0]; p.Path != "=a.jpg" || p.Label != 1 || report.TrainCount[0] != 1 {
		t.Errorf("read back %+v, %v", report.Valid, report.TrainCount)
	}
}
