package exclude

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t testing.TB, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "list")
	if err := os.WriteFile(name, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestLists(t *testing.T) {
	abs, err := filepath.Abs("photos")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text       string
		has, lacks string
	}{
		"lines":           {"a/1.jpg\n\n b/2, 3.jpg \r\n", "a/1.jpg|b/2, 3.jpg", "a/2.jpg|1.jpg"},
		"byte order mark": {"\xef\xbb\xbfa/1.jpg\n", "a/1.jpg", ""},
		"table": {"kind,path,split\nlabel,a/1.jpg,train\ncopy,\"b/2, 3.jpg\",valid\nbalance,,\n",
			"a/1.jpg|b/2, 3.jpg", "label"},
		"one column": {"path\na/1.jpg\n", "a/1.jpg", "path"},
		"semicolons": {"x;Path\n1;a/1.jpg\n", "a/1.jpg", "1"},
		"tabs":       {"path\tx\na/1.jpg\t2\n", "a/1.jpg", ""},
		"other spellings": {"./a/1.jpg\nb\\2.jpg\nphotos/c/3.jpg\n" + abs + "/d/4.jpg\n'=5.jpg\n",
			"a/1.jpg|b/2.jpg|c/3.jpg|d/4.jpg|=5.jpg", ""},
		"header alone": {"kind,path\n", "", "a"},
	} {
		l, err := Read(write(t, c.text), "photos")
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for p := range strings.SplitSeq(c.lacks, "|") {
			if l.Has(p) {
				t.Errorf("%s: has %s", name, p)
			}
		}
		for p := range strings.SplitSeq(c.has, "|") {
			if c.has != "" && !l.Has(p) {
				t.Errorf("%s: lacks %s", name, p)
			}
		}
		if warning, err := l.Check("photos"); warning != "" || err != nil {
			t.Errorf("%s: all was found, but %q, %v", name, warning, err)
		}
	}
}

func TestUnknownPathsAreNamed(t *testing.T) {
	l, err := Read(write(t, "path\na.jpg\nb.jpg\na.jpg\n"), "photos")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Check("photos"); err == nil || !strings.Contains(err.Error(), "none of its 3 paths") {
		t.Errorf("a list of other photographs: %v", err)
	}
	l.Has("a.jpg")
	if warning, err := l.Check("photos"); err != nil || !strings.Contains(warning, "1 of its 3 paths") ||
		!strings.Contains(warning, "b.jpg (line 3)") {
		t.Errorf("%q, %v", warning, err)
	}
}

func TestNoList(t *testing.T) {
	for text, want := range map[string]string{
		"":                   "empty",
		"\xff\xfe":           "UTF-8",
		"kind,path\nlabel\n": ":2: 1 cell, and no path",
		"kind,path\n\"a,b\n": ":2: ",
	} {
		if _, err := Read(write(t, text), "photos"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	if _, err := Read(t.TempDir(), ""); err == nil {
		t.Error("a folder was read")
	}
	if _, err := Read("not/there", ""); err == nil || !strings.Contains(err.Error(), "column path") {
		t.Errorf("a missing file: %v", err)
	}
	var none *List
	if warning, err := none.Check("photos"); none.Has("a") || warning != "" || err != nil {
		t.Error("no list is not an empty one")
	}
}

func Example() {
	os.WriteFile("list.txt", []byte("ants/1.jpg\n"), 0o666)
	defer os.Remove("list.txt")
	l, _ := Read("list.txt", "photos")
	fmt.Println(l.Has("ants/1.jpg"), l.Has("ants/2.jpg"))
	// Output: true false
}
