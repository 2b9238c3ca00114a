// Package naming compares, shows and checks the names of classes and files.
package naming

import (
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// EscapePath turns a file's name into text. A name that is UTF-8 is its own
// text; of any other, each byte that is not part of a character becomes \xHH.
// So that no two names have one text, a backslash of the name itself becomes
// \x5c where xHH follows it. FilePath undoes it.
func EscapePath(name string) string {
	if utf8.ValidString(name) && !strings.Contains(name, `\x`) {
		return name
	}
	var b strings.Builder
	for i := 0; i < len(name); {
		r, n := utf8.DecodeRuneInString(name[i:])
		if _, escaped := escapedByte(name[i:]); escaped || r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, name[i])
			n = 1
		} else {
			b.WriteString(name[i : i+n])
		}
		i += n
	}
	return b.String()
}

// FilePath is the file of an Item's Path, which has slashes, below root.
func FilePath(root, path string) string {
	return filepath.Join(root, filepath.FromSlash(UnescapePath(path)))
}

// UnescapePath is the name that EscapePath made a text of.
func UnescapePath(path string) string {
	if !strings.Contains(path, `\x`) {
		return path
	}
	var b strings.Builder
	for i := 0; i < len(path); i++ {
		c, escaped := escapedByte(path[i:])
		if !escaped {
			c = path[i]
		} else {
			i += 3
		}
		b.WriteByte(c)
	}
	return b.String()
}

// escapedByte reads \xHH at the start of s.
func escapedByte(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] != 'x' || strings.Trim(s[2:4], "0123456789abcdef") != "" {
		return 0, false
	}
	v, err := strconv.ParseUint(s[2:4], 16, 8)
	return byte(v), err == nil
}

// SameName reports whether two names of classes are one: they look alike and
// differ at most in how accents are encoded (Unicode NFC).
func SameName(a, b string) bool { return a == b || norm.NFC.String(a) == norm.NFC.String(b) }

// ClassIndex is the place of a name among classes, -1 if it is none of them.
func ClassIndex(classes []string, name string) int {
	if i := slices.Index(classes, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(classes, func(c string) bool { return SameName(c, name) })
}

// CheckName refuses a class name that a table or a JSON file cannot hold.
func CheckName(name string) error {
	if utf8.ValidString(name) {
		return nil
	}
	return fmt.Errorf("the class name %q is not UTF-8 text (it may come from an old archive); rename the folder", name)
}

// Alike describes classes that may be one by mistake: equal but for case and
// blanks, or equal numbers; and such as stand for a missing value.
func Alike(classes []string) []string {
	groups := map[string][]string{}
	var keys []string
	for _, c := range classes {
		key := strings.ToLower(strings.Join(strings.Fields(norm.NFC.String(c)), " "))
		if v, err := strconv.ParseFloat(key, 64); err == nil && v == v {
			key = "number " + strconv.FormatFloat(v, 'g', -1, 64)
		}
		if groups[key] == nil {
			keys = append(keys, key)
		}
		groups[key] = append(groups[key], strconv.Quote(c))
	}
	var lines []string
	for _, key := range keys {
		if g := groups[key]; len(g) > 1 {
			how := "differ in case or blanks alone"
			if strings.HasPrefix(key, "number ") {
				how = "are the same number"
			}
			lines = append(lines, fmt.Sprintf("classes %s %s; give them one name if they are one class", Few(g, 5), how))
		}
	}
	for _, c := range classes {
		switch strings.ToLower(strings.TrimSpace(c)) {
		case "nan", "null", "n/a", "#n/a", "<na>":
			lines = append(lines, fmt.Sprintf("class %q looks like a missing value; take its photographs out if it is one", c))
		}
	}
	return lines
}

// Few joins at most n of the words and counts the rest.
func Few(words []string, n int) string {
	if len(words) <= n {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:n], ", "), len(words)-n)
}

var globMeta = strings.NewReplacer(`[`, `\[`, `]`, `\]`, `*`, `\*`, `?`, `\?`, `\`, `\\`)

// Glob is a path as part of a pattern of filepath.Glob, which takes it as it is.
func Glob(path string) string {
	if filepath.Separator == '\\' {
		return path // Windows has no escape here; a path with brackets finds nothing
	}
	return globMeta.Replace(path)
}
