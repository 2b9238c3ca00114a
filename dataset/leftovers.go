package dataset

import (
	"bufio"
	"io"
	"path/filepath"
	"regexp"
	"strings"

	"finetune/internal/reading"
)

// leftoverFolders are what desktops, network storage and tools leave beside
// photographs, in lower case: thumbnails, bins, snapshots. Names that begin
// with a dot need no entry.
var leftoverFolders = map[string]bool{
	"__macosx": true, "@eadir": true, "#recycle": true, "@recycle": true, "@recently-snapshot": true, "@tmp": true,
	"@sharebin": true, "@__thumb": true, "#snapshot": true, "~snapshot": true, "$recycle.bin": true, "recycler": true,
	"recycled": true, "system volume information": true, "lost+found": true, "lost.dir": true,
	"network trash folder": true, "temporary items": true, "thevolumesettingsfolder": true, "__pycache__": true,
}

// foundFolder is what a check of a Windows disk leaves: found.000.
var foundFolder = regexp.MustCompile(`^(?i)found\.\d{3}$`)

// leftover reports whether a folder's name says that its pictures are not the user's photographs.
func leftover(name string) bool {
	return strings.HasPrefix(name, ".") || leftoverFolders[strings.ToLower(name)] || foundFolder.MatchString(name)
}

// Files that a run of this program always holds; learner writes both before anything else.
const (
	runConfig = "config.json"
	runSums   = "SHA256SUMS"
)

// ownRun reports whether dir is a run of this program: its checksums name its configuration.
func ownRun(dir string) bool {
	info, err := reading.Stat(filepath.Join(dir, runConfig))
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	sums := filepath.Join(dir, runSums)
	if info, err = reading.Stat(sums); err != nil || !info.Mode().IsRegular() {
		return false
	}
	f, err := reading.Open(sums)
	if err != nil {
		return false
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for lines.Scan() {
		if digest, name, _ := strings.Cut(lines.Text(), " "); len(digest) == 64 && strings.TrimLeft(name, " *") == runConfig {
			return true
		}
	}
	return false
}
