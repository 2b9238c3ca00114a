package features

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"finetune/dataset"
	"finetune/learner/runs"
	"finetune/onnx"
)

// film is n photographs of shots: what follows each other looks alike, the classes are mixed.
func film(n, perShot int) Split {
	r := rand.New(rand.NewPCG(1, 2))
	var s Split
	shot := make([]float32, 32)
	for i := range n {
		if i%perShot == 0 {
			for j := range shot {
				shot[j] = float32(r.NormFloat64())
			}
		}
		row := make([]float32, len(shot))
		for j := range row {
			row[j] = shot[j] + .2*float32(r.NormFloat64())
		}
		it := dataset.Item{Path: fmt.Sprintf("c%d/frame%04d.jpg", i%2, i), Label: i % 2, Digest: fmt.Sprintf("%08x", i*7919)}
		s.Items, s.Rows = append(s.Items, it), append(s.Rows, row)
	}
	return s
}

type heard struct {
	runs.UI
	lines []string
}

func (h *heard) Say(format string, args ...any) {
	h.lines = append(h.lines, fmt.Sprintf(format, args...))
}
func (h *heard) Warn(format string, args ...any) { h.Say(format, args...) }

// setupOf is a data set of which every fifth photograph is drawn, whatever the shots.
func setupOf(all Split, drawn bool, by string) (*Setup, *Features, *heard) {
	ui, f := &heard{}, &Features{}
	set := &dataset.Set{Classes: []string{"c0", "c1"}, Drawn: drawn}
	for i, it := range all.Items {
		to, list := &f.Train, &set.Train
		if i%5 == 0 {
			to, list = &f.Valid, &set.Valid
		}
		to.Items, to.Rows, *list = append(to.Items, it), append(to.Rows, all.Rows[i]), append(*list, it)
	}
	set.Train = append(set.Train, dataset.Item{Path: "c0/unreadable.jpg"})
	return &Setup{Config: runs.Config{Data: runs.DataConfig{Group: by}}, Set: set, UI: ui}, f, ui
}

func TestShotsStayTogether(t *testing.T) {
	lib, err := onnx.FindLibrary("cpu")
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	if _, err := onnx.Start(lib); err != nil {
		t.Fatal(err)
	}
	for _, by := range []string{"sequence", "cluster"} {
		all := film(400, 10)
		s, f, ui := setupOf(all, true, by)
		if err := s.keepGroups(f); err != nil {
			t.Fatal(err)
		}
		row, side := map[string][]float32{}, map[int][2]int{}
		for i, it := range all.Items {
			row[it.Path] = all.Rows[i]
		}
		for k, part := range []Split{f.Train, f.Valid} {
			for i, it := range part.Items {
				if &part.Rows[i][0] != &row[it.Path][0] {
					t.Fatalf("%s: %s has another's row", by, it.Path)
				}
				var frame, class int
				if _, err := fmt.Sscanf(it.Path, "c%d/frame%d.jpg", &class, &frame); err != nil {
					t.Fatal(err)
				}
				n := side[frame/10]
				n[k]++
				side[frame/10] = n
			}
			if !slices.IsSortedFunc(part.Items, func(a, b dataset.Item) int {
				return strings.Compare(a.Path, b.Path) // c0 before c1: by class
			}) {
				t.Errorf("%s: a part is not sorted", by)
			}
		}
		for shot, n := range side {
			if n[0] > 0 && n[1] > 0 {
				t.Errorf("%s: shot %d has %d frames to train on and %d to validate on", by, shot, n[0], n[1])
			}
		}
		if n := f.Valid.Len(); n < 60 || n > 100 {
			t.Errorf("%s: %d of 400 to validate on", by, n)
		}
		if len(s.Set.Train) != f.Train.Len()+1 || len(s.Set.Valid) != f.Valid.Len() {
			t.Errorf("%s: the set has %d and %d", by, len(s.Set.Train), len(s.Set.Valid))
		}
		if s.Groups == nil || s.Groups.N != 40 || s.Groups.Torn != 0 || s.Groups.Train+s.Groups.Valid != 40 {
			t.Errorf("%s: %+v", by, s.Groups)
		}
		if said := strings.Join(ui.lines, "\n"); !strings.Contains(said, "40 by "+by) {
			t.Errorf("%s: %s", by, said)
		}
		again, g, _ := setupOf(all, true, by)
		if err := again.keepGroups(g); err != nil || !slices.EqualFunc(f.Valid.Items, g.Valid.Items,
			func(a, b dataset.Item) bool { return a.Path == b.Path }) {
			t.Errorf("%s: another split of the same photographs (%v)", by, err)
		}
	}
}

func TestOwnSplitsStay(t *testing.T) {
	s, f, ui := setupOf(film(400, 10), false, "sequence")
	before := slices.Clone(f.Valid.Items)
	if err := s.keepGroups(f); err != nil {
		t.Fatal(err)
	}
	if len(before) != f.Valid.Len() || s.Groups.Torn != 40 ||
		!strings.Contains(strings.Join(ui.lines, "\n"), "was not changed; 40 of 40 groups are on both sides") {
		t.Errorf("%d of %d, %+v, %q", f.Valid.Len(), len(before), s.Groups, ui.lines)
	}
}

func TestNoSeries(t *testing.T) {
	s, f, ui := setupOf(film(400, 1), true, "sequence")
	valid := f.Valid.Len()
	if err := s.keepGroups(f); err != nil || s.Groups != nil || f.Valid.Len() != valid {
		t.Errorf("%v, %+v", err, s.Groups)
	}
	if !strings.Contains(strings.Join(ui.lines, "\n"), "no more alike") {
		t.Errorf("%q", ui.lines)
	}
}
