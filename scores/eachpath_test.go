package scores

import (
	"slices"
	"strings"
	"testing"
)

// EachPath hands over the paths that List sorts, and refuses what is no list.
func TestEachPathReadsWhatListReads(t *testing.T) {
	long := strings.Repeat("d/", 2000)
	for _, text := range []string{"b\na\n", "b\r\na", "\ufeffa\n\n\nb\n", "a\x00b\nc\x00", "one", "ä/\xff.jpg\n\\x41\n",
		strings.Repeat(long+"a\n", 3) + long + "b", " a \n", "a\nb\r", strings.Repeat(long+"z\x00", 40)} {
		items, _, err := List(strings.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		var want, got []string
		for _, it := range items {
			want = append(want, it.Path)
		}
		err = EachPath(strings.NewReader(text), "list", func(p string) error { got = append(got, p); return nil })
		if err != nil {
			t.Errorf("%.40q: %v", text, err)
		}
		slices.Sort(got)
		if got = slices.Compact(got); !slices.Equal(got, want) {
			t.Errorf("%.40q: %.200q, want %.200q", text, got, want)
		}
	}
	for name, text := range map[string]string{"a NUL": strings.Repeat(long+"a\n", 40) + "a\x00b\n",
		"too long": strings.Repeat("x", 1<<17), "UTF-16": "\xff\xfea\x00"} {
		if err := EachPath(strings.NewReader(text), "list", func(string) error { return nil }); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := EachPath(strings.NewReader(""), "list", func(string) error { t.Error("a path"); return nil }); err != nil {
		t.Error(err)
	}
}
