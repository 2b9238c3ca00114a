package dataset

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// openText opens p/1.jpg to p/6.jpg by the text of a labels file.
func openText(t *testing.T, text string, o Options) (*Set, error) {
	t.Helper()
	root, csv := withCSV(t, text)
	o.Labels = csv
	return Open(root, o)
}

// parts are a set's photographs without the folder p/.
func parts(s *Set) string {
	return strings.ReplaceAll(strings.Join([]string{paths(s.Train), paths(s.Valid), paths(s.Test)}, "; "), "p/", "")
}

// What the cells of a labels file mean, for columns in any place.
func TestCSVCells(t *testing.T) {
	for name, tt := range map[string]struct {
		text, sep  string
		want       string // train; valid; test
		note, warn string // parts of the only one, or none
	}{
		"plain": {"path,label,split\n1,a,train\n2,b,train\n5,a,train\n6,b,train\n3,a,valid\n4,b,valid\n", "",
			"1.jpg=0 5.jpg=0 2.jpg=1 6.jpg=1; 3.jpg=0 4.jpg=1; ", "without an ending", ""},
		"label first": {"label,path,split\na,p/1.jpg,train\nb,p/2.jpg,train\na,p/5.jpg,train\nb,p/6.jpg,train\na,p/" +
			"3.jpg,valid\nb,p/4.jpg,valid\n", "", "1.jpg=0 5.jpg=0 2.jpg=1 6.jpg=1; 3.jpg=0 4.jpg=1; ", "", ""},
		"label first, more": {"label,path,size\na,p/1.jpg,9\nb,p/2.jpg,9\na,p/5.jpg,9\nb,p/6.jpg,9\n", "", "", "",
			`columns not used: "size"`},
		"split first": {"subset,label,path\ntrain,a,p/1.jpg\ntrain,b,p/2.jpg\ntrain,a,p/5.jpg\ntrain,b,p/6.jpg\n" +
			"valid,a,p/3.jpg\ntest,b,p/4.jpg\n", "", "1.jpg=0 5.jpg=0 2.jpg=1 6.jpg=1; 3.jpg=0; 4.jpg=1",
			`column "subset" says what to train and what to validate on`, `1 class has no validation photographs`},
		"is_valid": {"path,label,is_valid\np/1.jpg,a,No\np/2.jpg,b,0.0\np/5.jpg,a,FALSE\np/6.jpg,b,0\np/3.jpg,a," +
			"yes\np/4.jpg,b,1.0\n", "", "1.jpg=0 5.jpg=0 2.jpg=1 6.jpg=1; 3.jpg=0 4.jpg=1; ", `column "is_valid" says`, ""},
		"is_val": {"path,label,Is " +
			"Val\np/1.jpg,a,no\np/2.jpg,b,0\np/5.jpg,a,0\np/6.jpg,b,0\np/3.jpg,a,true\np/4.jpg,b,1\n", "",
			"1.jpg=0 5.jpg=0 2.jpg=1 6.jpg=1; 3.jpg=0 4.jpg=1; ", `column "Is Val" says`, ""},
		"one-hot, test": {"path,ants,bees,split\np/1.jpg,1,0,train\np/2.jpg,0,TRUE,train\np/5.jpg,1.0,,train\np/6.jpg," +
			"false,1,train\np/3.jpg,1,0,valid\np/4.jpg,,1,valid\np/7.jpg,0,0,test\n", "",
			"1.jpg=0 5.jpg=0 2.jpg=1 6.jpg=1; 3.jpg=0 4.jpg=1; 7.jpg=-1", "the 2 other columns are the classes",
			"1 file of labels.csv does not exist: p/7.jpg (line 8)"},
		"one of one": {"path,it is\np/1.jpg,x,\np/2.jpg,y\np/5.jpg,x\np/6.jpg,y\n", "", "",
			`column "path" is the path, "it is" the label`, ""},
		"a bar in a name": {"path,label|x\np/1.jpg,a\np/2.jpg,b\np/5.jpg,a\np/6.jpg,b\n", "", "", `"label|x" the label`, ""},
		"quoted signs": {"path;label;\"size, in cm, or m, or so\"\np/1.jpg;a;\np/2.jpg;b;\np/5.jpg;a;\np/6.jpg;b;\n", "",
			"", "", `columns not used: "size, in cm, or m, or so"`},
		"commas below": {"path;label\np/1.jpg;a,b,c\np/2.jpg;d,e,f\np/5.jpg;a,b,c\np/6.jpg;d,e,f\n", "", "", "", ""},
		"empty lines": {"\r\n\npath;label\n\np/1.jpg;a\n\r\np/2.jpg;b\n \t \np/5.jpg;a\n ; \np/6.jpg;b\n\n", "", "", "",
			""},
		"repeated": {"path,label,split\np/1.jpg,a,train\np/2.jpg,b,train\np/5.jpg,a,train\np/6.jpg,b,train\np/" +
			"3.jpg,a,valid\np/4.jpg,b,valid\np/4.jpg,b,valid\n", "", "1.jpg=0 5.jpg=0 2.jpg=1 6.jpg=1; 3.jpg=0 4.jpg=1; ", "",
			"1 row repeats an earlier one in labels.csv"},
		"test of any name": {"path,label,split\np/1.jpg,b,train\np/2.jpg,c,train\np/5.jpg,b,train\np/6.jpg,c,valid\np/" +
			"3.jpg,a,test\np/4.jpg,c,test\n", "", "1.jpg=0 5.jpg=0 2.jpg=1; 6.jpg=1; 3.jpg=-1 4.jpg=1", "",
			`1 class has no validation photographs`},
		"several": {"path,label,split\np/1.jpg, sun ;; " +
			"sea,train\np/2.jpg,,train\np/5.jpg,sea;sea,train\n" +
			"p/6.jpg,sun,train\np/3.jpg,sun;sea,valid\np/4.jpg,rain;sea,test\n", ";",
			"1.jpg=-1 2.jpg=-1 5.jpg=-1 6.jpg=-1; 3.jpg=-1; 4.jpg=-1", "", ""},
	} {
		text := tt.text
		if name == "plain" { // identifiers in place of files
			text = strings.NewReplacer("\n1", "\np/1", "\n2", "\np/2", "\n3", "\np/3", "\n4", "\np/4", "\n5", "\np/5", "\n6",
				"\np/6").Replace(text)
		}
		o := Options{LabelSep: tt.sep}
		if tt.want == "" {
			o.ValidPct = 0.5
		}
		set, err := openText(t, text, o)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if tt.want != "" {
			equal(t, name, parts(set), tt.want)
		} else {
			equal(t, name, []int{len(set.Classes), len(set.Train), len(set.Valid), len(set.Test)}, "[2 2 2 0]")
		}
		for what, pair := range map[string]struct {
			got  []string
			want string
		}{"notes": {set.Notes,
			tt.note}, "warnings": {slices.DeleteFunc(set.Warnings,
			func(w string) bool { return strings.Contains(w, "one training photograph") }), tt.warn}} {
			if pair.want == "" && len(pair.got) > 0 ||
				pair.want != "" && (len(pair.got) != 1 || !strings.Contains(pair.got[0], pair.want)) {
				t.Errorf("%s: %s %q, want %q", name, what, pair.got, pair.want)
			}
		}
	}
}

// A column that looks like a split but holds other words decides nothing, whatever some of its cells say.
func TestCSVColumnThatIsNoSplit(t *testing.T) {
	set, err := openText(t,
		"path,label,set\np/1.jpg,a,train\np/2.jpg,b,test\np/3.jpg,a,A\np/4.jpg,b,valid\np/5.jpg,a,test\np/6.jpg,b,B\n",
		Options{ValidPct: 0.34})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "sizes", []int{len(set.Train), len(set.Valid), len(set.Test)}, "[4 2 0]")
	equal(t, "warnings", set.Warnings, `[dataset: labels file: columns not used: "set"]`)
}

func TestCSVSplitAndShare(t *testing.T) {
	const text = "path,label,split\np/1.jpg,a,train\np/2.jpg,b,train\np/5.jpg,a,train\np/6.jpg,b,train\np/3.jpg,a," +
		"valid\np/4.jpg,b,valid\n"
	set, err := openText(t, text, Options{ValidPct: 0.2})
	if err != nil || len(set.Warnings) != 1 || !strings.Contains(set.Warnings[0], "the labels file has a split column") {
		t.Errorf("%v, %v", set, err)
	}
	if set, err = openText(t, text, Options{Fallback: 0.2}); err != nil || len(set.Warnings) > 0 || set.Drawn {
		t.Errorf("%+v, %v", set, err)
	}
	// Several labels a photograph: one class is enough, for it may be absent.
	set, err = openText(t, "path,label\np/1.jpg,a\np/2.jpg,\np/3.jpg,a\np/4.jpg,\n", Options{LabelSep: ";", ValidPct: 0.5})
	if err != nil || len(set.Train) != 2 || len(set.Valid) != 2 || !set.Drawn {
		t.Errorf("%+v, %v", set, err)
	}
	equal(t, "one-hot", func() any {
		set, err := openText(t, "path,ants,bees\np/1.jpg,1,1\np/2.jpg,0,0\np/3.jpg,1,0\np/4.jpg,0,1\n",
			Options{LabelSep: "; ", ValidPct: 0.25})
		if err != nil {
			return err
		}
		labels := map[string][]int{}
		for _, it := range append(set.Train, set.Valid...) {
			labels[it.Path] = it.Labels
		}
		return labels
	}(), "map[p/1.jpg:[0 1] p/2.jpg:[] p/3.jpg:[0] p/4.jpg:[1]]")
}

func TestCSVRefusals(t *testing.T) {
	for name, tt := range map[string]struct{ text, sep, want string }{
		"utf-16, big-endian": {"\xfe\xff\x00p", "", "UTF-16"},
		"path alone":         {"path\np/1.jpg\n", "", `:1: the header is "path"`},
		"label alone": {"foo,label\np/1.jpg,a\n", "",
			`:1: the header is "foo,label"; it must be path,label or path,label,split`},
		"two labels":      {"path,label,Label\n", "", `:1: two columns called "Label"`},
		"two splits":      {"split,path,label,SPLIT\n", "", `:1: two columns called "SPLIT"`},
		"quote in header": {"path,la\"bel\n", "", ":1: "},
		"one column":      {"path,label\np/1.jpg,a\np/2.jpg\n", "", ":3: 1 column, the header has 2"},
		"split alone": {"path,label,split\np/1.jpg,a,train\np/1.jpg,a,valid\n", "",
			":3: p/1.jpg again, with another label or split than in line 2"},
		"separator in class": {"path,a;b,c\np/1.jpg,1,0\n", ";", `the class "a;b" holds the separator ";"`},
		"two of one-hot":     {"path,a,b,split\np/1.jpg,1,1,test\n", "", ":2: 2 classes are set, not one"},
		"later probability": {"path,a,b\np/1.jpg,1,0\np/2.jpg,0.2,0.8\n", "",
			`:3: column "a" is "0.2"; a column of a class holds 0 or 1`},
		"blank in address": {"path,label\n http://example.org/1.jpg,a\n", "", ":2: path \" http://example.org/1.jpg\" is " +
			"an address"},
		"blanks for a path": {"path,label\n \t,a\n", "", ":2: no path"},
		"network drive":     {"path,label\n\\\\server\\1.jpg,a\n", "", "is absolute"},
		"the folder":        {"path,label\n.,a\n", "", `path "." leaves the CSV's folder`},
		"the folder above":  {"path,label\n..,a\n", "", `path ".." leaves the CSV's folder`},
		"nowhere":           {"path,label\nq/9.jpg,a\n", "", "none of its 1 file is below "},
		"no such file": {"path,label\nq/9.jpg,a\n", "", "the first is q/9.jpg (line 2); paths are relative to the " +
			"CSV's own folder, or to DATA"},
		"long label": {"path,label\np/1.jpg," + strings.Repeat("x", 65537) + "\n", "", ":2: a cell of 65537 bytes"},
	} {
		_, err := openText(t, tt.text, Options{LabelSep: tt.sep, ValidPct: 0.2})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
	if _, err := openText(t, "foo,bar\na,b\n", Options{}); err == nil ||
		strings.Contains(err.Error(), "header line before") {
		t.Errorf("no pictures are named: %v", err)
	}
	set, err := openText(t, "path,label\np/1.jpg,"+strings.Repeat("x", 65536)+"\np/2.jpg,b\np/3.jpg,b\n",
		Options{ValidPct: 0.5})
	if err != nil || len(set.Classes) != 2 {
		t.Errorf("a label of 64 KB: %v", err)
	}
	_, csv := withCSV(t, "path,label\n")
	for _, spoil := range []func() error{
		func() error { return os.Truncate(csv, 256<<20+1) },
		func() error { return errors.Join(os.Remove(csv), os.Mkdir(csv, 0o777)) },
	} {
		if err := spoil(); err != nil {
			t.Fatal(err)
		}
		if _, err := Open("", Options{Labels: csv}); err == nil ||
			!strings.Contains(err.Error(), csv+": not a file of at most 256 MB") {
			t.Error(err)
		}
	}
}

// A file is found below the CSV's own folder, or below DATA where more of them are.
func TestCSVRoots(t *testing.T) {
	root := flat(t, "meta/own/1.jpg", "meta/own/2.jpg", "p/1.jpg", "p/2.jpg", "p/3.jpg", "p/4.jpg", "both/own/1.jpg",
		"both/own/2.jpg")
	csv := filepath.Join(root, "meta", "labels.csv")
	for name, tt := range map[string]struct {
		rows, data, root string
		n, notes         int
	}{
		"own":          {"own/1.jpg own/2.jpg", "", "meta", 2, 0},
		"own, too":     {"own/1.jpg own/2.jpg", "p", "meta", 2, 0},
		"as many":      {"own/1.jpg own/2.jpg own/3.jpg", "both", "meta", 3, 0},
		"more in DATA": {"p/1.jpg p/2.jpg own/1.jpg", ".", ".", 3, 2},
		"above":        {"../p/1.jpg ../p/2.jpg", ".", ".", 2, 2},
		"absolute":     {filepath.Join(root, "p", "1.jpg") + " " + filepath.Join(root, "p", "2.jpg"), "p", "p", 2, 2},
	} {
		text := "path,label\n"
		for i, p := range strings.Fields(tt.rows) {
			text += p + "," + []string{"a", "b", "a"}[i] + "\n"
		}
		if err := os.WriteFile(csv, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		data := tt.data
		if data != "" {
			data = filepath.Join(root, data)
		}
		set, err := Labelled(data, Options{Labels: csv})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		equal(t, name, []any{set.Root, len(set.Valid), len(set.Notes)}, []any{filepath.Join(root, tt.root), tt.n, tt.notes})
	}
	own := filepath.Join(root, "meta")
	if err := os.WriteFile(csv, []byte("path,label\n../q/1.jpg,a\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Labelled(root, Options{Labels: csv}); err == nil ||
		!strings.Contains(err.Error(), "none of its 1 file is below "+own+" or "+root) {
		t.Errorf("DATA was given, and lacks the file: %v", err)
	}
	if err := os.WriteFile(csv, []byte("path,label\nq/1.jpg,a\nq/2.jpg,b\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	for data, want := range map[string]string{own: "is below " + own + ", the first",
		root: "is below " + own + " or " + root + ", the first", "": "is below " + own + ", the first"} {
		if _, err := Labelled(data, Options{Labels: csv}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", data, err)
		}
	}
	if _, err := Labelled(root, Options{Labels: csv}); err == nil ||
		!strings.Contains(err.Error(), filepath.Join(own, "own")+" has a file of that name") {
		t.Errorf("no hint: %v", err)
	}
}
