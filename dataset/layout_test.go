package dataset

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"finetune/dataset/kinds"
	"finetune/internal/naming"
)

// photos are photographs of two classes below each of the folders.
func photos(dirs ...string) []string {
	var names []string
	for _, d := range dirs {
		for _, f := range []string{"ants/1.jpg", "ants/2.jpg", "ants/3.jpg", "bees/1.jpg", "bees/2.jpg", "bees/3.jpg"} {
			names = append(names, d+"/"+f)
		}
	}
	return names
}

// A photograph is found as deep as one is read, and no deeper.
func TestDepthOfAGlance(t *testing.T) {
	for depth, want := range map[int]bool{1: true, maxDepth: true, maxDepth + 1: false} {
		root := flat(t, strings.Repeat("f/", depth+1)+"1.jpg")
		if r := (&folders{walker: walker{root: root}}); r.holds("f", true) != want || r.holds("f", false) {
			t.Errorf("%d folders below: %v", depth, !want)
		}
	}
}

func TestRoleOf(t *testing.T) {
	for want, names := range map[kinds.Role]string{

		kinds.TrainRole: "train Train TRAIN training Training_set " +
			"train_images TrainSet images-train seg_train trn trainval " +
			"train.data",
		kinds.ValidRole: "valid val VAL validation dev eval Evaluation val_images valset dev-set",
		kinds.TestRole:  "test Test tests testing Testing test1 test_set test-images TestData tst test2019 test_2019",
		kinds.NoRole: "trains strain training_shoes testudo test-positive protest value devil evaluator interval validated " +
			"latest images set data train_val ants 1 2019",
	} {
		for _, name := range strings.Fields(names) {
			if got := kinds.RoleOf(name); got != want {
				t.Errorf("%s: role %d, want %d", name, got, want)
			}
		}
	}
}

func TestSplitFoldersByTheirUsualNames(t *testing.T) {
	for _, tt := range []struct{ train, valid, test string }{
		{"training", "validation", "testing"}, {"Train", "Valid", "Test"}, {"TRAIN", "VAL", "TEST"},
		{"train", "dev", "test2"},
		{"train_images", "val_images", "test_images"}, {"TrainSet", "eval", "TestSet"}, {"train", "validation", "test"},
	} {
		root := flat(t, append(photos(tt.train, tt.valid), tt.test+"/9.jpg")...)
		set := mustOpen(t, root, Options{Fallback: 0.2})
		equal(t, tt.train+" sizes", []int{len(set.Classes), len(set.Train), len(set.Valid), len(set.Test)}, "[2 6 6 1]")
		equal(t, tt.train+" warnings", set.Warnings, "[]")
		equal(t, tt.train+" classes", set.Classes, "[ants bees]")
		for _, it := range set.Valid {
			if !strings.HasPrefix(it.Path, tt.valid+"/") {
				t.Errorf("%s: %s is validated on", tt.valid, it.Path)
			}
		}
	}
	set := mustOpen(t, flat(t, photos("Training", "Testing")...), Options{Fallback: 0.2})
	equal(t, "Training and Testing", []int{len(set.Train), len(set.Valid), len(set.Test)}, "[4 2 6]")
	equal(t, "notes", len(set.Notes), 1)
	if !strings.Contains(set.Notes[0], "Testing/ is taken as a test set of 6 photographs") ||
		!strings.Contains(set.Notes[0], "evaluate RUN") {
		t.Error(set.Notes)
	}
}

// A sound set has nothing to be warned about, and nothing to be explained.
func TestSoundSetsAreSilent(t *testing.T) {
	for name, root := range map[string]string{
		"train and valid": flat(t, photos("train", "valid")...),
		"train and val":   flat(t, photos("train", "val")...),
		"train":           flat(t, photos("train")...),
		"classes":         flat(t, photos(".")...),
		"nested": flat(t, "ants/2019/1.jpg", "ants/2019/2.jpg", "ants/3.jpg", "bees/1.jpg", "bees/x/2.jpg",
			"bees/3.jpg"),
	} {
		set := mustOpen(t, root, Options{Fallback: 0.2})
		equal(t, name+" warnings", set.Warnings, "[]")
		equal(t, name+" notes", set.Notes, "[]")
		equal(t, name+" ignored", set.Ignored, 0)
	}
	_, warnings, err := Files(flat(t, photos("a")...))
	if err != nil || len(warnings) > 0 {
		t.Errorf("files: %q, %v", warnings, err)
	}
	_, csv := withCSV(t, "path,label,split\np/1.jpg,a,train\np/2.jpg,b,train\np/5.jpg,a,train\np/6.jpg,b,train\np/"+
		"3.jpg,a,valid\np/4.jpg,b,valid\n")
	set := mustOpen(t, "", Options{Labels: csv})
	equal(t, "csv", []int{len(set.Warnings), len(set.Notes)}, "[0 0]")
}

func TestLeftoversAndOwnRunsAreLeftOut(t *testing.T) {
	sums := strings.Repeat("0", 64) + "  config.json\n"
	files := map[string]string{
		"runs/x-2026/config.json": "{}", "runs/x-2026/SHA256SUMS": sums, "runs/x-2026/report/figure.png": "p",
		"runs/old/steps/head/config.json": "{}", "runs/old/steps/head/SHA256SUMS": sums,
		"runs/old/steps/head/report/a.png": "p",
	}
	for _, p := range photos(".") {
		files[p] = p
	}
	for _, dir := range []string{"@eaDir", "#recycle", "$RECYCLE.BIN", "ants/@eaDir/1.jpg", "System Volume Information",
		"lost+found", ".Trash-1000", "bees/.thumbnails", "__MACOSX/ants", "FOUND.000"} {
		files[dir+"/SYNOPHOTO_THUMB_M.jpg"], files[dir+"/9.jpg"] = dir, dir
	}
	root := tree(t, files)
	set := mustOpen(t, root, Options{Fallback: 0.2})
	equal(t, "classes", set.Classes, "[ants bees]")
	equal(t, "photographs", len(set.Train)+len(set.Valid), 6)
	warnings := strings.Join(set.Warnings, "\n")
	for _, want := range []string{"10 hidden or system folders were left out (#recycle 1, $RECYCLE.BIN 1, .Trash-1000 " +
		"1, .thumbnails 1, @eaDir 2", "2 runs of finetune were left out (runs/old/steps/head, runs/x-2026)"} {
		if !strings.Contains(warnings, want) {
			t.Errorf("no %q in:\n%s", want, warnings)
		}
	}
	items, warned, err := Files(root)
	if err != nil || len(items) != 6 || len(warned) != 2 {
		t.Errorf("scoring: %s %q %v", paths(items), warned, err)
	}
	if _, err := Open(filepath.Join(root, "runs", "x-2026"), Options{}); err == nil ||
		!strings.Contains(err.Error(), "a run of finetune") {
		t.Error(err)
	}
}

// A folder with other files of these names is no run of ours.
func TestOwnRun(t *testing.T) {
	root := flat(t, "a/config.json", "b/config.json", "b/SHA256SUMS", "c/SHA256SUMS")
	for _, dir := range []string{"a", "b", "c"} {
		if kinds.OwnRun(filepath.Join(root, dir)) {
			t.Errorf("%s is taken for a run", dir)
		}
	}
}

func TestClassesCalledLikeSplits(t *testing.T) {
	files := []string{"car/1.jpg", "car/2.jpg", "car/3.jpg", "plane/1.jpg", "plane/2.jpg", "plane/3.jpg"}
	for _, name := range []string{"train", "val", "valid", "Training", "dev"} {
		set := mustOpen(t, flat(t, append(files, name+"/1.jpg", name+"/2.jpg")...), Options{Fallback: 0.2})
		equal(t, name, len(set.Classes), 3)
		if len(set.Notes) != 1 || !strings.Contains(set.Notes[0], name+"/ is taken as a class") {
			t.Errorf("%s: notes %q", name, set.Notes)
		}
	}
	set := mustOpen(t, flat(t, append(files, "test-positive/1.jpg")...), Options{Fallback: 0.2})
	equal(t, "test-positive", []int{len(set.Classes), len(set.Test)}, "[2 1]")
	if w := strings.Join(set.Warnings, "\n"); !strings.Contains(w, "test-positive/ is taken as a test set of 1 "+
		"photograph because of its name; if it is a class") {
		t.Error(w)
	}
	set = mustOpen(t, flat(t, "test_positive/1.jpg", "test_positive/2.jpg", "test_negative/1.jpg", "test_negative/2.jpg"),
		Options{Fallback: 0.5})
	equal(t, "test_positive and test_negative", set.Classes, "[test_negative test_positive]")
	set = mustOpen(t, flat(t, "train/train/1.jpg", "train/test/1.jpg", "train/val/1.jpg", "train/train/2.jpg",
		"train/test/2.jpg", "train/val/2.jpg"), Options{Fallback: 0.2})
	equal(t, "inside train", set.Classes, "[test train val]")
}

var inRoot = regexp.MustCompile(`ROOT[\w/.]*`)

func TestLayoutErrorsSayWhatTheySee(t *testing.T) {
	for name, tt := range map[string]struct {
		files []string
		want  string
	}{
		"wrapper":         {photos("inside/train", "inside/valid"), "train/ is in ROOT/inside: name that"},
		"wrapper twice":   {photos("a/b/Training", "a/b/Testing"), "Training/ is in ROOT/a/b: name that"},
		"wrapped classes": {photos("data"), "the folders ants, bees are in ROOT/data: name that"},
		"wrapper, others": {append(photos("inside/train"), "docs/logo.png", "docs/2.png"),
			"train/ is in ROOT/inside: name that"},
		"wrapped split": {photos("seg_train/seg_train"), "the folders ants, bees are in ROOT/seg_train/seg_train; move " +
			"them up"},
		"detection": {[]string{"train/images/1.jpg", "train/labels/1.txt", "valid/images/2.jpg"},
			"object detection (YOLO)"},
		"flat splits": {[]string{"train/1.jpg", "test/2.jpg", "train.csv"}, "train/ holds photographs but no class " +
			"folders"},
		"flat splits, csv": {[]string{"train/1.jpg", "test/2.jpg", "train.csv"}, "--labels ROOT/train.csv"},
		"flat valid": {append(photos("train"), "validation/1.jpg"),
			"validation/ holds photographs but no class folders"},
		"flat, classes": {[]string{"train/1.jpg", "val/2.jpg", "x/1.jpg", "y/1.jpg"},
			"train/ holds photographs but no class folders"},
		"flat valid, test": {[]string{"val/1.jpg", "test/2.jpg", "x/1.jpg", "y/1.jpg"}, "there is val/ but no train/"},
		"letters": {[]string{"trainA/1.jpg", "trainB/2.jpg", "testA/1.jpg", "testB/1.jpg"},
			"its folders (testA, testB, trainA, trainB) look like splits"},
		"flat, two trainings": {[]string{"train/1.jpg", "training/x/1.jpg", "x/1.jpg", "y/1.jpg"},
			"its folders look like splits, but train/ holds photographs but no class folders, training/ holds"},
		"two trainings": {photos("training", "train_set"), "both training/ and train_set/"},
		"two valids":    {photos("train", "dev", "eval"), "both eval/ and dev/"},
		"valid alone":   {photos("validation"), "there is validation/ but no train/"},
		"one and test": {[]string{"ants/1.jpg", "ants/2.jpg", "test/1.jpg"},
			`only one class, "ants", and a test set, test/`},
		"one photograph": {[]string{"ants/1.jpg", "bees/1.jpg"}, "no photograph can be held out"},
	} {
		root := flat(t, tt.files...)
		_, err := Open(root, Options{Fallback: 0.2})
		want := inRoot.ReplaceAllStringFunc(tt.want,
			func(p string) string { return root + filepath.FromSlash(p[len("ROOT"):]) })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v\nwant %s", name, err, want)
		}
	}
}

func TestUnusedFoldersAreNamed(t *testing.T) {
	set := mustOpen(t, flat(t, append(photos("train", "valid", "dev"), "extra/1.jpg", "notes/x.txt")...), Options{})
	if w := strings.Join(set.Warnings, "\n"); !strings.Contains(w, "folders with photographs that are not used, for "+
		"train/ is there: dev, extra") && !strings.Contains(w, "extra, dev") {
		t.Error(w)
	}
	set = mustOpen(t, flat(t, photos("fold1", "fold2")...), Options{Fallback: 0.2})
	equal(t, "folds", set.Notes, "[the classes are the folders fold1, fold2; each holds the folders ants, bees, whose "+
		"photographs are taken together]")
	set = mustOpen(t, flat(t, "ants/train/1.jpg", "ants/test/2.jpg", "bees/train/1.jpg", "bees/test/2.jpg"),
		Options{Fallback: 0.5})
	if w := strings.Join(set.Warnings, "\n"); !strings.Contains(w, "turn the levels round") {
		t.Error(w)
	}
}

const nfc, nfd = "fourmi\u00e9", "fourmie\u0301"

func TestNamesOfClasses(t *testing.T) {
	set := mustOpen(t, flat(t, "train/"+nfc+"/1.jpg", "train/b/1.jpg", "valid/"+nfd+"/2.jpg", "valid/b/2.jpg"), Options{})
	equal(t, "classes", set.Classes, "[b "+nfc+"]")
	equal(t, "valid", paths(set.Valid), "valid/b/2.jpg=0 valid/"+nfd+"/2.jpg=1")
	equal(t, "class", set.Valid[1].Class, nfc)
	set = mustOpen(t, flat(t, nfc+"/1.jpg", nfd+"/2.jpg", "b/1.jpg", "b/2.jpg"), Options{Fallback: 0.5})
	equal(t, "one class", len(set.Classes), 2)
	for _, tt := range []struct{ names, want string }{
		{"Ants ants", `classes "Ants", "ants" differ in case or blanks alone`},
		{"0 0.0", `classes "0", "0.0" are the same number`}, {"nan b", `class "nan" looks like a missing value`},
	} {
		if runtime.GOOS == "windows" && strings.EqualFold(strings.Fields(tt.names)[0], strings.Fields(tt.names)[1]) {
			continue // one folder there
		}
		var files []string
		for _, n := range strings.Fields(tt.names) {
			files = append(files, n+"/1.jpg", n+"/2.jpg", n+"/3.jpg")
		}
		set := mustOpen(t, flat(t, files...), Options{Fallback: 0.3})
		if w := strings.Join(set.Warnings, "\n"); !strings.Contains(w, tt.want) {
			t.Errorf("%s: %s", tt.names, w)
		}
	}
}

func TestNamesThatAreNotText(t *testing.T) {
	root := flat(t, "a/1.jpg", "b/1.jpg", "b/2.jpg")
	for _, name := range []string{"a/caf\xe9.jpg", "a/caf\xe8.jpg", `a/caf\xe9.jpg`} {
		if err := os.WriteFile(filepath.Join(root, name), []byte(name), 0o666); err != nil {
			t.Skip(err) // a file system that holds text alone
		}
	}
	items, _, err := Files(root)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "paths", paths(items),
		`a/1.jpg=-1 a/caf\x5cxe9.jpg=-1 a/caf\xe8.jpg=-1 a/caf\xe9.jpg=-1 b/1.jpg=-1 b/2.jpg=-1`)
	for _, it := range items {
		equal(t, "file", naming.FilePath(root, it.Path), it.File)
	}
	if err := os.Rename(filepath.Join(root, "b"), filepath.Join(root, "b\xe9")); err != nil {
		t.Skip(err)
	}
	if _, err := Open(root, Options{Fallback: 0.5}); err == nil ||
		!strings.Contains(err.Error(), `the class name "b\xe9" is not UTF-8`) {
		t.Error(err)
	}
	if _, err := Open(root+"\xe9", Options{}); err == nil || !strings.Contains(err.Error(), "is not UTF-8") {
		t.Error(err)
	}
}

func FuzzEscapePath(f *testing.F) {
	for _, seed := range []string{"a/b.jpg", "caf\xe9", `caf\xe9`, `\x5cxe9`, "\\x\xe9", `\\x00`, "\x80\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if strings.ContainsRune(name, 0) {
			return
		}
		text := naming.EscapePath(name)
		if strings.ToValidUTF8(text, "?") != text {
			t.Errorf("%q: %q is not text", name, text)
		}
		if got, want := naming.FilePath("r", text), filepath.Join("r", filepath.FromSlash(name)); got != want {
			t.Errorf("%q became %q", want, got)
		}
	})
}

func TestValidFolder(t *testing.T) {
	for want, files := range map[string][]string{
		"valid": photos("train", "valid", "dev"), "Validation": photos("Training", "Validation"), "": photos("."),
		"val": photos("val"),
	} {
		equal(t, want, ValidFolder(flat(t, files...)), want)
	}
	equal(t, "two", ValidFolder(flat(t, photos("dev", "eval")...)), "")
	equal(t, "none", ValidFolder("/no/such"), "")
}
