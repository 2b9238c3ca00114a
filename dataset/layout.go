package dataset

import (
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"finetune/dataset/kinds"
	"finetune/internal/naming"
	"finetune/internal/reading"
	"finetune/internal/remote"
)

// branch is a folder directly below a root and what is seen in it at a glance.
type branch struct {
	name    string
	role    kinds.Role
	flat    bool     // photographs lie in it
	classes []string // folders in it that hold photographs
}

func (b branch) holds() bool { return b.flat || len(b.classes) > 0 }

// describe says what a branch holds: "photographs", "the folders a, b", "no photographs".
func (b branch) describe() string {
	switch {
	case b.flat && len(b.classes) > 0:
		return "photographs and the folders " + naming.Few(b.classes, 3)
	case b.flat:
		return "photographs but no class folders"
	case len(b.classes) == 1:
		return "the folder " + b.classes[0] + " alone"
	case len(b.classes) > 0:
		return "the folders " + naming.Few(b.classes, 3)
	}
	return "no photographs"
}

// look sees what is in each folder of rel.
func (r *folders) look(rel string, names []string) ([]branch, error) {
	list := make([]branch, len(names))
	for i, name := range names {
		b := branch{name: name, role: kinds.RoleOf(name)}
		below, err := r.subfolders(path.Join(rel, name))
		if err != nil {
			return nil, err
		}
		for _, sub := range below {
			if r.holds(path.Join(rel, name, sub), true) {
				b.classes = append(b.classes, sub)
			}
		}
		b.flat = r.holds(path.Join(rel, name), false)
		list[i] = b
	}
	return list, nil
}

// holds reports whether a photograph lies in the folder rel, or with deep below
// it. It stops at the first one. What cannot be listed is reported when it is read.
func (r *folders) holds(rel string, deep bool) bool {
	glance := walker{root: r.root, linked: map[string]bool{}}
	return glance.any(rel, deep, 0)
}

// any is walker.folder that ends at the first photograph.
func (w *walker) any(rel string, deep bool, depth int) bool {
	dir := filepath.Join(w.root, filepath.FromSlash(rel))
	next, end, err := pages(dir)
	if err != nil || depth > maxDepth || kinds.OwnRun(dir) {
		return false
	}
	defer end()
	var below []string
	for {
		entries, err := next()
		for _, e := range entries {
			sub := path.Join(rel, e.Name())
			isDir, isFile := w.kind(sub, e)
			switch {
			case isFile && w.wanted(filepath.Join(dir, e.Name()), e.Name()):
				return true
			case isDir && deep && !kinds.Leftover(e.Name()):
				below = append(below, sub)
			}
		}
		if err != nil {
			break
		}
	}
	return slices.ContainsFunc(below, func(sub string) bool { return w.any(sub, deep, depth+1) })
}

// pages lists a folder bit by bit, in any order; next fails behind its last entries.
func pages(dir string) (next func() ([]os.DirEntry, error), end func(), err error) {
	if _, mounted := reading.Mounted(dir); mounted {
		entries, err := reading.ReadDir(dir)
		return func() ([]os.DirEntry, error) { return entries, io.EOF }, func() {}, err
	}
	f, err := os.Open(dir)
	return func() ([]os.DirEntry, error) { return f.ReadDir(256) }, func() { f.Close() }, err
}

// kind tells folders and files apart; a broken link is a file that cannot be read.
func (w *walker) kind(rel string, e os.DirEntry) (isDir, isFile bool) {
	if e.Type()&os.ModeSymlink == 0 {
		return e.IsDir(), e.Type().IsRegular()
	}
	file := filepath.Join(w.root, filepath.FromSlash(rel))
	info, err := reading.Stat(file)
	if err != nil {
		return false, true
	}
	return info.IsDir() && !w.seen(file, info, nil), info.Mode().IsRegular()
}

// layout is how the folders below a root are read.
type layout struct {
	train, valid string   // folders of class folders; train "" means that the root's folders are the classes
	classes      []string // without train: the class folders
	tests        []string
}

// choose finds the layout of the root's folders. Names alone decide nothing:
// a folder called train with photographs and no class folders is no split.
func (r *folders) choose(names []string) (layout, error) {
	if !slices.ContainsFunc(names, func(n string) bool { return kinds.RoleOf(n) != kinds.NoRole }) {
		return r.classFolders(names)
	}
	list, err := r.look("", names)
	if err != nil {
		return layout{}, err
	}
	others := slices.DeleteFunc(slices.Clone(list),
		func(b branch) bool { return b.role != kinds.NoRole || kinds.TestName.MatchString(b.name) || !b.holds() })
	train, err := r.pick(list, kinds.TrainRole, "train")
	if err != nil {
		return layout{}, err
	}
	alone := !slices.ContainsFunc(list, func(b branch) bool {
		return b.role > kinds.TrainRole &&
			b.holds()
	}) // of all parts
	switch {
	case train == nil || len(train.classes) == 0 && train.flat && len(others) >= 2 && alone:
		return r.withoutTrain(list, others)
	case train.name != "train" && len(others) >= 2 && alone:
		r.say("%s/ is taken as a class, for %s are beside it", train.name, naming.Few(namesOf(others), 3))
		return r.classFolders(names)
	case len(train.classes) == 0 && train.flat:
		return layout{}, r.noFit(list)
	}
	return r.splits(*train, list, others)
}

// pick returns the branch of a role: one of the exact names, or else the only
// one that holds photographs; nil if there is none.
func (r *folders) pick(list []branch, want kinds.Role, exact ...string) (*branch, error) {
	var named, like []*branch
	for i, b := range list {
		switch {
		case slices.Contains(exact, b.name):
			named = append(named, &list[i])
		case b.role == want && b.holds():
			like = append(like, &list[i])
		}
	}
	if len(named) == 0 {
		named = like
	}
	if len(named) > 1 {
		return nil, fmt.Errorf("dataset: %s: both %s/ and %s/; keep one", r.root, named[len(named)-1].name, named[0].name)
	}
	if len(named) == 0 {
		return nil, nil
	}
	return named[0], nil
}

// splits is the layout with a training folder.
func (r *folders) splits(train branch, list, others []branch) (l layout, err error) {
	l.train = train.name
	valid, err := r.pick(list, kinds.ValidRole, "valid", "val")
	if err != nil {
		return l, err
	}
	if valid != nil {
		if len(valid.classes) == 0 && valid.flat {
			return l, r.noFit(list)
		}
		l.valid = valid.name
	}
	for _, b := range list {
		switch {
		case b.name == l.train || b.name == l.valid:
		case kinds.BesideTrain(b.name):
			l.tests = append(l.tests, b.name)
		case b.holds() && b.role != kinds.NoRole:
			others = append(others, b)
		}
	}
	others = slices.DeleteFunc(slices.Clone(others), func(b branch) bool { return kinds.BesideTrain(b.name) })
	for _, b := range others {
		r.note(fmt.Sprintf("folders with photographs that are not used, for %s/ is there", l.train), b.name)
	}
	return l, nil
}

// withoutTrain is a root whose folders have names of splits, but for training.
func (r *folders) withoutTrain(list, others []branch) (layout, error) {
	parts := 0
	for _, b := range list {
		if b.role != kinds.NoRole && b.holds() {
			parts++
		}
	}
	for _, b := range list {
		exact := b.name == "valid" || b.name == "val"
		switch {
		case b.role == kinds.NoRole || b.role == kinds.TestRole || !b.holds():
		case len(others) < 2 && (b.role == kinds.TrainRole || exact), exact && parts > 1:
			return layout{}, r.noTrain(b, list)
		case len(others) == 0 || len(b.classes) > 0 && (exact || sharesName(b.classes, others)):
			return layout{}, r.noTrain(b, list)
		default:
			r.say("%s/ is taken as a class: it holds %s, and %s are beside it", b.name, b.describe(),
				naming.Few(namesOf(others), 3))
		}
	}
	return r.classFolders(namesOf(list))
}

// noTrain explains a part of a data set that stands alone.
func (r *folders) noTrain(b branch, list []branch) error {
	if b.role == kinds.TrainRole {
		return r.noFit(list)
	}
	return fmt.Errorf("dataset: %s: there is %s/ but no train/ (it holds %s); %s", r.root, b.name, b.describe(), layouts)
}

// noFit explains folders with names of splits whose contents are none.
func (r *folders) noFit(list []branch) error {
	var seen []string
	for _, b := range list {
		if b.role != kinds.NoRole || b.holds() {
			seen = append(seen, fmt.Sprintf("%s/ holds %s", b.name, b.describe()))
		}
	}
	return fmt.Errorf("dataset: %s: its folders look like splits, but %s; %s%s", r.root, naming.Few(seen, 4), layouts,
		r.tableHint())
}

// tableHint names a CSV file of the root that may hold the labels.
func (r *folders) tableHint() string {
	tables, err := filepath.Glob(filepath.Join(naming.Glob(r.root), "*.csv"))
	if err != nil || len(tables) == 0 {
		return ""
	}
	return fmt.Sprintf("; if %s has the labels: --labels %s", filepath.Base(tables[0]), tables[0])
}

func sharesName(names []string, others []branch) bool {
	return slices.ContainsFunc(others, func(b branch) bool { return slices.Contains(names, b.name) })
}

func namesOf(list []branch) []string {
	names := make([]string, len(list))
	for i, b := range list {
		names[i] = b.name
	}
	return names
}

// classFolders is the layout of class folders in the root itself.
func (r *folders) classFolders(names []string) (layout, error) {
	var l layout
	var doubtful []string
	if err := r.looseSplits(names); err != nil {
		return l, err
	}
	for _, name := range names {
		switch {
		case !kinds.BesideClasses(name):
			l.classes = append(l.classes, name)
		case kinds.RoleOf(name) == kinds.TestRole || name == "test":
			l.tests = append(l.tests, name)
		default:
			doubtful = append(doubtful, name)
		}
	}
	if len(doubtful) == 0 {
		return l, nil
	}
	hold := slices.DeleteFunc(slices.Clone(l.classes), func(name string) bool { return !r.holds(name, true) })
	if len(hold) < 2 { // there would be nothing to tell apart
		l.classes = append(l.classes, doubtful...)
		slices.Sort(l.classes)
		return l, nil
	}
	l.tests, r.doubtful = append(l.tests, doubtful...), doubtful
	slices.Sort(l.tests)
	return l, nil
}

// looseSplits refuses folders that all have names of parts, but none that is
// known: trainA, trainB, testA, testB.
func (r *folders) looseSplits(names []string) error {
	has := map[string]bool{}
	var held []string
	for _, name := range names {
		if !r.holds(name, true) {
			continue
		}
		word := kinds.LooseName.FindStringSubmatch(name)
		if word == nil {
			return nil
		}
		has[strings.ToLower(word[1])], held = true, append(held, name)
	}
	if len(has) < 2 || !has["train"] {
		return nil
	}
	return fmt.Errorf("dataset: %s: its folders (%s) look like splits, but which is which cannot be told; %s", r.root,
		naming.Few(held, 5), layouts)
}

// within looks for class folders that are not directly in rel but in a folder
// of a folder that holds nothing else: what they are and where, "" if nowhere.
func (r *folders) within(rel string) (what, at string) {
	for range maxDepth {
		names, _ := r.subfolders(rel) // none in a folder that cannot be listed
		list, _ := r.look(rel, names)
		list = slices.DeleteFunc(list, func(b branch) bool { return !b.holds() })
		at := filepath.Join(r.root, filepath.FromSlash(rel))
		for _, b := range list {
			if b.role == kinds.TrainRole && len(b.classes) > 0 {
				return b.name + "/ is", at
			}
		}
		switch {
		case len(list) > 1:
			return "the folders " + naming.Few(namesOf(list), 3) + " are", at
		case len(list) == 0:
			return "", ""
		}
		rel = path.Join(rel, list[0].name)
	}
	return "", ""
}

// ValidFolder is the name of root's folder with class folders to validate on:
// valid, val or another of the usual names. Empty if there is none, or several.
func ValidFolder(root string) string {
	root, err := remote.Root(root)
	if err != nil {
		return ""
	}
	r := &folders{walker: walker{root: root}, set: &Set{}}
	names, err := r.subfolders("")
	if err != nil {
		return ""
	}
	for _, name := range []string{"valid", "val"} {
		if slices.Contains(names, name) {
			return name
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool { return kinds.RoleOf(name) != kinds.ValidRole })
	list, err := r.look("", names)
	list = slices.DeleteFunc(list, func(b branch) bool { return len(b.classes) == 0 })
	if err != nil || len(list) != 1 {
		return ""
	}
	return list[0].name
}
