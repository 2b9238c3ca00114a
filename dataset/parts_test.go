package dataset

import (
	"crypto/sha256"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"finetune/internal/failure"
)

// class is n photographs of a class, each of its own content.
func class(name string, n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[fmt.Sprintf("%s/%03d.jpg", name, i)] = fmt.Sprint(name, i)
	}
	return files
}

func merged(maps ...map[string]string) map[string]string {
	all := map[string]string{}
	for _, m := range maps {
		for k, v := range m {
			all[k] = v
		}
	}
	return all
}

// Of each class the nearest whole number to its share is held out, at least one, and one is left.
func TestShareOfEachClass(t *testing.T) {
	for _, share := range []float64{0.01, 0.2, 0.34, 0.5, 0.99} {
		sizes := map[string]int{"a": 2, "b": 3, "c": 5, "d": 10, "e": 21, "f": 1}
		files := map[string]string{}
		for name, n := range sizes {
			files = merged(files, class(name, n))
		}
		set := mustOpen(t, tree(t, files), Options{ValidPct: share, Seed: 3})
		for _, c := range set.Counts() {
			n := sizes[c.Class]
			want := int(math.Floor(share*float64(n) + 0.5))
			if want == 0 && n > 1 {
				want = 1
			}
			if want == n {
				want = n - 1
			}
			equal(t, fmt.Sprintf("%v of %d", share, n), []int{c.Train, c.Valid}, []int{n - want, want})
		}
		for _, it := range append(slices.Clone(set.Train), set.Valid...) {
			text, err := os.ReadFile(it.File)
			if err != nil {
				t.Fatal(err)
			}
			equal(t, it.Path, it.Digest, fmt.Sprintf("%x", sha256.Sum256(text)))
		}
		if !set.Drawn || !slices.IsSortedFunc(set.Valid, func(a, b Item) int { return strings.Compare(a.Path, b.Path) }) {
			t.Error("not drawn, or not sorted")
		}
	}
}

// Copies stay together, though the share is missed: three of one content cannot be half.
func TestCopiesThatDoNotFit(t *testing.T) {
	files := map[string]string{"a/1.jpg": "same", "a/2.jpg": "same", "a/3.jpg": "same", "a/4.jpg": "other", "b/1.jpg": "1",
		"b/2.jpg": "2"}
	for seed := range uint64(10) {
		set := mustOpen(t, tree(t, files), Options{ValidPct: 0.5, Seed: seed})
		if got := paths(set.Valid); !strings.HasPrefix(got, "a/4.jpg=0 b/") {
			t.Errorf("seed %d: %s", seed, got)
		}
	}
}

// Where content decides, one photograph more moves few others, and another name moves none.
func TestSplitIsSteady(t *testing.T) {
	files := merged(class("a", 40), class("b", 40))
	o := Options{ValidPct: 0.25, Seed: 11}
	names := func(files map[string]string) map[string]bool {
		held := map[string]bool{}
		for _, it := range mustOpen(t, tree(t, files), o).Valid {
			held[files[it.Path]] = true
		}
		return held
	}
	before := names(files)
	for i := range 3 {
		more := merged(files, map[string]string{"a/new.jpg": fmt.Sprint("new", i)})
		moved, after := 0, names(more)
		for _, text := range files {
			if before[text] != after[text] {
				moved++
			}
		}
		if moved > 1 {
			t.Errorf("%d photographs moved for one", moved)
		}
	}
	renamed := map[string]string{}
	for name, text := range files {
		renamed[strings.Replace(name, ".jpg", "x.png", 1)] = text
	}
	equal(t, "renamed", names(renamed), before)
}

// Photographs with several labels are told, and all of one content are on one side.
func TestSeveralPhotographsWithTwoLabels(t *testing.T) {
	files := merged(class("a", 20), class("b", 20), class("c", 20))
	for i := range 12 {
		text := fmt.Sprint("twice", i)
		files[fmt.Sprintf("a/t%02d.jpg", i)], files[fmt.Sprintf("b/t%02d.jpg", i)] = text, text
	}
	sides := map[string]int{}
	for seed := range uint64(5) {
		set := mustOpen(t, tree(t, files), Options{ValidPct: 0.3, Seed: seed})
		if w := strings.Join(set.Warnings, "\n"); !strings.Contains(w,
			"12 photographs have two labels each, the first: ") || !strings.Contains(w, ".jpg, b/t") {
			t.Errorf("warnings %s", w)
		}
		held := map[string]int{}
		for _, it := range set.Valid {
			held[files[it.Path]]++
		}
		for i := range 12 {
			n := held[fmt.Sprint("twice", i)]
			if n == 1 {
				t.Errorf("seed %d: twice%d is on both sides", seed, i)
			}
			sides[fmt.Sprint(n)]++
		}
		for _, c := range set.Counts() { // which take part in the share of their classes
			if want := map[string]int{"a": 10, "b": 10, "c": 6}[c.Class]; c.Valid != want {
				t.Errorf("seed %d: %d of %s held out, want %d", seed, c.Valid, c.Class, want)
			}
		}
	}
	if sides["0"] < 30 || sides["2"] < 8 { // of 60, drawn with 0.3
		t.Errorf("sides %v", sides)
	}
}

func TestCounts(t *testing.T) {
	set, err := openText(t,
		"path,label,split\np/1.jpg,a,train\np/2.jpg,b,train\np/3.jpg,a,valid\np/4.jpg,b,valid\np/5.jpg,a,test\np/6.jpg,x,"+
			"test\n", Options{})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "counts", set.Counts(), "[{a 1 1 1} {b 1 1 0}]")
	set, err = openText(t, "path,label,split\np/1.jpg,a;b,train\np/2.jpg,b,train\np/3.jpg,a,valid\np/4.jpg,,valid\np/"+
		"5.jpg,a;b,test\n", Options{LabelSep: ";"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "several labels", set.Counts(), "[{a 1 1 1} {b 2 0 1}]")
}

// What may be wrong with the classes is told by their names, five at most.
func TestWarningsOfClasses(t *testing.T) {
	for _, tt := range []struct {
		classes string // train and valid photographs of each
		want    string
	}{
		{"a:2:1 b:3:1", ""},
		{"a:2:1 b:2:0", `1 class has no validation photographs, so its accuracy is not known: "b"`},
		{"a:2:1 b:2:0 c:2:0", `2 classes have no validation photographs, so their accuracy is not known: "b", "c"`},
		{"a:2:1 b:2:0 c:2:0 d:2:0 e:2:0 f:2:0",
			`5 classes have no validation photographs, so their accuracy is not known: "b", "c", "d", "e", "f"`},
		{"a:1:1 b:2:1", `classes with only one training photograph; add more: "a"`},
		{"a:1:1 b:1:1 c:1:1 d:1:1 e:1:1 f:1:1",
			`classes with only one training photograph; add more: "a", "b", "c", "d", "e" and 1 more`},
	} {
		files := map[string]string{}
		for _, c := range strings.Fields(tt.classes) {
			p := strings.Split(c, ":")
			files = merged(files, class("train/"+p[0], int(p[1][0]-'0')), class("valid/"+p[0], int(p[2][0]-'0')))
		}
		root := tree(t, files)
		set := mustOpen(t, root, Options{})
		want := "[]"
		if tt.want != "" {
			want = "[dataset: " + root + ": " + tt.want + "]"
		}
		equal(t, tt.classes, set.Warnings, want)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	root := tree(t, merged(class("a", 3), class("b", 3)))
	for _, share := range []float64{-0.1, 1, 1.5, math.NaN(), math.Inf(1)} {
		if _, err := Open(root, Options{ValidPct: share}); failure.KindOf(err) != failure.UsageKind {
			t.Errorf("share %v: %v", share, err)
		}
	}
	_, csv := withCSV(t, "path,label\np/1.jpg,a\np/2.jpg,b\np/3.jpg,a\np/4.jpg,b\n")
	if _, err := Open(filepath.Join(root, "absent"), Options{Labels: csv, ValidPct: 0.5}); err == nil ||
		!strings.Contains(err.Error(), "absent") {
		t.Errorf("DATA that is not there: %v", err)
	}
	for _, o := range []Options{{Labels: "\xe9.csv"}, {Labels: csv + "\xe9"}} {
		if _, err := Open("", o); err == nil || !strings.Contains(err.Error(), "is not UTF-8") {
			t.Error(err)
		}
	}
	if _, _, err := Files(os.DevNull); err == nil ||
		!strings.Contains(err.Error(), os.DevNull+": neither a folder nor a file") && os.DevNull[0] == '/' {
		t.Error(err)
	}
	if _, _, err := Files(t.TempDir()); err == nil || !strings.Contains(err.Error(), "no photographs here or below") {
		t.Error(err)
	}
}
