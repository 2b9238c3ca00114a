package dataset

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// patients makes a folder of photographs and its labels file, of some patients with several each.
func patients(t *testing.T, split func(i int) string) (root, labels string) {
	t.Helper()
	files, rows := map[string]string{}, []string{"path,label,Patient id,split,age"}
	for i := range 60 {
		name := fmt.Sprintf("p/%02d.jpg", i)
		files[name] = name
		patient := fmt.Sprint("p", i/5)
		if i >= 50 {
			patient = "" // nobody knows
		}
		rows = append(rows, fmt.Sprintf("%s,%c,%s,%s,3", name, 'a'+i%2, patient, split(i)))
	}
	root = tree(t, files)
	labels = filepath.Join(root, "labels.csv")
	if err := os.WriteFile(labels, []byte(strings.Join(rows, "\n")), 0o666); err != nil {
		t.Fatal(err)
	}
	return root, labels
}

func TestGroupColumn(t *testing.T) {
	root, labels := patients(t, func(int) string { return "" })
	text, err := os.ReadFile(labels)
	if err != nil {
		t.Fatal(err)
	}
	bare := strings.ReplaceAll(strings.ReplaceAll(string(text), ",split", ""), ",,3", ",3")
	if err := os.WriteFile(labels, []byte(bare), 0o666); err != nil {
		t.Fatal(err)
	}
	for seed := range uint64(10) {
		set := mustOpen(t, root, Options{Labels: labels, Fallback: .2, Group: "patient_id", Seed: seed})
		side := map[string]string{}
		for part, items := range map[string][]Item{"train": set.Train, "valid": set.Valid} {
			for _, it := range items {
				if was, seen := side[it.Group]; it.Group != "" && seen && was != part {
					t.Fatalf("seed %d: patient %s is in both parts", seed, it.Group)
				}
				side[it.Group] = part
			}
		}
		if n := len(set.Valid); n < 9 || n > 15 {
			t.Errorf("seed %d: %d of 60 to validate on", seed, n)
		}
		for _, w := range set.Warnings {
			if strings.Contains(w, "Patient") || !strings.Contains(w, "age") {
				t.Error(w)
			}
		}
	}
	for group, want := range map[string]string{"ward": `no column "ward" to group by; the columns are path, label, Patient id`} {
		if _, err := Open(root, Options{Labels: labels, Fallback: .2, Group: group}); err == nil ||
			!strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", group, err)
		}
	}
}

func TestGroupColumnOfAnOwnSplit(t *testing.T) {
	root, labels := patients(t, func(i int) string { return []string{"train", "train", "valid"}[i%3] })
	set := mustOpen(t, root, Options{Labels: labels, Group: "Patient id"})
	equal(t, "sizes", []int{len(set.Train), len(set.Valid)}, "[40 20]")
	equal(t, "drawn", set.Drawn, false)
	equal(t, "group", set.Train[0].Group, "p0")
}
