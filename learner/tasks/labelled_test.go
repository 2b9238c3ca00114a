package tasks

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"finetune/dataset"
	"finetune/internal/sorting"
	"finetune/internal/uitest"
	"finetune/learner/config"
	"finetune/learner/features"
	"finetune/learner/runs"
)

// folder writes files below root, by their paths; equal texts are equal photographs.
func folder(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, filepath.FromSlash(name))
		err := os.MkdirAll(filepath.Dir(p), 0o777)
		if err == nil {
			err = os.WriteFile(p, []byte(text), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// planned are the lines of a job over c.
func planned(t *testing.T, c runs.Config) ([]string, *input) {
	t.Helper()
	labels, in, none, err := New{Input: c.Data.Path}.labelled(&c, uitest.Logged{T: t})
	if err != nil || labels == nil {
		t.Fatalf("%v, %v, %v", labels, none, err)
	}
	var list []string
	if err := in.each(func(line string) error { list = append(list, line); return nil }); err != nil {
		t.Fatal(err)
	}
	return list, in
}

// What a job lists of a folder is what training on it takes, drawn or not: the same photographs,
// labels and sides.
func TestAJobListsWhatTrainingTakes(t *testing.T) {
	drawn, parted := map[string]string{}, map[string]string{}
	for i := range 60 {
		class := []string{"ants", "bees", "moths"}[i%3]
		drawn[fmt.Sprintf("%s/%02d.jpg", class, i)] = fmt.Sprint(i / 2 % 25) // copies, some in two classes
		parted[fmt.Sprintf("%s/%s/%02d.jpg", []string{"train", "val", "test"}[i%5/2], class, i)] = fmt.Sprint(i)
	}
	drawn["ants/in/a/folder.png"], drawn["bees/notes.txt"], drawn["bees/in/b.png"] = "x", "y", "z"
	for name, files := range map[string]map[string]string{"drawn": drawn, "in parts": parted} {
		c := config.DefaultConfig()
		c.Data.Path, c.Train.Seed = folder(t, files), 4
		got, in := planned(t, c)
		set, err := features.List(&c, nil)
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for _, it := range set.Train {
			want = append(want, "train\t"+set.Classes[it.Label]+"\t"+it.Path)
		}
		for _, it := range set.Valid {
			want = append(want, "valid\t"+set.Classes[it.Label]+"\t"+it.Path)
		}
		for _, it := range set.Test {
			want = append(want, "test\t\t"+it.Path)
		}
		n := len(set.Train)
		if !slices.IsSortedFunc(got, func(a, b string) int {
			rank := map[byte]int{'t': 0, 'v': 1}
			if strings.HasPrefix(a, "test") || strings.HasPrefix(b, "test") {
				return 0
			}
			return rank[a[0]] - rank[b[0]]
		}) || slices.IsSorted(got[:n]) {
			t.Errorf("%s: not training photographs by chance, then the others: %q", name, got)
		}
		if !slices.Equal(got[n:], want[n:]) {
			t.Errorf("%s: %q, want %q", name, got[n:], want[n:])
		}
		slices.Sort(got)
		if slices.Sort(want); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
		if err := in.close(); err != nil {
			t.Error(err)
		}
	}
}

// Listing a labelled folder holds none of its photographs: what is held does not grow with them.
func TestAListedFolderIsNotHeld(t *testing.T) {
	const n = 20_000
	root := t.TempDir()
	for _, class := range []string{"train/a", "train/b", "valid/a", "valid/b"} {
		if err := os.MkdirAll(filepath.Join(root, class), 0o777); err != nil {
			t.Fatal(err)
		}
		for i := range n / 4 {
			if err := os.WriteFile(filepath.Join(root, class, fmt.Sprintf("%050d.jpg", i)), nil, 0o666); err != nil {
				t.Fatal(err)
			}
		}
	}
	c := config.DefaultConfig()
	c.Data.Path = root
	l := &lines{counts: map[string]*dataset.Count{}, sorter: sorting.Sorter{Limit: 1 << 17}}
	held := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := held()
	set, err := l.read(&c)
	if err != nil {
		t.Fatal(err)
	}
	if grown := held() - before; grown > 1<<19 || l.n != [3]int{n / 2, n / 2, 0} {
		t.Errorf("%d bytes are held after %v of %d photographs were listed", grown, l.n, n)
	}
	seen := 0
	if err := l.each(func(string) error { seen++; return nil }); err != nil || seen != n || len(set.Train) > 0 {
		t.Errorf("%d of %d, %d held, %v", seen, n, len(set.Train), err)
	}
	if err := l.close(); err != nil {
		t.Error(err)
	}
}
