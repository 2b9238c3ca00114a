package dataset

import (
	"os"
	"path"
	"path/filepath"
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
		"p/3.jpg,dog,train,1\r\n\"p/1.jpg\",\"cat, grey\",train,1\r\n./p/2.jpg,dog,VAL,1\r\n\r\np/4.jpg,\"cat, grey\",valid,1\r\n"+
		"p/6.jpg,,test,1\r\np/5.jpg,yeti,test,1\r\np/3.jpg,dog,train,2\r\np/7.jpg,dog,train,1\r\n")
	set := mustOpen(t, root, Options{Labels: csv})
	equal(t, "classes", strings.Join(set.Classes, "|"), "cat, grey|dog")
	equal(t, "train", paths(set.Train), "p/1.jpg=0 p/3.jpg=1 p/7.jpg=1")
	equal(t, "valid", paths(set.Valid), "p/4.jpg=0 p/2.jpg=1")
	equal(t, "test", paths(set.Test), "p/5.jpg=-1 p/6.jpg=-1")
	equal(t, "file", set.Train[0].File, filepath.Join(root, "p", "1.jpg"))
	warnings := strings.Join(set.Warnings, "\n")
	for _, want := range []string{`columns not used: "width"`, "1 rows of labels.csv repeat", "1 files of labels.csv do not exist: p/7.jpg (line 10)"} {
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
		"empty":            {"", "labels.csv: empty"},
		"no rows":          {"path,label\n", "a header but no rows"},
		"header":           {"file,class\na,b\n", `:1: the header is "file,class"`},
		"semicolons":       {"path;label\na;b\n", "separate columns by commas"},
		"two columns":      {"path,label,Path\n", `:1: two columns called "Path"`},
		"columns":          {"path,label\np/1.jpg,a\np/2.jpg,a,b\n", ":3: 3 columns"},
		"quote":            {"path,label\np/1.jpg,a\"b\n", ":2: "},
		"no label":         {"path,label\np/1.jpg,a\n\np/2.jpg,  \n", ":4: no label"},
		"no path":          {"path,label\n,a\n", ":2: no path"},
		"split":            {"path,label,split\np/1.jpg,a,dev\n", `:2: split is "dev"`},
		"absolute":         {"path,label\n" + outside + ",a\n", "is absolute"},
		"dots":             {"path,label\np/../../x.jpg,a\n", "leaves the CSV's folder"},
		"linked out":       {"path,label\nout.jpg,a\n", "is a link out of"},
		"a folder":         {"path,label\np,a\n", ":2: p is not a file"},
		"zero byte":        {"path,label\n\"p\x00\",a\n", "zero byte"},
		"contradiction":    {"path,label\np/1.jpg,a\n./p/1.jpg,b\n", ":3: p/1.jpg again"},
		"all missing":      {"path,label\nq/1.jpg,a\nq/2.jpg,b\n", "none of its 2 files is below"},
		"utf-16":           {"\xff\xfep\x00", "UTF-16"},
		"latin-1":          {"path,label\np/1.jpg,caf\xe9\n", ":2: \"caf\\xe9\" is not UTF-8"},
		"no split":         {"path,label\np/1.jpg,a\np/2.jpg,b\n", "add --valid-pct 0.2 or a column split"},
		"one class":        {"path,label,split\np/1.jpg,a,train\np/2.jpg,a,valid\n", "only one class"},
		"only in valid":    {"path,label,split\np/1.jpg,a,train\np/2.jpg,b,train\np/3.jpg,c,valid\n", `class "c" is in the validation set`},
		"a long cell":      {"path,label\np/1.jpg," + strings.Repeat("x", maxCell+1) + "\n", "is a quote left open?"},
		"unclosed quote":   {"path,label\n\"p/1.jpg,a\n", ":2: extraneous or missing"},
		"no train at all":  {"path,label,split\np/1.jpg,a,valid\np/2.jpg,b,valid\n", "no training photographs"},
		"nothing to check": {"path,label,split\np/1.jpg,a,train\np/2.jpg,b,train\n", "no validation photographs"},
	} {
		root, csv := withCSV(t, tt.text)
		if err := os.Symlink(outside, filepath.Join(root, "out.jpg")); err != nil {
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

func FuzzCSV(f *testing.F) {
	for _, seed := range []string{
		"path,label\na.jpg,cat\n", "\xef\xbb\xbfpath,label,split\r\n\"a,b\".jpg,\"x\"\"y\",train\r\n", "path,label\n../x,a\n", "label,path\n/etc,\x00\n", "path\tlabel\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rows, _, err := parseCSV(strings.NewReader(string(data)))
		if err != nil {
			if !strings.HasPrefix(err.Error(), ":") {
				t.Errorf("%q does not begin with a place", err)
			}
			return
		}
		if len(rows) == 0 {
			t.Error("neither rows nor an error")
		}
		for _, r := range rows {
			if r.line < 2 || path.IsAbs(r.path) || r.path != path.Clean(r.path) || r.path == ".." || strings.HasPrefix(r.path, "../") || r.path == "." {
				t.Errorf("row %+v", r)
			}
		}
	})
}
