package dataset

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"finetune/dataset/kinds"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/reading"
)

// checkCell refuses what is no path of a file.
func checkCell(p string) error {
	switch {
	case strings.TrimSpace(p) == "":
		return errors.New("no path")
	case strings.ContainsRune(p, 0):
		return fmt.Errorf("path %.80q holds a zero byte", p)
	case address.MatchString(strings.TrimSpace(p)):
		return fmt.Errorf("path %.80q is an address; download the files, and write where they are", p)
	}
	return nil
}

var (
	address = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]+://`)
	drive   = regexp.MustCompile(`^([A-Za-z]:[\\/]|\\\\)`) // an absolute path of Windows
)

// cleanPath refuses paths that leave the folder.
func cleanPath(p string) (string, error) {
	if path.IsAbs(p) || filepath.IsAbs(p) || drive.MatchString(p) {
		return "", fmt.Errorf("path %.80q is absolute; make it relative to the CSV's folder, or give a folder above it as "+
			"DATA", p)
	}
	clean := path.Clean(filepath.ToSlash(p))
	if clean == "." || clean == ".." || strings.HasPrefix(clean, "../") {
		return "", fmt.Errorf("path %.80q leaves the CSV's folder; move the CSV above the photographs, or give their "+
			"folder as DATA", p)
	}
	return clean, nil
}

// finder finds the files that a labels file names below one folder.
type finder struct {
	root, csvDir string
	lists        map[string]map[string][]string // folder -> spelling without case, ending -> names
	notes        map[string]*spelling
}

// spelling is a way in which paths differ from the files they name.
type spelling struct {
	rows  int
	first string
}

// The ways, as notes say them.
const (
	withBlanks  = "with blanks around"
	backslashed = "with backslashes"
	noEnding    = "without an ending"
	otherCase   = "in other letters (upper or lower case, accents)"
	fromAbove   = "absolute or from another folder"
)

// find sets the path of each row to the file below root that its cell names,
// as it is written or nearly so. It returns how many there are; rows of missing
// files keep their cell's own path. An error is of a row that cannot be below root.
func (f *finder) find(rows []row) (found int, err error) {
	for i := range rows {
		r := &rows[i]
		var ok bool
		if r.path, ok, err = f.one(r.cell); err != nil {
			return found, fmt.Errorf(":%d: %w", r.line, err)
		}
		if ok {
			found++
		}
	}
	return found, nil
}

// one finds the file of one cell.
func (f *finder) one(cell string) (rel string, found bool, err error) {
	if rel, err = cleanPath(cell); err == nil && f.exists(rel) {
		return rel, true, nil
	}
	trimmed := strings.TrimSpace(cell)
	for _, s := range []struct{ how, text string }{
		{"", cell}, {withBlanks, trimmed}, {backslashed, strings.ReplaceAll(trimmed, `\`, "/")},
		{fromAbove, f.below(trimmed)},
	} {
		p, e := cleanPath(s.text)
		if e != nil {
			continue
		}
		if rel == "" {
			rel = p
		}
		if f.exists(p) {
			f.note(s.how, cell, p)
			return p, true, nil
		}
		switch names, how := f.near(p); {
		case len(names) == 1:
			p = path.Join(path.Dir(p), naming.EscapePath(names[0]))
			f.note(how, cell, p)
			return p, true, nil
		case len(names) > 1:
			return "", false, fmt.Errorf("path %.80q could be %s; write it out", cell, naming.Few(names, 4))
		}
	}
	if rel != "" {
		err = nil
	}
	return rel, false, err
}

func (f *finder) exists(rel string) bool {
	file := naming.FilePath(f.root, rel)
	_, err := os.Lstat(file)
	if _, mounted := reading.Mounted(file); mounted {
		_, err = reading.Stat(file)
	}
	return err == nil || !errors.Is(err, os.ErrNotExist)
}

// below is a path that is absolute, or relative to the CSV's folder, as one
// relative to root; "" if it does not lie below root.
func (f *finder) below(p string) string {
	if drive.MatchString(p) && filepath.Separator != '\\' {
		return ""
	}
	if p = filepath.FromSlash(p); !filepath.IsAbs(p) {
		p = filepath.Join(f.csvDir, p)
	}
	for _, real := range []func(string) (string, error){filepath.Abs, realPath} {
		root, _ := real(f.root)
		file, _ := real(p) // "" where it cannot be resolved, and no path leads there
		if rel, err := filepath.Rel(root, file); err == nil && filepath.IsLocal(rel) && rel != "." {
			return filepath.ToSlash(rel)
		}
	}
	return ""
}

// near are the files of the folder of rel that are spelt nearly like it: with a
// picture's ending where rel has none, or else in other letters.
func (f *finder) near(rel string) (names []string, how string) {
	dir := path.Dir(rel)
	list, ok := f.lists[dir]
	if !ok {
		list = map[string][]string{}
		entries, _ := reading.ReadDir(naming.FilePath(f.root, dir)) // a folder that is not there has no files
		for _, e := range entries {
			if e.IsDir() || kinds.System(e.Name()) {
				continue
			}
			name := spelt(naming.EscapePath(e.Name()))
			list[name] = append(list[name], e.Name())
			if ext := path.Ext(name); kinds.Pictures[ext] {
				stem := "." + strings.TrimSuffix(name, ext) // no file's own spelling begins with a dot
				list[stem] = append(list[stem], e.Name())
			}
		}
		if f.lists == nil {
			f.lists = map[string]map[string][]string{}
		}
		f.lists[dir] = list
	}
	want := spelt(path.Base(rel))
	if names := list[want]; len(names) > 0 {
		return names, otherCase
	}
	if !kinds.Pictures[path.Ext(want)] {
		return list["."+want], noEnding
	}
	return nil, ""
}

// spelt is a name without what differs between file systems.
func spelt(name string) string { return strings.ToLower(norm.NFC.String(name)) }

func (f *finder) note(how, cell, rel string) {
	if how == "" {
		return
	}
	if f.notes == nil {
		f.notes = map[string]*spelling{}
	}
	if f.notes[how] == nil {
		f.notes[how] = &spelling{first: fmt.Sprintf("%.80q is %s", cell, rel)}
	}
	f.notes[how].rows++
}

// said are the notes, a line a way.
func (f *finder) said() []string {
	var lines []string
	for _, how := range []string{withBlanks, backslashed, noEnding, otherCase, fromAbove} {
		if s := f.notes[how]; s != nil {
			lines = append(lines, fmt.Sprintf("labels file: %s %s: %s", plural.Of(s.rows, "path is", "paths are"), how, s.first))
		}
	}
	return lines
}

// whereElse names a folder at most one level below that has a file of the same name.
func whereElse(roots []string, rel string) string {
	base := path.Base(strings.ReplaceAll(rel, `\`, "/"))
	for _, root := range roots {
		entries, err := reading.ReadDir(cmp.Or(root, "."))
		if err != nil {
			continue
		}
		for _, e := range entries {
			dir := filepath.Join(root, e.Name())
			f := finder{root: dir}
			if names, _ := f.near(base); len(names) > 0 {
				return dir
			}
		}
	}
	return ""
}

// insideAny reports whether a real path lies in one of the real folders.
func insideAny(real string, dirs []string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		rel, err := filepath.Rel(dir, real)
		return err == nil && filepath.IsLocal(rel)
	})
}
