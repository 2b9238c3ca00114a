package dataset

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// openFolders reads the folder layouts.
func openFolders(root string, o Options) (*Set, error) {
	names, err := subfolders(root)
	if err != nil {
		return nil, err
	}
	hasTrain := slices.Contains(names, "train")
	valid, err := validFolder(root, names)
	if err != nil {
		return nil, err
	}
	if !hasTrain && valid != "" {
		return nil, fmt.Errorf("dataset: %s: there is %s/ but no train/; %s", root, valid, layouts)
	}
	r := &folders{walker: walker{root: root}, set: &Set{Root: root}}
	if hasTrain {
		err = r.trainAndValid(valid, names, o)
	} else {
		err = r.oneFolder(names, o)
	}
	if err != nil {
		return nil, err
	}
	r.set.Ignored = r.ignoredFiles()
	r.set.Warnings = append(r.set.Warnings, r.warnings()...)
	return r.set, nil
}

// folders builds a Set from class folders.
type folders struct {
	walker
	set *Set
}

// trainAndValid reads train/CLASS, valid/CLASS and test*/. Classes come from
// train alone; the reference numbers valid's by valid's own list (a bug there).
func (r *folders) trainAndValid(valid string, names []string, o Options) (err error) {
	if r.set.Classes, r.set.Train, err = r.classes("train", nil); err != nil {
		return err
	}
	isTest := func(name string) bool { return strings.HasPrefix(name, "test") }
	if err := r.tests(names, isTest); err != nil {
		return err
	}
	if valid == "" {
		if o = o.orFallback(); o.ValidPct == 0 {
			return fmt.Errorf("dataset: %s: train/ but neither valid/ nor val/; add one, or add --valid-pct 0.2", r.root)
		}
		return r.set.split(o)
	}
	if o.ValidPct > 0 {
		r.set.warn("%s/ is there, so the share of validation photographs (--valid-pct) is not used", valid)
	}
	classes, items, err := r.classes(valid, nil)
	if err != nil {
		return err
	}
	for i, it := range items {
		index, ok := slices.BinarySearch(r.set.Classes, it.Class)
		if !ok {
			return fmt.Errorf("dataset: %s: class %q is in %s/ but has no photographs in train/, which has %s; add training photographs or leave the class out",
				r.root, classes[it.Label], valid, few(r.set.Classes, 5))
		}
		items[i].Label = index
	}
	r.set.Valid = items
	return nil
}

// testName is what marks a test set beside class folders: a class may well be
// called "testudo", so only test, test1, test-set and test_set count.
var testName = regexp.MustCompile(`^test([0-9]+|[-_].*)?$`)

// oneFolder reads CLASS/* and draws the validation set.
func (r *folders) oneFolder(names []string, o Options) (err error) {
	classNames := slices.DeleteFunc(slices.Clone(names), testName.MatchString)
	if len(classNames) == 0 {
		return r.noClasses()
	}
	if o = o.orFallback(); o.ValidPct == 0 {
		return fmt.Errorf("dataset: %s: no train/ folder; if its folders (%s) are the classes, add --valid-pct 0.2 to hold some photographs back; otherwise: %s",
			r.root, few(classNames, 5), layouts)
	}
	if r.set.Classes, r.set.Train, err = r.classes("", classNames); err != nil {
		return err
	}
	if err := r.tests(names, testName.MatchString); err != nil {
		return err
	}
	return r.set.split(o)
}

// noClasses explains a root without folders.
func (r *folders) noClasses() error {
	items, err := r.walk("", -1, "")
	if err != nil {
		return err
	}
	if len(items) > 0 {
		return fmt.Errorf("dataset: %s: %d photographs but no class folders; %s", r.root, len(items), layouts)
	}
	return fmt.Errorf("dataset: %s: empty; %s", r.root, layouts)
}

// classes reads one split: a folder per class. names nil means every folder
// there; a class without photographs is left out and mentioned. Labels index
// the returned, sorted names.
func (r *folders) classes(split string, names []string) ([]string, []Item, error) {
	if names == nil {
		var err error
		if names, err = subfolders(filepath.Join(r.root, split)); err != nil {
			return nil, nil, err
		}
	}
	if err := r.strays(split); err != nil {
		return nil, nil, err
	}
	var kept []string
	var all []Item
	for _, name := range names {
		items, err := r.walk(path.Join(split, name), len(kept), name)
		if err != nil {
			return nil, nil, err
		}
		if len(items) == 0 {
			r.note("class folder without photographs, left out", path.Join(split, name))
			continue
		}
		kept, all = append(kept, name), append(all, items...)
	}
	if len(kept) == 0 {
		return nil, nil, fmt.Errorf("dataset: %s: no class folders with photographs; expected %s/CLASS/*", filepath.Join(r.root, split), path.Join(path.Base(r.root), split))
	}
	return kept, all, nil
}

// strays mentions plain files that lie beside the class folders.
func (r *folders) strays(split string) error {
	entries, err := os.ReadDir(filepath.Join(r.root, split))
	if err != nil {
		return fmt.Errorf("dataset: %s: %w", filepath.Join(r.root, split), reason(err))
	}
	for _, e := range entries {
		if !e.IsDir() && e.Type()&os.ModeSymlink == 0 && !hidden(e.Name()) && !systemFiles[strings.ToLower(e.Name())] {
			r.note("file beside the class folders, ignored", path.Join(split, e.Name()))
		}
	}
	return nil
}

// tests reads every test folder, nested or flat: no labels.
func (r *folders) tests(names []string, isTest func(string) bool) error {
	for _, name := range names {
		if !isTest(name) {
			continue
		}
		items, err := r.walk(name, -1, "")
		if err != nil {
			return err
		}
		r.set.Test = append(r.set.Test, items...)
	}
	slices.SortFunc(r.set.Test, func(a, b Item) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

func validFolder(root string, names []string) (string, error) {
	valid, val := slices.Contains(names, "valid"), slices.Contains(names, "val")
	switch {
	case valid && val:
		return "", fmt.Errorf("dataset: %s: both valid/ and val/; keep one", root)
	case valid:
		return "valid", nil
	case val:
		return "val", nil
	}
	return "", nil
}

// subfolders lists the folders (and links to folders) in dir, sorted.
func subfolders(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("dataset: %s: no such folder; %s", dir, layouts)
	}
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: cannot list: %w; check its permissions", dir, reason(err))
	}
	var names []string
	for _, e := range entries {
		isDir := e.IsDir()
		if e.Type()&os.ModeSymlink != 0 {
			info, err := os.Stat(filepath.Join(dir, e.Name()))
			isDir = err == nil && info.IsDir()
		}
		if isDir && !hidden(e.Name()) {
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}
