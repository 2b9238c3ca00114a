package check

import (
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"finetune/augment/picture"
	"finetune/dataset"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/plots/page"
)

// Findings come back as they were; what is damaged or of another format is found again.
func TestKeptFindings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audits", "one.json")
	if _, ok := readKept(path); ok {
		t.Fatal("found before it was written")
	}
	found := runs.Audit{Findings: []runs.Finding{{Kind: Label, Flagged: 3, Text: "3 labels"}, {Kind: Odd, Text: "none"}},
		Sections: []page.Section{{ID: Label, Title: "Labels", Cases: []page.Case{{Text: "a", Flagged: true,
			Shots: []page.Shot{{Path: "b.jpg", Label: "c", Wrong: true}}}}, All: 3}}}
	for _, want := range []*runs.Audit{&found, {}} {
		if err := writeKept(path, want); err != nil {
			t.Fatal(err)
		}
		if got, ok := readKept(path); !ok || !reflect.DeepEqual(got, want) {
			t.Errorf("%v, %v; want %v", got, ok, want)
		}
	}
	for _, text := range []string{"", "{", `{"format":1,"findings":[]}`, `{"format":3,"findings":3}`, `{"format":3}`} {
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		if got, ok := readKept(path); ok {
			t.Errorf("%q is read as %v", text, got)
		}
	}
}

// The file's name follows from photographs, labels, splits and classes.
func TestWhereFindingsAreKept(t *testing.T) {
	item := func(path, digest string, label int) dataset.Item {
		return dataset.Item{Path: path, Digest: digest, Label: label}
	}
	at := func(classes []string, train, valid []dataset.Item) string {
		s := &features.Setup{Set: &dataset.Set{Classes: classes}}
		p, err := keptAt(s, &features.Features{Train: features.Split{Items: train}, Valid: features.Split{Items: valid}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	limited := func(pixels int64) string {
		s := &features.Setup{Set: &dataset.Set{Classes: []string{"x", "y"}}}
		s.Config.Machine.MaxPixels = pixels
		p, err := keptAt(s, &features.Features{Train: features.Split{Items: []dataset.Item{item("a", "1", 0)}}})
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	if limited(0) == limited(1000) || limited(0) != limited(picture.DefaultMaxPixels) {
		t.Error("the file does not follow the limit on pixels")
	}
	a, b, ab := item("a", "1", 0), item("b", "2", 1), []string{"x", "y"}
	seen := map[string]int{}
	for i, p := range []string{
		at(ab, []dataset.Item{a, b}, nil), at(ab, []dataset.Item{a}, []dataset.Item{b}), at(ab, []dataset.Item{b, a}, nil),
		at(ab, []dataset.Item{item("a", "3", 0), b}, nil), at(ab, []dataset.Item{item("a", "1", 1), b}, nil),
		at(ab, []dataset.Item{item("c", "1", 0), b}, nil), at([]string{"x", "z"}, []dataset.Item{a, b}, nil),
	} {
		if j, twice := seen[p]; twice {
			t.Errorf("%d and %d have one file", i, j)
		}
		seen[p] = i
	}
	if _, again := seen[at(ab, []dataset.Item{a, b}, nil)]; !again {
		t.Error("equal photographs have two files")
	}
}
