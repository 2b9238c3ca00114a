package store

import (
	"fmt"
	"io/fs"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"finetune/internal/durable"
	"finetune/internal/plural"
)

// longestName is the most bytes that object stores take.
const longestName = 1024

// Check returns an error unless name can be a file's in every store: relative, with
// slashes, without "..", empty parts or control characters, and none that a file has
// only while it is written.
func Check(name string) error {
	why := ""
	switch {
	case name == "":
		why = "it is empty"
	case len(name) > longestName:
		why = fmt.Sprintf("it has %s, more than %d", plural.Count(len(name), "byte"), longestName)
	case !utf8.ValidString(name):
		why = "it is not UTF-8 text"
	case strings.ContainsFunc(name, unicode.IsControl):
		why = "it holds a control character"
	case strings.HasPrefix(name, "/"):
		why = "it is absolute"
	case path.Clean(name) != name || name == "." || name == ".." || strings.HasPrefix(name, "../"):
		why = `it holds "..", "." or an empty part`
	case temporary(path.Base(name)):
		why = "it looks like a file that is still being written"
	default:
		return nil
	}
	if len(name) > 100 {
		name = name[:100] + "…"
	}
	return fmt.Errorf("store: %q cannot be a file's name: %s", name, why)
}

// checkPrefix returns an error unless names can begin with prefix.
func checkPrefix(prefix string) error {
	if prefix != "" && !fs.ValidPath(strings.TrimSuffix(prefix, "/")) {
		return fmt.Errorf("store: %q cannot begin a file's name", prefix)
	}
	return nil
}

// temporary reports whether a file of this name is one that durable is writing.
func temporary(base string) bool {
	return durable.Temporary(base, func(string) bool { return true })
}
