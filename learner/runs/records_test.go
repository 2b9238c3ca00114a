package runs

import (
	"path/filepath"
	"strings"
	"testing"
)

// Only a run that has begun is said to be unfinished.
func TestSummaryOfWhatIsNoRun(t *testing.T) {
	dir := t.TempDir()
	begun, other := filepath.Join(dir, "begun"), filepath.Join(dir, "photos")
	aRunIn(t, begun, "head")
	write(t, filepath.Join(other, "mine.jpg"), "any")
	for path, want := range map[string]string{
		filepath.Join(dir, "nothere"):    "there is no such folder",
		other:                            "is not a run",
		filepath.Join(other, "mine.jpg"): "is not a run but a file",
		begun:                            "this run is not finished; continue with",
	} {
		if _, err := ReadSummary(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
}
