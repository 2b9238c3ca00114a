package digest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// want: FIPS 180-4, the example of "abc".
const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

func TestFileAndOf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "abc")
	if err := os.WriteFile(path, []byte("abc"), 0o666); err != nil {
		t.Fatal(err)
	}
	if got, err := File(path); err != nil || got != abc {
		t.Errorf("File = %s, %v; want %s", got, err, abc)
	}
	if got := Of("abc"); got != abc {
		t.Errorf("Of = %s, want %s", got, abc)
	}
	if Of("a", "b") == Of("ab") {
		t.Error("texts that join to the same are not told apart")
	}
	for _, bad := range []string{path + "-none", t.TempDir()} {
		if _, err := File(bad); err == nil || !strings.Contains(err.Error(), bad) {
			t.Errorf("File(%s): error %v does not name it", bad, err)
		}
	}
}
