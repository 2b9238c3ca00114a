package features

import (
	"fmt"
	"strings"
	"testing"

	"finetune/dataset"
	"finetune/internal/uitest"
	"finetune/learner/runs"
)

// heard is a UI that keeps what is said.
func item(path string, label int, digest string) dataset.Item {
	return dataset.Item{Path: path, Label: label, Digest: digest}
}

func TestTellData(t *testing.T) {
	ui := &uitest.Heard{}
	set := &dataset.Set{Classes: []string{"ants", "new\nline"},
		Train: []dataset.Item{item("a", 0, ""), item("b", 1, ""), item("c", 1, "")}, Valid: []dataset.Item{item("d", 0, "")},
		Notes: []string{"note"}, Warnings: []string{"odd"}}
	l := &Setup{Session: &SharedBody{}, Narrow: &NarrowPhotos{}, Set: set, UI: ui,
		Config: runs.Config{Data: runs.DataConfig{Labels: "x.csv"}}}
	Tell(l.UI, l.Config, l.Set)
	want := "data       x.csv: 3 train, 1 valid, 0 test photographs in 2 classes\n" +
		"classes    ants             1 train      1 valid\n" +
		"           \"new\\nline\"      2 train      0 valid\n" +
		"layout     note"
	if got := strings.Join(ui.Said, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if len(ui.Warned) != 1 || ui.Warned[0] != "odd" {
		t.Errorf("warned %q", ui.Warned)
	}
}

func TestManyClassesFitTheScreen(t *testing.T) {
	counts := make([]dataset.Count, 1200)
	for i := range counts {
		counts[i] = dataset.Count{Class: fmt.Sprint("c", i), Train: 5 + i%7, Valid: 1}
	}
	counts[700].Train = 1
	lines := classLines(counts)
	if len(lines) != 2 || lines[1] != "fewest c700 (1 train, 1 valid), most c6 (11 train, 1 valid)" {
		t.Errorf("%q", lines)
	}
}

func TestCheckLeft(t *testing.T) {
	sound := func() (*Setup, *Features, *uitest.Heard) {
		ui := &uitest.Heard{}
		train := []dataset.Item{item("t/a1", 0, "1"), item("t/a2", 0, "2"), item("t/b1", 1, "3"), item("t/b2", 1, "4")}
		valid := []dataset.Item{item("v/a", 0, "5"), item("v/b", 1, "6")}
		set := &dataset.Set{Classes: []string{"a", "b"}, Train: train, Valid: valid}
		return &Setup{Session: &SharedBody{}, Narrow: &NarrowPhotos{}, Set: set, UI: ui},
			&Features{Train: Split{Items: train}, Valid: Split{Items: valid}}, ui
	}
	l, f, ui := sound()
	if err := l.checkLeft(f); err != nil || len(ui.Warned) > 0 {
		t.Errorf("a sound set: %v, %q", err, ui.Warned)
	}
	l, f, _ = sound()
	f.Train.Items = f.Train.Items[:2]
	f.Skipped = []runs.Skipped{{Split: "train", Path: "t/b1", Status: "unreadable", Reason: "torn"}}
	if err := l.checkLeft(f); err == nil || !strings.Contains(err.Error(),
		`class "b": none of its 2 training photographs can be read (t/b1: torn)`) {
		t.Error(err)
	}
	for want, change := range map[string]func(f *Features){
		`class "b": only one of its 2 training photographs can be read`: func(
			f *Features) {
			f.Train.Items = f.Train.Items[:3]
		},
		`class "b": none of its 1 validation photograph can be read`: func(
			f *Features) {
			f.Valid.Items = f.Valid.Items[:1]
		},
		"2 of 2 validation photographs are also training photographs": func(
			f *Features) {
			f.Valid.Items = []dataset.Item{item("v/a", 0, "1"), item("v/b", 1, "3")}
		},
		"1 photograph appears again with another label (t/a1 and v": func(
			f *Features) {
			f.Valid.Items = append(f.Valid.Items[:1:1], item("v/x", 1, "1"))
		},
		"with another label (t/a2 and t/b3)": func(f *Features) {
			f.Train.Items = append(f.Train.Items[:4:4],
				item("t/b3", 1, "2"))
		},
	} {
		l, f, ui := sound()
		change(f)
		err := l.checkLeft(f)
		if warned := strings.Join(ui.Warned, "\n"); err != nil || !strings.Contains(warned, want) {
			t.Errorf("no %q in %q, %v", want, warned, err)
		}
	}
}

func TestMajority(t *testing.T) {
	items := []dataset.Item{item("1", 1, ""), item("2", 1, ""), item("3", 0, "")}
	if m := runs.MajorityOf(items, []string{"a", "b"}, false); m == nil || m.Class != "b" || m.Share != 2./3 {
		t.Errorf("%+v", m)
	}
	if runs.MajorityOf(items, []string{"a", "b"}, true) != nil || runs.MajorityOf(nil, []string{"a"}, false) != nil {
		t.Error("a majority of what has none")
	}
}
