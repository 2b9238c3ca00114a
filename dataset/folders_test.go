package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"finetune/dataset/kinds"
)

// What is decided about the folders is said, line by line, and nothing else.
func TestNotesAndWarningsOfLayouts(t *testing.T) {
	two := []string{"ants/1.jpg", "ants/2.jpg", "ants/3.jpg", "bees/1.jpg", "bees/2.jpg", "bees/3.jpg"}
	with := func(lists ...[]string) []string {
		var all []string
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	sizes := func(s *Set) string { return fmt.Sprint(len(s.Classes), len(s.Train), len(s.Valid), len(s.Test)) }
	for name, tt := range map[string]struct {
		files              []string
		sizes, notes, warn string // ROOT is the folder; lines joined by |
	}{
		"other names": {photos("Training", "Validation"), "2 6 6 0", "Training/ is the training part, Validation/ " +
			"the validation part", ""},
		"one other name": {photos("train", "dev"), "2 6 6 0", "train/ is the training part, dev/ the validation part",
			""},
		"the other name": {photos("training", "val"), "2 6 6 0", "training/ is the training part, val/ the " +
			"validation part", ""},
		"flat test": {with(two, []string{"test/1.jpg"}), "2 4 2 1", "test/ is taken as a test set of 1 " +
			"photograph: predicted, not trained on", ""},
		"test of classes": {with(two, []string{"test/x/1.jpg", "test/bees/1.jpg"}), "2 4 2 2", "test/ is taken as a " +
			"test set of 2 photographs: predicted, not trained on; its folders are not read as labels, `finetune evaluate " +
			"RUN ROOT/test` does that", ""},
		"test of others": {with(two, []string{"test/x/1.jpg", "test/y/ants/1.jpg"}), "2 4 2 2",
			"test/ is taken as a test set of 2 photographs: predicted, not trained on", ""},
		"empty test": {with(two, []string{"test/readme.txt"}), "2 4 2 0", "",
			"1 file is not a photograph and was left out (.txt 1)"},
		"two tests": {with(photos("train", "valid"), []string{"test2/b.jpg", "test1/z.jpg", "TestA/q.jpg"}),
			"2 6 6 3", "TestA/ is taken as a test set of 1 photograph: predicted, not trained on|test1/ is taken as a test " +
				"set of 1 photograph: predicted, not trained on|test2/ is taken as a test set of 1 photograph: predicted, not " +
				"trained on", ""},
		"empty class": {with(two, []string{"wasps/readme.txt"}), "2 4 2 0", "",
			"1 file is not a photograph and was left out (.txt 1)|class folder without photographs, left out: wasps"},
		"files beside": {with(two, []string{"c.jpg", "b.txt", ".hidden", "Thumbs.db"}), "2 4 2 0", "",
			"file beside the class folders, ignored: b.txt, c.jpg"},
		"one shared folder": {[]string{"ants/x/1.jpg", "ants/x/2.jpg", "ants/x/3.jpg", "bees/x/1.jpg", "bees/x/2.jpg",
			"bees/x/3.jpg"}, "2 4 2 0", "", ""},
		"not shared by all": {with(two, []string{"ants/x/1.jpg", "ants/y/2.jpg", "bees/x/3.jpg"}), "2 6 3 0", "", ""},
		"shared by all": {[]string{"ants/x/1.jpg", "ants/y/2.jpg", "bees/x/1.jpg", "bees/y/2.jpg", "bees/z/3.jpg",
			"ants/3.jpg"}, "2 4 2 0", "the classes are the folders ants, bees; each holds the folders x, y, whose " +
			"photographs are taken together", ""},
		"train in both": {[]string{"ants/train/x/1.jpg", "ants/2.jpg", "ants/3.jpg", "bees/train/x/1.jpg", "bees/2.jpg",
			"bees/3.jpg"}, "2 4 2 0", "", ""},
		"Training, a class": {with(two, []string{"Training/x/1.jpg", "Training/y/2.jpg", "Training/y/3.jpg"}), "3 6 3 0",
			"Training/ is taken as a class, for ants, bees are beside it", ""},
		"Training, one other": {with(photos("Training"), []string{"docs/1.jpg"}), "2 4 2 0", "",
			"folders with photographs that are not used, for Training/ is there: docs"},
		"train, two others": {with(photos("train"), two), "2 4 2 0", "", "folders with photographs that are not used, " +
			"for train/ is there: ants, bees"},
		"empty others": {with(photos("train", "valid"), []string{"docs/x.txt", "dev/x.txt"}), "2 6 6 0", "", ""},
		"doubtful test": {with(two, []string{"test-positive/1.jpg", "test-positive/2.jpg"}), "2 4 2 2", "",
			"test-positive/ is taken as a test set of 2 photographs because of its name; if it is a class, put all class " +
				"folders into ROOT/train"},
		"doubtful, one class": {[]string{"ants/1.jpg", "ants/2.jpg", "ants/3.jpg", "test-positive/1.jpg",
			"test-positive/2.jpg", "test-positive/3.jpg"}, "2 4 2 0", "", ""},
		"a letter of train": {with(two, []string{"trainA/1.jpg", "trainA/2.jpg", "trainA/3.jpg"}), "3 6 3 0", "", ""},
		"train letters": {[]string{"trainA/1.jpg", "trainA/2.jpg", "trainA/3.jpg", "trainB/1.jpg", "trainB/2.jpg",
			"trainB/3.jpg"}, "2 4 2 0", "", ""},
		"val and test words": {[]string{"valA/1.jpg", "valA/2.jpg", "valA/3.jpg", "testA/1.jpg", "testA/2.jpg",
			"testA/3.jpg"}, "2 4 2 0", "", ""},
	} {
		root := flat(t, tt.files...)
		set, err := Open(root, Options{Fallback: 0.34})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		equal(t, name+" sizes", sizes(set), tt.sizes)
		notes := strings.ReplaceAll(filepath.ToSlash(strings.Join(set.Notes, "|")), filepath.ToSlash(root), "ROOT")
		equal(t, name+" notes", notes, tt.notes)
		warnings := strings.Join(set.Warnings, "|")
		warnings = strings.ReplaceAll(warnings, "dataset: "+root+": ", "")
		warnings = strings.ReplaceAll(filepath.ToSlash(warnings), filepath.ToSlash(root), "ROOT")
		equal(t, name+" warnings", warnings, tt.warn)
	}
}

// Test photographs of several folders are in one order, labels of the validation
// part are those of the training part.
func TestPartsAreInOrder(t *testing.T) {
	root := flat(t, "train/a/1.jpg", "train/b/1.jpg", "train/c/1.jpg", "train/c/0.jpg", "valid/c/1.jpg", "valid/b/2.jpg",
		"valid/b/1.jpg", "test2/1.jpg", "test1/2.jpg", "test1/1.jpg")
	set := mustOpen(t, root, Options{})
	equal(t, "train", paths(set.Train), "train/a/1.jpg=0 train/b/1.jpg=1 train/c/0.jpg=2 train/c/1.jpg=2")
	equal(t, "valid", paths(set.Valid), "valid/b/1.jpg=1 valid/b/2.jpg=1 valid/c/1.jpg=2")
	equal(t, "test", paths(set.Test), "test1/1.jpg=-1 test1/2.jpg=-1 test2/1.jpg=-1")
	set = mustOpen(t, flat(t, photos("train", "valid")...), Options{ValidPct: 0.2})
	const told = "DATA has the folder valid/, so --valid-pct is not used"
	if len(set.Warnings) != 1 || !strings.Contains(set.Warnings[0], told) {
		t.Errorf("warnings %q", set.Warnings)
	}
	set = mustOpen(t, flat(t, photos("train")...), Options{ValidPct: 0.34, Fallback: 0.9})
	equal(t, "a share of train/", []any{len(set.Train), len(set.Valid), set.Drawn}, "[4 2 true]")
}

func TestLayoutRefusals(t *testing.T) {
	for name, tt := range map[string]struct {
		files []string
		want  string // the end of the message, or a part of it
	}{
		"each form": {[]string{"train/1.jpg", "valid/a/1.jpg", "test/1.jpg", "test/x/1.jpg", "dev/x.txt", "docs/y.txt"},
			"its folders look like splits, but dev/ holds no photographs, test/ holds photographs and the folders x, train/ " +
				"holds photographs but no class folders, valid/ holds the folder a alone; expected"},
		"more forms": {[]string{"train/1.jpg", "valid/a/1.jpg", "valid/b/1.jpg", "dev/1.jpg", "eval/1.jpg",
			"holdout/1.jpg"}, "train/ holds photographs but no class folders and 1 more; expected"},
		"folders": {[]string{"train/1.jpg", "valid/a/1.jpg", "valid/b/1.jpg"},
			"valid/ holds the folders a, b; expected"},
		"empty valid": {append(photos("train"), "valid/x.txt"), "valid: no class folders with photographs; expected "},
		"valid lacks": {append(photos("train"), "valid/wasps/1.jpg", "valid/ants/1.jpg"),
			`class "wasps" is in valid/ but has no photographs in train/, which has ants, bees; add`},
		"one class, test": {[]string{"train/ants/1.jpg", "test/ants/2.jpg"},
			`train: only one class, "ants"; a classifier needs at least two`},
		"labels, no split":  {[]string{"images/1.jpg", "labels/1.txt"}, "form of object detection (YOLO)"},
		"one wrapped class": {[]string{"data/ants/1.jpg"}, `only one class, "data"; a classifier needs at least two`},
		"deep wrapper":      {photos("a/b/c/train"), "train/ is in ROOT/a/b/c: name that"},
		"one of other folders": {[]string{"wrap/train/1.jpg", "wrap/other/1.jpg"},
			"the folders other, train are in ROOT/wrap: name that"},
		"one with train": {append(photos("inside/train"), "docs/1.png", "docs/2.png", "more/1.png", "more/2.png"),
			"train/ is in ROOT/inside: name that"},
		"empty classes": {[]string{"ants/x.txt", "bees/x.txt"}, "no class folders with photographs; expected"},
		"text alone":    {[]string{"x.txt"}, "empty; expected"},
		"no share": {[]string{"ants/1.jpg", "bees/1.jpg"}, "if its folders (ants, bees) are the classes, add " +
			"--valid-pct 0.2"},
		"letters, train val": {[]string{"trainA/1.jpg", "valA/1.jpg"}, "its folders (trainA, valA) look like splits, but " +
			"which is which cannot be told"},
		"letters, empty": {[]string{"trainA/1.jpg", "testA/1.jpg", "docs/x.txt"}, "its folders (testA, trainA) look " +
			"like splits, but which"},
		"valid and test": {[]string{"valid/1.jpg", "test/1.jpg"}, "there is valid/ but no train/ (it holds photographs " +
			"but no class folders)"},
		"train flat, a val": {[]string{"train/1.jpg", "val/ants/1.jpg", "val/bees/1.jpg", "ants/1.jpg", "bees/1.jpg"},
			"train/ holds photographs but no class folders"},
		"dev, shared names": {append(photos("dev"), "ants/1.jpg", "bees/1.jpg"), "there is dev/ but no train/ (it holds " +
			"the folders ants, bees)"},
	} {
		root := flat(t, tt.files...)
		o := Options{Fallback: 0.2}
		if name == "no share" {
			o.Fallback = 0
		}
		_, err := Open(root, o)
		want := inRoot.ReplaceAllStringFunc(tt.want,
			func(p string) string { return root + filepath.FromSlash(p[len("ROOT"):]) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", name, err, want)
		}
	}
}

// The hint names the table whatever signs the folder's name has, and none where there is none.
func TestTableHint(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("skipped: these cannot be names of folders")
	}
	for _, name := range []string{"plain", "[1]", "*", "a?b", `back\slash`} {
		root := filepath.Join(flat(t, name+"/1.jpg", name+"/2.jpg"), name)
		if _, err := Open(root, Options{}); err == nil || strings.Contains(err.Error(), "--labels "+root) ||
			!strings.Contains(err.Error(), "2 photographs but no class folders") {
			t.Errorf("%s: %v", name, err)
		}
		table := filepath.Join(root, "table.csv")
		if err := os.WriteFile(table, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(root, Options{}); err == nil ||
			!strings.HasSuffix(err.Error(), "; if table.csv has the labels: --labels "+table) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Runs of this program in a class's place are told as runs alone.
func TestRunsInPlaceOfClasses(t *testing.T) {
	files := map[string]string{"runs/1/config.json": "{}",
		"runs/1/SHA256SUMS": strings.Repeat("0", 64) + "  config.json\n", "runs/1/1.jpg": "r"}
	for _, p := range photos(".") {
		files[p] = p
	}
	root := tree(t, files)
	set := mustOpen(t, root, Options{Fallback: 0.34})
	equal(t, "warnings", set.Warnings, "[dataset: "+root+": 1 run of finetune was left out (runs/1)]")
	equal(t, "classes", set.Classes, "[ants bees]")
}

// Of a list of sums the first megabyte is read; a data set is read by as many processors as before.
func TestListOfSumsThatIsLong(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(3))
	line := strings.Repeat("0", 64) + "  " + strings.Repeat("x", 61) + "\n" // 128 bytes
	for lines, run := range map[int]bool{1<<13 - 1: true, 1 << 13: false} {
		files := map[string]string{"runs/1/config.json": "{}", "runs/1/1.jpg": "r",
			"runs/1/SHA256SUMS": strings.Repeat(line, lines) + strings.Repeat("0", 64) + "  config.json\n"}
		for _, p := range photos(".") {
			files[p] = p
		}
		root := tree(t, files)
		set := mustOpen(t, root, Options{Fallback: 0.34})
		if kinds.OwnRun(filepath.Join(root, "runs", "1")) != run || !set.Drawn {
			t.Errorf("after %d lines: a run is %v", lines, !run)
		}
	}
	if n := runtime.GOMAXPROCS(0); n != 3 {
		t.Errorf("Go may use %d processors now", n)
	}
}

// Photographs that cannot be read are drawn each for itself: the decoder will name them.
func TestUnreadablePhotographsAreDrawn(t *testing.T) {
	root := t.TempDir()
	for _, class := range []string{"a", "b"} {
		if err := os.Mkdir(filepath.Join(root, class), 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range 4 {
			link := filepath.Join(root, class, fmt.Sprintf("%d.jpg", i))
			if err := os.Symlink("nowhere", link); err != nil {
				t.Skip(err)
			}
			if _, err := os.Lstat(link); err != nil { // wine says that it made one
				t.Skip(err)
			}
		}
	}
	set := mustOpen(t, root, Options{ValidPct: 0.5})
	equal(t, "counts", set.Counts(), "[{a 2 2 0} {b 2 2 0}]")
	equal(t, "warnings", set.Warnings, "[]")
}

func TestValidFolderOfForms(t *testing.T) {
	for _, tt := range []struct{ files, want string }{
		{"valid/x.txt val/x.txt", "valid"}, {"val/x.txt dev/a/1.jpg", "val"}, {"dev/1.jpg", ""},
		{"dev/a/1.jpg eval/1.jpg", "dev"}, {"train/a/1.jpg test/a/1.jpg", ""}, {"ants/a/1.jpg", ""},
	} {
		equal(t, tt.files, ValidFolder(flat(t, strings.Fields(tt.files)...)), tt.want)
	}
}

func TestRoleOfMore(t *testing.T) {
	for want, names := range map[kinds.Role]string{
		kinds.TestRole: "tests3 test_set_2 test2_images", kinds.TrainRole: "train_set_images datatrain",
		kinds.ValidRole: "validsplit",
		kinds.NoRole:    "train_2019 train2 2019_test val2 test_a test_2_a set_2 train_train_x",
	} {
		for _, name := range strings.Fields(names) {
			if got := kinds.RoleOf(name); got != want {
				t.Errorf("%s: role %d, want %d", name, got, want)
			}
		}
	}
}
