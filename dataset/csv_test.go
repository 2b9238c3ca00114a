package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"finetune/internal/failure"
)

// withCSV puts a labels file beside photographs 1.jpg to 6.jpg.
func withCSV(t testing.TB, text string) (root, csv string) {
	t.Helper()
	root = flat(t, "p/1.jpg", "p/2.jpg", "p/3.jpg", "p/4.jpg", "p/5.jpg", "p/6.jpg")
	csv = filepath.Join(root, "labels.csv")
	if err := os.WriteFile(csv, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return root, csv
}

func TestCSV(t *testing.T) {
	root, csv := withCSV(t, "\xef\xbb\xbfPath, label ,split,width\r\n"+
		"p/3.jpg,dog,train,1\r\n\"p/1.jpg\",\"cat, grey\",train,1\r\n./p/2.jpg,dog,VAL,1\r\n\r\np/4.jpg,\"cat, "+
		"grey\",valid,1\r\n"+
		"p/6.jpg,,test,1\r\np/5.jpg,yeti,test,1\r\np/3.jpg,dog,train,2\r\np/7.jpg,dog,train,1\r\n")
	set := mustOpen(t, root, Options{Labels: csv})
	equal(t, "classes", strings.Join(set.Classes, "|"), "cat, grey|dog")
	equal(t, "train", paths(set.Train), "p/1.jpg=0 p/3.jpg=1 p/7.jpg=1")
	equal(t, "valid", paths(set.Valid), "p/4.jpg=0 p/2.jpg=1")
	equal(t, "test", paths(set.Test), "p/5.jpg=-1 p/6.jpg=-1")
	equal(t, "file", set.Train[0].File, filepath.Join(root, "p", "1.jpg"))
	warnings := strings.Join(set.Warnings, "\n")
	for _, want := range []string{`columns not used: "width"`, "1 row repeats an earlier one in labels.csv",
		"1 file of labels.csv does not exist: p/7.jpg (line 10)"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no warning %q in:\n%s", want, warnings)
		}
	}
}

func TestCSVMultiLabelAndShare(t *testing.T) {
	_, csv := withCSV(t, "path,label\np/1.jpg,sun sea\np/2.jpg,sea\np/3.jpg,\np/4.jpg,sun  sea sun\np/5.jpg,sun\n")
	set := mustOpen(t, "", Options{Labels: csv, LabelSep: " ", ValidPct: 0.2, Seed: 1})
	equal(t, "classes", set.Classes, "[sea sun]")
	equal(t, "sizes", []int{len(set.Train), len(set.Valid)}, "[4 1]")
	want := map[string][]int{"p/1.jpg": {0, 1}, "p/2.jpg": {0}, "p/3.jpg": nil, "p/4.jpg": {0, 1}, "p/5.jpg": {1}}
	for _, it := range append(set.Train, set.Valid...) {
		equal(t, it.Path, it.Labels, want[it.Path])
		equal(t, it.Path, it.Label, -1)
	}
	if !set.Multi {
		t.Error("not multi-label")
	}
}

func TestCSVErrors(t *testing.T) {
	outside := filepath.Join(flat(t, "x.jpg"), "x.jpg")
	for name, tt := range map[string]struct{ text, want string }{
		"empty":         {"", "labels.csv: empty"},
		"no rows":       {"path,label\n", "a header but no rows"},
		"header":        {"foo,bar\na,b\n", `:1: the header is "foo,bar"`},
		"no header":     {"p/1.jpg,a\np/2.jpg,b\n", "put a header line before it"},
		"two columns":   {"path,label,Path\n", `:1: two columns called "Path"`},
		"columns":       {"path,label\np/1.jpg,a\np/2.jpg,a,b\n", ":3: 3 columns"},
		"quote":         {"path,label\np/1.jpg,a\"b\n", ":2: "},
		"no label":      {"path,label\np/1.jpg,a\n\np/2.jpg,  \n", ":4: no label"},
		"no path":       {"path,label\n,a\n", ":2: no path"},
		"split":         {"path,label,split\np/1.jpg,a,perhaps\n", `:2: split is "perhaps"`},
		"absolute":      {"path,label\n" + outside + ",a\n", "is absolute"},
		"dots":          {"path,label\np/../../x.jpg,a\n", "leaves the CSV's folder"},
		"linked out":    {"path,label\nout.jpg,a\n", "is a link out of"},
		"a folder":      {"path,label\np,a\n", ":2: p is not a file"},
		"zero byte":     {"path,label\n\"p\x00\",a\n", "zero byte"},
		"contradiction": {"path,label\np/1.jpg,a\n./p/1.jpg,b\n", ":3: p/1.jpg again"},
		"all missing":   {"path,label\nq/1.jpg,a\nq/2.jpg,b\n", "none of its 2 files is below"},
		"utf-16":        {"\xff\xfep\x00", "UTF-16"},
		"latin-1":       {"path,label\np/1.jpg,caf\xe9\n", ":2: \"caf\\xe9\" is not UTF-8"},
		"no split":      {"path,label\np/1.jpg,a\np/2.jpg,b\n", "add --valid-pct 0.2 or a column split"},
		"one class":     {"path,label,split\np/1.jpg,a,train\np/2.jpg,a,valid\n", "only one class"},
		"only in valid": {"path,label,split\np/1.jpg,a,train\np/2.jpg,b,train\np/3.jpg,c,valid\n",
			`class "c" is in the validation set`},
		"a long cell":      {"path,label\np/1.jpg," + strings.Repeat("x", maxCell+1) + "\n", "is a quote left open?"},
		"unclosed quote":   {"path,label\n\"p/1.jpg,a\n", ":2: extraneous or missing"},
		"no train at all":  {"path,label,split\np/1.jpg,a,valid\np/2.jpg,b,valid\n", "no training photographs"},
		"nothing to check": {"path,label,split\np/1.jpg,a,train\np/2.jpg,b,train\n", "no validation photographs"},
	} {
		root, csv := withCSV(t, tt.text)
		if err := os.Symlink(outside, filepath.Join(root, "out.jpg")); err != nil {
			t.Skip(err)
		}
		if _, err := os.Lstat(filepath.Join(root, "out.jpg")); err != nil { // wine says that it made one
			t.Skip(err)
		}
		_, err := Open(root, Options{Labels: csv})
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "dataset: ") {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		} else if failure.KindOf(err) != failure.DataKind {
			t.Errorf("%s: not a data error", name)
		}
	}
}

// labelled is p/1.jpg to p/6.jpg as a labels file of the dialect writes them.
func labelled(header string, row func(path, label string) string) string {
	var b strings.Builder
	b.WriteString(header)
	for i, label := range []string{"ants", "ants", "ants", "bees", "bees", "bees"} {
		b.WriteString(row(fmt.Sprintf("p/%d.jpg", i+1), label))
	}
	return b.String()
}

// Whatever the dialect, the set is that of the plain file.
func TestCSVDialects(t *testing.T) {
	plain := func(p, l string) string { return p + "," + l + "\n" }
	bare := func(p string) string { return strings.TrimSuffix(p, ".jpg") }
	root, csv := withCSV(t, labelled("path,label\n", plain))
	open := func(text, data string) *Set {
		t.Helper()
		if err := os.WriteFile(csv, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		return mustOpen(t, data, Options{Labels: csv, ValidPct: 0.34, Seed: 3})
	}
	want := open(labelled("path,label\n", plain), root)
	equal(t, "notes", want.Notes, "[]")
	equal(t, "warnings", want.Warnings, "[]")
	for name, tt := range map[string]struct{ text, note string }{
		"bom":        {"\xef\xbb\xbf" + labelled("path,label\n", plain), ""},
		"semicolons": {labelled("path;label\r\n", func(p, l string) string { return p + ";" + l + "\r\n" }), ""},
		"tabs":       {labelled("path\tlabel\n", func(p, l string) string { return p + "\t" + l + "\n" }), ""},
		"empty lines": {strings.Repeat("\n", 99) +
			labelled("path;label\n", func(p, l string) string { return p + ";" + l + "\n" }), ""},
		"image_id": {labelled("image_id,label\n", plain), `column "image_id" is the path`},
		"id, breed": {labelled("id,breed\n", func(p, l string) string { return plain(bare(p), l) }),
			"6 paths are without an ending"},
		"other words": {labelled("Image,What it is\n", plain), `"What it is" the label`},
		"one-hot": {labelled("path,bees,ants\n",
			func(p, l string) string {
				return p +
					map[string]string{"ants": ",0,1\n", "bees": ",1.0,0.0\n"}[l]
			}), "2 other columns are the classes"},
		"backslashes": {labelled("path,label\n",
			func(p, l string) string {
				return plain(strings.ReplaceAll(p, "/", `\`),
					l)
			}), map[bool]string{true: "6 paths are with backslashes"}[runtime.GOOS != "windows"]},
		"absolute": {labelled("path,label\n", func(p, l string) string { return plain(filepath.Join(root, p), l) }),
			"6 paths are absolute"},
		"blanks": {labelled("path,label\n", func(p, l string) string { return plain(" "+p+" ", " "+l) }),
			"with blanks around"},
		"empty rows": {labelled("path,label,,\n", func(p, l string) string { return p + "," + l + ",,\n" }) +
			",,,\n  \n \t,,,\n", ""},
		"more cells":   {labelled("path,label\n", func(p, l string) string { return p + "," + l + ",,\n" }), ""},
		"index":        {labelled(",path,label\n", func(p, l string) string { return "7," + plain(p, l) }), ""},
		"a set column": {labelled("path,label,set\n", func(p, l string) string { return p + "," + l + ",A\n" }), ""},
		"bars, one-hot": {labelled("name|ants|bees\n",
			func(p, l string) string { return p + map[string]string{"ants": "|1|0\n", "bees": "||True\n"}[l] }), ""},
	} {
		set := open(tt.text, root)
		equal(t, name+" train", paths(set.Train), paths(want.Train))
		equal(t, name+" valid", paths(set.Valid), paths(want.Valid))
		equal(t, name+" classes", set.Classes, want.Classes)
		if notes := strings.Join(set.Notes, "\n"); !strings.Contains(notes, tt.note) ||
			tt.note == "" && name != "bars, one-hot" && notes != "" {
			t.Errorf("%s: notes %q", name, notes)
		}
		if n := len(set.Warnings); n > 0 && name != "a set column" {
			t.Errorf("%s: warnings %q", name, set.Warnings)
		}
	}
	if runtime.GOOS != "windows" { // which finds a file by other letters itself
		set := open(labelled("path,label\n", func(p, l string) string { return plain("p/"+strings.ToUpper(p[2:]), l) }), root)
		equal(t, "letters", paths(set.Train), paths(want.Train))
	}
	set := open(labelled("path,label\n", func(p, l string) string { return plain(p[2:], l) }), filepath.Join(root, "p"))
	equal(t, "relative to DATA", []any{set.Root, len(set.Train) + len(set.Valid), set.Train[0].File},
		[]any{filepath.Join(root, "p"), 6, filepath.Join(root, "p", set.Train[0].Path)})
	set = open("path,label,is_valid\np/1.jpg,a,False\np/2.jpg,b,0\np/3.jpg,a,True\np/4.jpg,b,1\n", root)
	equal(t, "is_valid", paths(set.Valid), "p/3.jpg=0 p/4.jpg=1")
	set = open("path,label,split\np/1.jpg,a,Training\np/2.jpg,b,TRAIN\np/3.jpg,a,validation\np/4.jpg,b,Dev\np/5.jpg,,"+
		"testing\n", root)
	equal(t, "split", []int{len(set.Train), len(set.Valid), len(set.Test)}, "[2 2 1]")
	set = open("path,label,split\np/1.jpg,"+nfc+",train\np/2.jpg,b,train\np/3.jpg,"+nfd+",valid\np/4.jpg,b,valid\n", root)
	equal(t, "Unicode forms", paths(set.Valid), "p/4.jpg=0 p/3.jpg=1")
	if !strings.Contains(set.Warnings[0], "labels of one name in two Unicode forms, taken as one class: "+nfc) {
		t.Errorf("warnings %q", set.Warnings)
	}
}

func TestCSVHints(t *testing.T) {
	for name, tt := range map[string]struct{ text, want string }{
		"address":        {"path,label\nhttps://example.org/1.jpg,a\n", "is an address"},
		"folder":         {"path,label\n1.jpg,a\n2.jpg,b\n", "p has a file of that name: give that folder as DATA"},
		"drive":          {"path,label\nC:\\photos\\1.jpg,a\n", "is absolute"},
		"several ones":   {"path,a,b\np/1.jpg,1,1\n", "add --label-sep"},
		"no one":         {"path,a,b\np/1.jpg,0,0\n", "0 classes are set"},
		"probabilities":  {"path,a,b\np/1.jpg,0.3,0.7\n", "no column label"},
		"not 0 or 1":     {"path,a,b\np/1.jpg,0,1\np/2.jpg,1,7\n", `:3: column "b" is "7"`},
		"two endings":    {"path,label\np/1.jpg,a\ndup,b\n", "could be dup.jpg, dup.png"},
		"is_valid":       {"path,label,split\np/1.jpg,a,\n", `split is ""`},
		"quote":          {"path,label\np/1.jpg,a\n\"p/2.jpg,b\np/3.jpg,b\n", ":3: "},
		"another column": {"size,when\n1,2\n", "it must be path,label"},
	} {
		root, csv := withCSV(t, tt.text)
		for _, n := range []string{"dup.jpg", "dup.png"} {
			if err := os.WriteFile(filepath.Join(root, n), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := Open(root, Options{Labels: csv, ValidPct: 0.3}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

func TestLabelled(t *testing.T) {
	for name, tt := range map[string]struct{ text, sep, want string }{
		"one class":    {"path,label\np/1.jpg,a\np/2.jpg,a\n", "", "p/1.jpg=0 p/2.jpg=0"},
		"split":        {"path,label,split\np/1.jpg,a,train\np/2.jpg,b,valid\np/3.jpg,,test\n", "", "p/2.jpg=1"},
		"no valid":     {"path,label,split\np/1.jpg,a,train\np/2.jpg,b,test\n", "", "p/1.jpg=0"},
		"test alone":   {"path,label,split\np/2.jpg,b,test\n", "", "p/2.jpg=0"},
		"several":      {"path,label\np/1.jpg,a b\np/2.jpg,\n", " ", "p/1.jpg=-1 p/2.jpg=-1"},
		"one of a set": {"path,ants,bees\np/1.jpg,0,1\n", "", "p/1.jpg=0"},
	} {
		root, csv := withCSV(t, tt.text)
		set, err := Labelled(root, Options{Labels: csv, LabelSep: tt.sep})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		equal(t, name, paths(set.Valid), tt.want)
	}
	_, csv := withCSV(t, "path,label\nq/1.jpg,a\n")
	if _, err := Labelled("", Options{Labels: csv}); failure.KindOf(err) != failure.DataKind {
		t.Error(err)
	}
}

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"path,label\na.jpg,cat\n", "\xef\xbb\xbfpath,label,split\r\n\"a,b\".jpg,\"x\"\"y\",train\r\n", "path,label\n../x,a\n",
		"label,path\n/etc,\x00\n", "path\tlabel\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		t1, err := parseCSV(strings.NewReader(string(data)), "", "")
		if err != nil {
			if !strings.HasPrefix(err.Error(), ":") {
				t.Errorf("%q does not begin with a place", err)
			}
			return
		}
		if len(t1.rows) == 0 {
			t.Error("neither rows nor an error")
		}
		for _, r := range t1.rows {
			p, err := cleanPath(r.cell)
			if r.line < 2 || err == nil && !filepath.IsLocal(filepath.FromSlash(p)) {
				t.Errorf("row %+v, %q", r, p)
			}
		}
	})
}
