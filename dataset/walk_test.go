package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"finetune/dataset/kinds"
	"finetune/internal/failure"
	"finetune/internal/naming"
)

// The first bytes that files of each format have.
func TestPictureBytes(t *testing.T) {
	for want, list := range map[bool][]string{
		true: {"\xff\xd8\xff\xe0", "\xff\xd8\xff", "\x89PNG\r\n\x1a\n", "GIF87a", "GIF89a....", "BM....", "II*\x00",
			"MM\x00*", "RIFF\x24\x00\x00\x00WEBP", "RIFF\x24\x00\x00\x00WEBPVP8 ",
			"\x00\x00\x00\x18ftypheic", "\x00\x00\x00\x18ftypheix", "\x00\x00\x00\x20ftypheif", "\x00\x00\x00\x20ftypmif1",
			"\x00\x00\x00\x20ftypavif"},
		false: {"", "\xff\xd8", "PNG", "GIF88a", "B", "II+\x00", "RIFF\x24\x00\x00\x00WAVE", "RIFX\x24\x00\x00\x00WEBP",
			"RIFF\x24\x00\x00\x00WEB", "\x00\x00\x00\x18ftypmp42",
			"\x00\x00\x00\x18moovheic", "\x00\x00\x00\x18ftyphei", "a long line of text"},
	} {
		for _, b := range list {
			if got := kinds.PictureBytes([]byte(b)); got != want {
				t.Errorf("%q: %v", b, got)
			}
		}
	}
}

// What desktops, cameras and network storage write beside photographs is none, whatever its ending.
func TestSystemFilesAreLeftOut(t *testing.T) {
	names := []string{"Thumbs.db", "Desktop.ini", "ehthumbs.db", ".DS_Store", "._1.jpg", "SYNOFILE_THUMB_1.jpg",
		"SYNOPHOTO_THUMB_1.jpg"}
	if runtime.GOOS != "windows" {
		names = append(names, "Icon\r")
	}
	files := map[string]string{"1.jpg": "", "Icon.jpg": "", "XSYNOFILE_THUMB_.jpg": "", "Icon": ""}
	for _, n := range names {
		files[n] = "\xff\xd8\xff"
	}
	items, warnings, err := Files(tree(t, files))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "files", paths(items), "1.jpg=-1 Icon=-1 Icon.jpg=-1 XSYNOFILE_THUMB_.jpg=-1")
	if len(warnings) != 1 ||
		!strings.Contains(warnings[0], fmt.Sprintf("%d files are not photographs and were left out (", len(names))) {
		t.Errorf("warnings %q", warnings)
	}
}

// Numbers and lists of warnings: one is singular, and what is beyond the list is counted.
func TestWarningsOfWhatIsLeftOut(t *testing.T) {
	endings := strings.Fields(".csv .doc .go .html .ini .json .log .md .npy")
	runs := func(n int) map[string]string {
		files := map[string]string{"a/1.jpg": "1", "a/2.jpg": "2", "b/1.jpg": "3", "b/2.jpg": "4"}
		for _, e := range endings[:n] {
			files["a/x"+e] = ""
		}
		for i := range n {
			dir := fmt.Sprintf("a/run%d/", i)
			files[dir+"config.json"], files[dir+"SHA256SUMS"], files[dir+"x.jpg"] = "{}",
				strings.Repeat("0", 64)+" *config.json\n", ""
			files[fmt.Sprintf("b/.hidden%d/1.jpg", i)] = ""
		}
		return files
	}
	for n, want := range map[int][]string{
		1: {"1 file is not a photograph and was left out (.csv 1)", "1 hidden or system folder was left out (.hidden0 1)",
			"1 run of finetune was left out (a/run0)"},
		5: {"5 files are not photographs and were left out (.csv 1, .doc 1, .go 1, .html 1, .ini 1)",
			"5 hidden or system folders were left out (.hidden0 1, .hidden1 1, .hidden2 1, .hidden3 1, .hidden4 1)",
			"5 runs of finetune were left out (a/run0, a/run1, a/run2, a/run3, a/run4)"},
		8: {"8 files are not photographs and were left out (.csv 1, .doc 1, .go 1, .html 1, .ini 1, .json 1, .log 1, .md 1)",
			".hidden6 1, .hidden7 1)", "a/run4 and 3 more)"},
		9: {".log 1, .md 1 and 1 more)", ".hidden7 1 and 1 more)", "a/run4 and 4 more)"},
	} {
		root := tree(t, runs(n))
		set := mustOpen(t, root, Options{Fallback: 0.5})
		equal(t, "ignored", set.Ignored, n)
		warnings := slices.DeleteFunc(set.Warnings,
			func(w string) bool { return strings.Contains(w, "one training photograph") })
		if len(warnings) != len(want) {
			t.Errorf("%d: warnings %q", n, warnings)
			continue
		}
		for i, w := range want {
			if !strings.HasPrefix(warnings[i], "dataset: "+root+": ") || !strings.HasSuffix(warnings[i], w) {
				t.Errorf("%d: warning %q, want %q", n, warnings[i], w)
			}
		}
	}
}

// A folder inside 63 others is read, one inside 64 is refused: a link or a mistake.
func TestDepth(t *testing.T) {
	dir := func(n int) string { return strings.Repeat("d/", n) }
	root := flat(t, dir(63)+"1.jpg")
	items, warnings, err := Files(root)
	if err != nil || len(items) != 1 || len(warnings) > 0 {
		t.Errorf("63: %d, %q, %v", len(items), warnings, err)
	}
	root = flat(t, dir(64)+"1.jpg")
	if _, _, err := Files(root); failure.KindOf(err) != failure.DataKind ||
		!strings.Contains(err.Error(), "more than 64 folders inside each other") {
		t.Errorf("64: %v", err)
	}
	root = flat(t, "train/a/"+dir(61)+"1.jpg", "train/b/1.jpg", "valid/a/1.jpg", "valid/b/1.jpg")
	equal(t, "below train/a", len(mustOpen(t, root, Options{}).Train), 2)
	root = flat(t, "train/a/"+dir(62)+"1.jpg", "train/b/1.jpg", "valid/a/1.jpg", "valid/b/1.jpg")
	if _, err := Open(root, Options{}); err == nil || !strings.Contains(err.Error(), "more than 64 folders") {
		t.Errorf("below train/a: %v", err)
	}
}

// A link to any folder above is not followed; a folder that two classes link to is in both.
func TestLinksUpAndAcross(t *testing.T) {
	root := flat(t, "real/1.jpg", "set/train/a/1.jpg", "set/train/b/1.jpg", "set/valid/a/1.jpg", "set/valid/b/1.jpg",
		"set/train/a/deep/er/2.jpg")
	for link, target := range map[string]string{
		"set/train/a/top": "../..", "set/train/a/deep/er/up": "..", "set/train/a/deep/er/class": "../..",
		"set/train/a/real": "../../../real", "set/train/b/real": "../../../real",
		"set/train/stray": "../../real/1.jpg", "set/broken": "nowhere", "set/train/nothing": "nowhere",
		"set/link.jpg": "../real/1.jpg",
	} {
		if err := os.Symlink(filepath.FromSlash(target), filepath.Join(root, link)); err != nil {
			t.Skip(err)
		}
		if _, err := os.Lstat(filepath.Join(root, link)); err != nil { // wine says that it made one
			t.Skip(err)
		}
	}
	set := mustOpen(t, filepath.Join(root, "set"), Options{})
	equal(t, "train", paths(set.Train), "train/a/1.jpg=0 train/a/deep/er/2.jpg=0 train/a/real/1.jpg=0 train/b/1.jpg=1 "+
		"train/b/real/1.jpg=1")
	equal(t, "warnings", len(set.Warnings), 1)
	if w := strings.Join(set.Warnings, "\n"); !strings.Contains(w, "not followed: train/a/deep/er/class, "+
		"train/a/deep/er/up, train/a/top") {
		t.Errorf("warnings %s", w)
	}
	// Links round and round in a folder without photographs.
	round := flat(t, append(photos("train", "valid"), "docs/readme.txt")...)
	for _, link := range []string{"docs/a", "docs/b", "docs/c"} {
		if err := os.Symlink(".", filepath.Join(round, link)); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "round", mustOpen(t, round, Options{}).Warnings, "[]")
	// A root, a part and a class that are links themselves.
	other, root := t.TempDir(), flat(t, photos("set/train", "set/valid")...)
	for link, target := range map[string]string{"train": "set/train", "valid": "set/valid"} {
		if err := os.Symlink(filepath.Join(root, target), filepath.Join(other, link)); err != nil {
			t.Fatal(err)
		}
	}
	set = mustOpen(t, other, Options{})
	equal(t, "by links", []int{len(set.Classes), len(set.Train), len(set.Valid)}, "[2 6 6]")
}

// Folders with more files than one reading of the list gives.
func TestManyFiles(t *testing.T) {
	files := map[string]string{}
	for i := range 300 {
		files[fmt.Sprintf("train/a/%d.txt", i)] = ""
	}
	files["train/a/x.jpg"], files["train/b/1.jpg"], files["valid/a/1.jpg"], files["valid/b/1.jpg"] = "", "", "", ""
	set := mustOpen(t, tree(t, files), Options{})
	equal(t, "sizes", []int{len(set.Train), len(set.Valid), set.Ignored}, "[2 2 300]")
}

func TestFew(t *testing.T) {
	for n, want := range map[int]string{0: "", 1: "a", 2: "a, b", 3: "a, b and 1 more", 4: "a, b and 2 more"} {
		equal(t, "few", naming.Few([]string{"a", "b", "c", "d"}[:n], 2), want)
	}
}

// A run names its configuration by a digest of 64 digits; anything less is a folder like others.
func TestOwnRunByItsSums(t *testing.T) {
	digest := strings.Repeat("ab", 32)
	for sums, want := range map[string]bool{
		digest + "  config.json\n": true, digest + " *config.json\n": true, "0 x\n" + digest + "  config.json": true,
		digest[1:] + "  config.json\n": false, digest + "0  config.json\n": false, digest + "  other.json\n": false,
		digest + "\n": false, "": false,
	} {
		root := tree(t, map[string]string{"config.json": "{}", "SHA256SUMS": sums})
		if got := kinds.OwnRun(root); got != want {
			t.Errorf("%q: %v", sums, got)
		}
	}
	folders := flat(t, "config.json/1.jpg", "SHA256SUMS")
	if kinds.OwnRun(folders) {
		t.Error("config.json is a folder")
	}
}

func TestLeftover(t *testing.T) {
	for want, names := range map[bool]string{
		true:  ".git .x @eaDir #RECYCLE $Recycle.Bin found.000 FOUND.123 lost+found __pycache__ __MACOSX",
		false: "found.00 found.0000 xfound.000 recycle eaDir a ants.x lost found",
	} {
		for _, name := range strings.Fields(names) {
			if kinds.Leftover(name) != want {
				t.Errorf("%s: %v", name, !want)
			}
		}
	}
}
