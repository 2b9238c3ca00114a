package scores

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// A part that cannot be read is closed, also where the decoder panics: Windows could not remove it.
func TestDamagedPartsAreClosed(t *testing.T) {
	corpus, err := filepath.Glob("testdata/fuzz/FuzzMerge/*")
	if err != nil || len(corpus) == 0 {
		t.Fatal("no corpus", err)
	}
	for i, name := range append(corpus, "PAR1", "", "path,p\n\"a,1\n", "{}\n") {
		dir, text := t.TempDir(), name
		if i < len(corpus) {
			data, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, quoted, _ := strings.Cut(strings.TrimSpace(string(data)), "[]byte(")
			if text, err = strconv.Unquote(strings.TrimSuffix(quoted, ")")); err != nil {
				t.Fatal(err)
			}
		}
		for _, ending := range []string{".csv", ".jsonl", ".parquet"} {
			part := filepath.Join(dir, "part"+ending)
			if err := os.WriteFile(part, []byte(text), 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := Merge(filepath.Join(dir, "out"+ending), []string{part}); err == nil && i >= len(corpus) &&
				(name != "" || ending != ".jsonl") {
				t.Errorf("%q, %s: no error", name, ending)
			}
			links, _ := filepath.Glob("/proc/self/fd/*")
			for _, l := range links {
				if to, _ := os.Readlink(l); to == part {
					t.Errorf("%s: %s is still open", name, part)
				}
			}
		}
	}
}
