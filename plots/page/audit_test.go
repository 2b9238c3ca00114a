package page

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/plotstest"
	"finetune/internal/uitest/browser"
)

// someAudit has each form of case: beside neighbours, pairs, single ones, texts and a table, a
// hostile name, a photograph that does not open, and more cases than are shown.
func someAudit() Audit {
	shot := func(k int) Shot {
		path := fmt.Sprintf("train/ants/%04d-a-long-name-without-any-blank-in-it.jpg", k)
		return Shot{Path: path, Label: "ants", Note: "train"}
	}
	a := Audit{Title: "ants or bees", Headline: "23 findings to look at", Warnings: []string{"<i>one</i>"},
		Tiles: []Tile{{"Photographs", "398", "245 to train"}, {"Doubtful labels", "4", "of 245"}},
		Load: func(path string) (image.Image, error) {
			if strings.Contains(path, "moved") {
				return nil, errors.New("no such file")
			}
			return plotstest.Picture(len(path) + int(path[len(path)-6])), nil
		}}
	labels := Section{ID: "label", Title: "Labels", Finding: "4 training labels are contradicted", Note: "How to read it."}
	for k := range 30 {
		c := Case{Text: "Labelled ants, by the others bees", Flagged: k < 4,
			Shots: []Shot{shot(k), shot(100 + k), shot(200 + k), shot(300 + k)}}
		c.Shots[0].Wrong, c.Shots[0].Said = true, "by the others: bees"
		labels.Cases = append(labels.Cases, c)
	}
	labels.Cases[0].Shots[0].Path, labels.Cases[1].Shots[0].Path = attack, "train/ants/moved.jpg"
	copies := Section{ID: "copy", Title: "Copies", Note: "Pairs."}
	single := Section{ID: "basic", Title: "At first sight", Note: "One by one.",
		Cases: []Case{{Text: "unreadable: " + attack}}}
	for k := range 3 {
		copies.Cases = append(copies.Cases,
			Case{Text: "equal files", Flagged: true, Shots: []Shot{shot(400 + k), shot(500 + k)}})
		single.Cases = append(single.Cases, Case{Text: "dark", Flagged: true, Shots: []Shot{shot(600 + k)}})
	}
	a.Sections = []Section{labels, copies, single, {ID: "sequence", Title: "Series", Note: "Not shown."},
		{ID: "balance", Title: "Classes", Note: "Sizes.", Columns: []string{"class", "photographs"},
			Table: [][]string{{"<b>ants</b>", "124 to train"}, {"bees", "121 to train"}}}}
	return a
}

func TestAudit(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "index.html")
	if err := WriteAudit(path, someAudit()); err != nil {
		t.Fatal(err)
	}
	html := read(t, path)
	for _, want := range []string{"12 more</summary>", "12 more in audit.csv", "by the others: bees",
		"&lt;b&gt;ants", "not available", `href="relabel.csv"`, `class="pair"`, `class="one"`, "&lt;i&gt;one"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if strings.Contains(html, "<script") || strings.Contains(html, "ZgotmplZ") || strings.Contains(html, "Not shown.") ||
		strings.Contains(html, `alt=""`) {
		t.Error("the page holds a script, a refused value, a note without findings or a picture without words")
	}
	again := filepath.Join(dir, "again.html")
	if err := WriteAudit(again, someAudit()); err != nil || read(t, again) != html {
		t.Errorf("two equal audits differ, or %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := WriteAudit(path, Audit{}); err != nil {
		t.Errorf("an audit of nothing: %v", err)
	}
}

func TestAuditInBrowser(t *testing.T) {
	ctx := browser.Start(t)
	path := filepath.Join(t.TempDir(), "index.html")
	if err := WriteAudit(path, someAudit()); err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{360, 1440} {
		for _, scheme := range []string{"light", "dark"} {
			t.Run(fmt.Sprintf("%d px/%s", width, scheme), func(t *testing.T) { visit(t, ctx, path, width, scheme, true) })
		}
	}
}

// A report shows what an audit found, and nothing where it found nothing.
func TestReportShowsTheAudit(t *testing.T) {
	dir := t.TempDir()
	write := func(sections []Section) string {
		if err := WriteReport(dir, Report{Classes: []string{"a", "b"}, Audit: sections}); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, "index.html"))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	if clean := write(nil); strings.Contains(clean, "Audit") || strings.Contains(clean, "audit-") {
		t.Error("a clean data set has a section")
	}
	cases := []Case{{Text: "Labelled a, by the others b", Flagged: true, Shots: []Shot{{Path: "x/<1>.jpg", Label: "a"}}}}
	got := write([]Section{{ID: "label", Title: "Labels", Finding: "3 labels.", Cases: cases, All: 9}})
	for _, want := range []string{`href="#audit"`, "3 labels.", "Labelled a, by the others b", "&lt;1&gt;.jpg",
		"8 more are listed by finetune audit"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s", want)
		}
	}
}
