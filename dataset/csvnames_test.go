package dataset

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"finetune/internal/naming"
)

// Names that look like nothing, or nearly like another, are the files they are.
func TestCSVFindsOddNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: these cannot be names of files")
	}
	for _, tt := range []struct{ files, cells, want string }{
		{"..p/1.jpg b.jpg", "..p/1.jpg b.jpg", "..p/1.jpg b.jpg"},
		{"7.jpg 7.png/x 8.jpg", "7 8", "7.jpg 8.jpg"},                                     // the folder 7.png is no file
		{"7.jpg ._7.jpg 7.txt 8.jpg", "7 8.JPG", "7.jpg 8.jpg"},                           // nor are a desktop's notes
		{"A.jpg a.JPG b.jpg", "A.jpg b.jpg", "A.jpg b.jpg"},                               // as it is written comes first
		{"x/a.jpg y/a.jpg b.jpg", `y\a.jpg b.jpg`, "b.jpg y/a.jpg"},                       // Windows' paths
		{"x/" + nfc + ".jpg b.jpg", "x/" + nfd + ".jpg b.jpg", "b.jpg x/" + nfc + ".jpg"}, // accents
		{`it's.jpg 'q'.jpg`, `it's.jpg 'q'.jpg`, `'q'.jpg it's.jpg`},                      // apostrophes
		{"a\xe9.jpg b.jpg", `a\xe9.jpg b.jpg`, `a\xe9.jpg b.jpg`},                         // bytes that are no text
		{"a\xe9.jpg b.jpg", `A\xe9.jpg b`, `a\xe9.jpg b.jpg`},                             // and nearly so
		{"x.tar.jpg b.jpg", "x.tar b.jpg", "b.jpg x.tar.jpg"},                             // a dot that is no ending
		{"x/=1+1.jpg x/-2.jpg", "x/=1+1.jpg x/-2.jpg", "x/-2.jpg x/=1+1.jpg"},             // formulas
		// what is written is taken, whatever it is
		{"x/a.jpeg x/b.webp x/c.txt", "x/a x/b.WEBP x/c.txt", "x/a.jpeg x/b.webp x/c.txt"},
	} {
		root := t.TempDir()
		for _, name := range strings.Fields(tt.files) {
			if err := os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(root, name), []byte(name), 0o666); err != nil {
				t.Skip(err)
			}
		}
		csv := filepath.Join(root, "labels.csv")
		if err := os.WriteFile(csv, []byte("path,label\n"+strings.Join(strings.Fields(tt.cells), ",a\n")+",a\n"),
			0o666); err != nil {
			t.Fatal(err)
		}
		set, err := Labelled(root, Options{Labels: csv})
		if err != nil {
			t.Errorf("%s: %v", tt.cells, err)
			continue
		}
		equal(t, tt.cells, paths(set.Valid), strings.ReplaceAll(tt.want, " ", "=0 ")+"=0")
		for _, it := range set.Valid {
			if _, err := os.Stat(it.File); err != nil {
				t.Errorf("%s: %v", tt.cells, err)
			}
		}
	}
}

func TestCSVUnclearNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: one file there")
	}
	root := flat(t, "p/A.jpg", "p/a.JPG", "p/b.jpg")
	csv := filepath.Join(root, "labels.csv")
	if err := os.WriteFile(csv, []byte("path,label\np/b.jpg,x\np/A.JPG,x\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := Labelled(root, Options{Labels: csv}); err == nil ||
		!strings.Contains(err.Error(), `:3: path "p/A.JPG" could be A.jpg, a.JPG; write it out`) {
		t.Error(err)
	}
}

// The CSV's own folder is the root, unless DATA has more of its files.
func TestCSVRootOfEqualParts(t *testing.T) {
	for extra, want := range map[string]string{"x.jpg": "tables", "p/2.jpg": ""} {
		root := flat(t, "p/1.jpg", "tables/p/1.jpg", extra)
		csv := filepath.Join(root, "tables", "labels.csv")
		if err := os.WriteFile(csv, []byte("path,label\np/1.jpg,a\np/2.jpg,b\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		set, err := Labelled(root, Options{Labels: csv})
		if err != nil || set.Root != filepath.Join(root, want) {
			t.Errorf("with %s: %+v, %v", extra, set, err)
		}
	}
}

// A path of Windows is absolute, wherever the CSV lies, and no folder C: is looked for.
func TestCSVPathsOfWindows(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: they are paths there")
	}
	for _, cell := range []string{`C:\photos\1.jpg`, "C:/photos/1.jpg", `\\server\photos\1.jpg`} {
		root := tree(t, map[string]string{"p/1.jpg": "1", "tables/labels.csv": "path,label\np/1.jpg,a\n" + cell + ",b\n"})
		_, err := Labelled(root, Options{Labels: filepath.Join(root, "tables", "labels.csv")})
		if err == nil || !strings.Contains(err.Error(), "labels.csv:3: path ") ||
			!strings.Contains(err.Error(), "is absolute") {
			t.Errorf("%s: %v", cell, err)
		}
	}
}

// Each way in which paths differ is counted apart, with its first path.
func TestCSVNotesOfPaths(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: backslashes are its own")
	}
	root, csv := withCSV(t, "")
	text := "path,label\np/1.jpg,a\np/2,a\np/3,a\n p/4.jpg,a\np\\5.jpg,a\n" + filepath.Join(root, "p", "6.jpg") + ",a\n"
	if err := os.WriteFile(csv, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	set, err := Labelled(root, Options{Labels: csv})
	if err != nil {
		t.Fatal(err)
	}
	absolute := filepath.Join(root, "p", "6.jpg")
	if len(absolute) > 60 {
		absolute = absolute[:60]
	}
	want := []string{`1 path is with blanks around: " p/4.jpg" is p/4.jpg`,
		`1 path is with backslashes: "p\\5.jpg" is p/5.jpg`,
		`2 paths are without an ending: "p/2" is p/2.jpg`, `1 path is absolute or from another folder: "` + absolute}
	if len(set.Notes) != len(want) {
		t.Fatalf("notes %q", set.Notes)
	}
	for i, w := range want {
		if !strings.HasPrefix(set.Notes[i], "labels file: "+w) {
			t.Errorf("note %q, want %q", set.Notes[i], w)
		}
	}
}

// Links inside the folders of the CSV or of DATA are followed; those that lead out or to nothing are told.
func TestCSVLinks(t *testing.T) {
	root := flat(t, "data/1.jpg", "data/2.jpg", "meta/3.jpg", "outside/4.jpg")
	csv := filepath.Join(root, "meta", "labels.csv")
	for link, to := range map[string]string{"data/in.jpg": "1.jpg", "data/meta.jpg": "../meta/3.jpg",
		"data/out.jpg": "../outside/4.jpg", "data/loop.jpg": "loop.jpg", "data/nothing.jpg": "nowhere"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Skip(err)
		}
		if _, err := os.Lstat(filepath.Join(root, link)); err != nil { // wine says that it made one
			t.Skip(err)
		}
	}
	for name, want := range map[string]string{"in.jpg": "", "meta.jpg": "", "out.jpg": "is a link out of",
		"loop.jpg": ":3: loop.jpg: ", "nothing.jpg": ""} {
		if err := os.WriteFile(csv, []byte("path,label\n1.jpg,a\n"+name+",a\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		set, err := Labelled(filepath.Join(root, "data"), Options{Labels: csv})
		if want == "" && (err != nil || len(set.Valid) != 2) ||
			want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", name, err)
		}
		if missing := err == nil && strings.Contains(strings.Join(set.Warnings, ""), "1 file of labels.csv does not exist: "+
			"nothing.jpg"); missing != (name == "nothing.jpg") {
			t.Errorf("%s: missing is %v", name, missing)
		}
	}
}

// The folder where the command was started is no folder of the data, and a path
// through a link to the data's folder is one into it.
func TestCSVLinksElsewhere(t *testing.T) {
	root := flat(t, "data/1.jpg", "data/2.jpg", "outside/4.jpg")
	csv := filepath.Join(root, "data", "labels.csv")
	for link, to := range map[string]string{"data/out.jpg": "../outside/4.jpg", "way": "data"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Skip(err)
		}
		if _, err := os.Lstat(filepath.Join(root, link)); err != nil { // wine says that it made one
			t.Skip(err)
		}
	}
	t.Chdir(filepath.Join(root, "outside"))
	for cell, want := range map[string]string{"out.jpg": "is a link out of", filepath.Join(root, "way", "2.jpg"): "",
		filepath.Join(root, "way", "3.jpg"): "", filepath.Join(root, "outside", "4.jpg"): "is absolute"} {
		if err := os.WriteFile(csv, []byte("path,label\n1.jpg,a\n"+cell+",a\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		set, err := Labelled("", Options{Labels: csv})
		if want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", cell, err)
		}
		if strings.HasSuffix(cell, "2.jpg") && (err != nil || paths(set.Valid) != "1.jpg=0 2.jpg=0") {
			t.Errorf("%s: %v", cell, err)
		}
	}
}

// Labels in two Unicode forms are one class, called by the composed form; others are not mentioned.
func TestCSVUnicodeForms(t *testing.T) {
	for _, forms := range [][3]string{{nfc, nfd, nfc}, {nfd, nfc, nfc}, {nfd, nfd, nfd}, {nfc, nfc, nfc}} {
		set, err := openText(t,
			"path,label,split\np/1.jpg,"+forms[0]+",train\np/2.jpg,b,train\np/5.jpg,b,train\np/6.jpg,"+forms[1]+
				",train\np/3.jpg,"+forms[1]+",valid\np/4.jpg,b,valid\np/7.jpg,e\u0301,test\n", Options{})
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "classes", set.Classes, "[b "+forms[2]+"]")
		twice := strings.Contains(strings.Join(set.Warnings, "\n"), "in two Unicode forms, taken as one class: "+forms[2])
		if twice != (forms[0] != forms[1]) {
			t.Errorf("%q: warnings %q", forms, set.Warnings)
		}
		if n := len(set.Warnings); n != map[bool]int{true: 2, false: 1}[twice] { // p/7.jpg is missing
			t.Errorf("%q: warnings %q", forms, set.Warnings)
		}
	}
}

// The labels of a photograph are in the order of the classes, in whatever form they are written.
func TestCSVUnicodeFormsAreSorted(t *testing.T) {
	set, err := openText(t,
		"path,label,split\np/1.jpg,"+nfc+",train\np/2.jpg,fourmif;"+nfd+";"+nfc+",train\np/3.jpg,fourmif;"+nfd+",valid\n",
		Options{LabelSep: ";"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "classes", set.Classes, "[fourmif "+nfc+"]")
	equal(t, "labels", []any{set.Train[0].Labels, set.Train[1].Labels, set.Valid[0].Labels}, "[[1] [0 1] [0 1]]")
}

func TestEscapedNames(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: a backslash is its separator")
	}
	for name, text := range map[string]string{
		"plain": "plain", "caf\xe9": `caf\xe9`, `caf\xe9`: `caf\x5cxe9`, `\x`: `\x`, `a\x4`: `a\x4`, `\xg0`: `\xg0`,
		`\x0g`: `\x0g`, `\xE9`: `\xE9`, `\y00`: `\y00`,
		`x\`: `x\`, "\xff\\x": `\xff\x`, `\\x41`: `\\x5cx41`, "é\xe9é": `é\xe9é`, "\ufffd": "\ufffd",
	} {
		if got := naming.EscapePath(name); got != text {
			t.Errorf("%q became %q, want %q", name, got, text)
		}
		if got := naming.FilePath("", text); got != filepath.FromSlash(name) {
			t.Errorf("%q is the file %q, want %q", text, got, name)
		}
	}
}

func TestClassIndex(t *testing.T) {
	classes := []string{nfc, nfd, "b"}
	for name, want := range map[string]int{nfc: 0, nfd: 1, "b": 2, "c": -1, "": -1} {
		equal(t, name, naming.ClassIndex(classes, name), want)
	}
	equal(t, "another form", naming.ClassIndex([]string{"b", nfc}, nfd), 1)
}

func TestAlike(t *testing.T) {
	for names, want := range map[string]string{
		"ants|bees|1|2|10|1.5|inf|x nan": "",
		"a b|A  B|a|c":                   `classes "a b", "A  B" differ in case or blanks alone; give them one name if they are one class`,
		"1|01|1.0|2":                     `classes "1", "01", "1.0" are the same number; give them one name if they are one class`,
		"NaN|nan": `classes "NaN", "nan" differ in case or blanks alone; give them one name if they are one class` + "\n" +
			`class "NaN" looks like a missing value; take its photographs out if it is one` + "\n" +
			`class "nan" looks like a missing value; take its photographs out if it is one`,
		" N/A ": `class " N/A " looks like a missing value; take its photographs out if it is one`,
		"<NA>|#N/A": `class "<NA>" looks like a missing value; take its photographs out if it is one` +
			"\n" + `class "#N/A" looks like a missing value; take its photographs out if it is one`,
		"null|none": `class "null" looks like a missing value; take its photographs out if it is one`,
		nfc + "|" + strings.ToUpper(nfd): `classes "` + nfc + `", "` + strings.ToUpper(nfd) +
			`" differ in case or blanks alone; give them one name if they are one class`,
	} {
		equal(t, names, strings.Join(naming.Alike(strings.Split(names, "|")), "\n"), want)
	}
}
