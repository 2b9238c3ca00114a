package dataset

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"finetune/dataset/kinds"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/reading"
)

// openFolders reads the folder layouts.
func openFolders(root string, o Options) (*Set, error) {
	if kinds.OwnRun(root) {
		return nil, fmt.Errorf("dataset: %s: a run of finetune, not a folder of photographs; name the photographs", root)
	}
	r := &folders{walker: walker{root: root, exclude: o.Exclude}, set: &Set{Root: root}, take: o.Take, nested: nested{}}
	names, err := r.subfolders("")
	if err != nil {
		return nil, err
	}
	l, err := r.choose(names)
	if err != nil {
		return nil, err
	}
	if l.train != "" {
		err = r.trainAndValid(l, o)
	} else {
		err = r.oneFolder(l, o)
	}
	if err != nil {
		return nil, err
	}
	r.set.Ignored, r.set.Excluded = r.ignoredFiles(), r.excluded
	r.set.Warnings = append(r.set.Warnings, r.warnings()...)
	return r.set, nil
}

// folders builds a Set from class folders.
type folders struct {
	walker
	set      *Set
	doubtful []string // test folders that may as well be classes
	take     func(part string, it Item) error
	nested   nested
}

// gather takes the photographs at and below a folder: it lists them, or hands them to
// Options.Take, and returns their number. Those of the part "" are to be drawn.
func (r *folders) gather(part, rel string, label int, class string) (items []Item, n int, err error) {
	if r.take == nil {
		items, err = r.walk(rel, label, class)
		for _, it := range items {
			r.see(part, it)
		}
		return items, len(items), err
	}
	if i := naming.ClassIndex(r.set.Classes, class); part == kinds.ValidPart && i >= 0 {
		label, class = i, r.set.Classes[i]
	}
	r.visit = func(it Item) error {
		it.Label, it.Class, n = label, class, n+1
		r.see(part, it)
		return r.take(part, it)
	}
	defer func() { r.visit = nil }()
	_, err = r.walk(rel, label, class)
	return nil, n, err
}

// say notes what was decided.
func (r *folders) say(format string, args ...any) {
	r.set.Notes = append(r.set.Notes, fmt.Sprintf(format, args...))
}

// trainAndValid reads train/CLASS, valid/CLASS and test*/. Classes come from
// train alone; the reference numbers valid's by valid's own list (a bug there).
func (r *folders) trainAndValid(l layout, o Options) (err error) {
	part := kinds.TrainPart
	if l.valid == "" {
		part = ""
	}
	if r.set.Classes, r.set.Train, err = r.classes(part, l.train, nil); err != nil {
		return err
	}
	if len(r.set.Classes) == 1 {
		return r.oneClass(l.train, l.tests)
	}
	if err := r.tests(l.tests); err != nil {
		return err
	}
	if l.valid == "" {
		if o = o.orFallback(); o.ValidPct == 0 {
			return fmt.Errorf("dataset: %s: %s/ but neither valid/ nor val/; add one, or add --valid-pct 0.2", r.root, l.train)
		}
		return r.split(o)
	}
	if l.train != "train" || l.valid != "valid" && l.valid != "val" {
		r.say("%s/ is the training part, %s/ the validation part", l.train, l.valid)
	}
	if o.ValidPct > 0 {
		r.set.warn("DATA has the folder %s/, so --valid-pct is not used", l.valid)
	}
	classes, items, err := r.classes(kinds.ValidPart, l.valid, nil)
	if err != nil {
		return err
	}
	index := make([]int, len(classes))
	for i, class := range classes {
		if index[i] = naming.ClassIndex(r.set.Classes, class); index[i] < 0 {
			return fmt.Errorf("dataset: %s: class %q is in %s/ but has no photographs in %s/, which has %s; add training "+
				"photographs or leave the class out",
				r.root, class, l.valid, l.train, naming.Few(r.set.Classes, 5))
		}
	}
	for i, it := range items {
		items[i].Label = index[it.Label]
		items[i].Class = r.set.Classes[index[it.Label]]
	}
	sortItems(items)
	r.set.Valid = items
	return nil
}

// oneFolder reads CLASS/* and draws the validation set.
func (r *folders) oneFolder(l layout, o Options) (err error) {
	if len(l.classes) == 0 {
		return r.noClasses()
	}
	if r.set.Classes, r.set.Train, err = r.classes("", "", l.classes); err != nil {
		return err
	}
	if len(r.set.Classes) == 1 {
		return r.oneClass("", l.tests)
	}
	if o = o.orFallback(); o.ValidPct == 0 {
		return fmt.Errorf("dataset: %s: no train/ folder; if its folders (%s) are the classes, add --valid-pct 0.2 to "+
			"hold some photographs back; otherwise: %s",
			r.root, naming.Few(l.classes, 5), layouts)
	}
	if err := r.tests(l.tests); err != nil {
		return err
	}
	if err := r.checkNested(); err != nil {
		return err
	}
	return r.split(o)
}

// split draws the validation part, or leaves that to who took the photographs.
func (r *folders) split(o Options) error {
	if r.take != nil {
		r.set.Drawn, r.set.Share = true, o.ValidPct
		return nil
	}
	return r.set.split(o)
}

// noClasses explains a root without class folders.
func (r *folders) noClasses() error {
	items, err := r.walk("", -1, "")
	if err != nil {
		return err
	}
	if len(items) > 0 {
		return fmt.Errorf("dataset: %s: %s but no class folders; %s%s", r.root, plural.Count(len(items), "photograph"),
			layouts, r.tableHint())
	}
	return fmt.Errorf("dataset: %s: empty; %s", r.root, layouts)
}

// oneClass explains a folder in which photographs of one class alone were found.
func (r *folders) oneClass(split string, tests []string) error {
	class, dir := r.set.Classes[0], filepath.Join(r.root, split)
	switch what, at := r.within(path.Join(split, class)); {
	case what != "" && split == "":
		return fmt.Errorf("dataset: %s: only one class, %q; %s in %s: name that", dir, class, what, at)
	case what != "":
		return fmt.Errorf("dataset: %s: only one class, %q; %s in %s; move them up", dir, class, what, at)
	}
	if names, err := r.subfolders(split); err == nil && slices.Contains(names, "labels") {
		return fmt.Errorf("dataset: %s: the folders %q and labels/ are the form of object detection (YOLO); class folders "+
			"are needed: %s", dir, class, layouts)
	}
	if len(tests) > 0 && split == "" {
		return fmt.Errorf("dataset: %s: only one class, %q, and a test set, %s/; a classifier needs at least two classes",
			dir, class, tests[0])
	}
	return fmt.Errorf("dataset: %s: only one class, %q; a classifier needs at least two", dir, class)
}

// nested are the folders inside the classes' own: the second part of a path -> classes.
// A class's own folder is kept where that folder has folders in turn, else "".
type nested map[string]map[string]string

// see notes the folders of a photograph, if they may be classes.
func (r *folders) see(part string, it Item) {
	at := strings.SplitN(it.Path, "/", 4)
	if part != "" || len(at) < 3 {
		return
	}
	if r.nested[at[1]] == nil {
		r.nested[at[1]] = map[string]string{}
	}
	top := r.nested[at[1]][it.Class]
	if len(at) == 4 {
		top = at[0]
	}
	r.nested[at[1]][it.Class] = top
}

// checkNested looks at the folders inside the classes' own. Where all classes
// have folders of equal names, a level may be one that the user did not mean
// (fold1/CLASS, CLASS/train): that is told. Where one of them holds a
// training part, it is the data set.
func (r *folders) checkNested() error {
	within, parts := r.nested, map[string]string{} // class -> its training part
	for name, classes := range within {
		for _, top := range classes {
			if top != "" && kinds.RoleOf(name) == kinds.TrainRole {
				parts[top] = name
			}
		}
	}
	if len(parts) == 1 {
		for class, train := range parts {
			return fmt.Errorf("dataset: %s: %s/ is in %s: name that", r.root, train, filepath.Join(r.root, class))
		}
	}
	var shared []string
	splits := false
	for name, classes := range within {
		if len(classes) == len(r.set.Classes) {
			shared = append(shared, name)
			splits = splits || kinds.RoleOf(name) != kinds.NoRole
		}
	}
	if slices.Sort(shared); len(shared) < 2 {
		return nil
	}
	text := fmt.Sprintf("the classes are the folders %s; each holds the folders %s, whose photographs are taken together",
		naming.Few(r.set.Classes, 3), naming.Few(shared, 3))
	if splits {
		r.set.warn("%s; for splits, turn the levels round: train/CLASS/*", text)
	} else {
		r.say("%s", text)
	}
	return nil
}

// classes reads one split: a folder per class. names nil means every folder
// there; a class without photographs is left out and mentioned. Folders whose
// names differ in their Unicode form alone are one class. Labels index the
// returned, sorted names.
func (r *folders) classes(part, split string, names []string) ([]string, []Item, error) {
	if names == nil {
		var err error
		if names, err = r.subfolders(split); err != nil {
			return nil, nil, err
		}
	}
	r.strays(split)
	var kept []string
	var all []Item
	for _, name := range names {
		label, class := naming.ClassIndex(kept, name), name
		if label >= 0 {
			class = kept[label]
			r.note("folders of one name in two Unicode forms, taken as one class", path.Join(split, name))
		} else {
			label = len(kept)
		}
		before := len(r.runs)
		items, n, err := r.gather(part, path.Join(split, name), label, class)
		if err != nil {
			return nil, nil, err
		}
		if n == 0 {
			if len(r.runs) == before {
				r.note("class folder without photographs, left out", path.Join(split, name))
			}
			continue
		}
		if err := naming.CheckName(name); err != nil {
			return nil, nil, fmt.Errorf("dataset: %s: %w", filepath.Join(r.root, split), err)
		}
		if all = append(all, items...); label == len(kept) {
			kept = append(kept, name)
		}
	}
	if len(kept) == 0 {
		return nil, nil, fmt.Errorf("dataset: %s: no class folders with photographs; expected %s/CLASS/*",
			filepath.Join(r.root, split), path.Join(path.Base(r.root), split))
	}
	sortItems(all)
	return kept, all, nil
}

// strays mentions plain files that lie beside the class folders, which were listed before.
func (r *folders) strays(split string) {
	entries, _ := reading.ReadDir(filepath.Join(r.root, split))
	for _, e := range entries {
		if !e.IsDir() && e.Type()&os.ModeSymlink == 0 && !kinds.System(e.Name()) {
			r.note("file beside the class folders, ignored", path.Join(split, e.Name()))
		}
	}
}

// tests reads test folders, nested or flat: no labels.
func (r *folders) tests(names []string) error {
	for _, name := range names {
		items, n, err := r.gather(kinds.TestPart, name, -1, "")
		if err != nil {
			return err
		}
		if n > 0 {
			r.sayTest(name, n)
		}
		r.set.Test = append(r.set.Test, items...)
	}
	slices.SortFunc(r.set.Test, func(a, b Item) int { return strings.Compare(a.Path, b.Path) })
	return nil
}

// sayTest tells that a folder of n photographs is a test set, and what its class folders are good for.
func (r *folders) sayTest(name string, n int) {
	if slices.Contains(r.doubtful, name) {
		r.set.warn("%s/ is taken as a test set of %s because of its name; if it is a class, put all class "+
			"folders into %s",
			name, plural.Count(n, "photograph"), filepath.Join(r.root, "train"))
		return
	}
	hint := ""
	below, _ := r.subfolders(name) // which could be listed just now
	if slices.ContainsFunc(below, func(sub string) bool {
		return naming.ClassIndex(r.set.Classes, naming.EscapePath(sub)) >= 0 && r.holds(path.Join(name, sub), true)
	}) {
		hint = fmt.Sprintf("; its folders are not read as labels, `finetune evaluate RUN %s` does that",
			filepath.Join(r.root, name))
	}
	r.say("%s/ is taken as a test set of %s: predicted, not trained on%s", name, plural.Count(n, "photograph"), hint)
}

// subfolders lists the folders (and links to folders) in rel that may hold
// photographs, sorted; the others are noted.
func (r *folders) subfolders(rel string) ([]string, error) {
	dir := filepath.Join(r.root, filepath.FromSlash(rel))
	entries, err := reading.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("dataset: %s: no such folder; %s", dir, layouts)
	}
	if err != nil {
		return nil, fmt.Errorf("dataset: %s: cannot list: %w; check its permissions", dir, failure.Reason(err))
	}
	var names []string
	for _, e := range entries {
		isDir, file := e.IsDir(), filepath.Join(dir, e.Name())
		if e.Type()&os.ModeSymlink != 0 {
			info, err := reading.Stat(file)
			isDir = err == nil && info.IsDir()
		}
		switch {
		case !isDir:
		case kinds.Leftover(e.Name()):
			r.leave(path.Join(rel, e.Name()), e.Name())
		case kinds.OwnRun(file):
			r.leaveRun(path.Join(rel, e.Name()))
		default:
			names = append(names, e.Name())
		}
	}
	slices.Sort(names)
	return names, nil
}
