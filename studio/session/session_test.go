package session

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"finetune/dataset/journal"
	"finetune/internal/rng"
)

// photos are n photographs of two classes, told by their features, class by turns.
func photos(n int) (list []Photo, rows [][]float32) {
	draw := rng.New(5)
	for i := range n {
		list = append(list, Photo{Path: fmt.Sprintf("p%04d.jpg", i)})
		row := make([]float32, 40)
		for j := range row {
			row[j] = float32(draw.Normal()) + float32(i%2)*float32(j%3)*.6
		}
		rows = append(rows, row)
	}
	return list, rows
}

func truth(path string) string { return []string{"even", "odd"}[(path[4]-'0')%2] }

func sit(t *testing.T, folder string, n int, known []Known, o Options) *Session {
	t.Helper()
	list, rows := photos(n)
	o.Folder, o.Who = folder, "ann"
	s, err := Open(list, known, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	t.Cleanup(func() { stop(); s.Close() })
	s.Ready(ctx, rows)
	return s
}

// settled waits until the head knows what was said.
func settled(t *testing.T, s *Session) State {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		if st := s.State(); st.Current && st.Learned > 0 || st.Failed != "" {
			return st
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("the head does not learn: %+v", s.State())
	return State{}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Sixty labels: one in ten was drawn to be kept aside, the head is good, and a second session knows all of it.
func TestLabelling(t *testing.T) {
	dir := t.TempDir()
	s := sit(t, dir, 400, nil, Options{Classes: []string{"odd", "even"}})
	why := map[string]int{}
	for range 60 {
		a := s.Next(1, nil, false)[0]
		why[a.Why]++
		if a.Why == "aside" && a.Guess != nil {
			t.Error("a guess beside a photograph to measure by")
		}
		must(t, s.Label([]string{a.ID}, []string{truth(a.Path)}, a.Source))
	}
	if why["aside"] != 6 || why["typical"] != 40 || why["unsure"] != 14 {
		t.Errorf("asked because of %v", why)
	}
	st := settled(t, s)
	if st.Labels != 54 || st.Held != 6 || st.Left != 340 || st.Classes[0].Name != "odd" || st.Accuracy.Value < .8 {
		t.Errorf("state %+v", st)
	}
	must(t, s.Close())
	again := settled(t, sit(t, dir, 400, nil, Options{}))
	if again.Labels != 54 || again.Held != 6 || again.Classes[0].Name != "odd" ||
		again.Accuracy.Value != st.Accuracy.Value {
		t.Errorf("again %+v", again)
	}
}

// Photographs to be asked about next are not those that a page holds already, and none comes twice.
func TestNextLeavesOutWhatIsHeld(t *testing.T) {
	s := sit(t, t.TempDir(), 50, nil, Options{Classes: []string{"odd", "even"}})
	seen := map[string]bool{}
	var waiting []string
	for len(seen) < 50 {
		list := s.Next(3, waiting, false)
		if len(list) == 0 {
			break
		}
		for _, a := range list {
			if seen[a.ID] {
				t.Fatalf("%s comes twice", a.Path)
			}
			seen[a.ID] = true
			waiting = append(waiting, a.ID)
		}
		path, _ := s.Find(waiting[0])
		must(t, s.Label(waiting[:1], []string{truth(path.Path)}, journal.Chosen))
		waiting = waiting[1:]
	}
	if len(seen) != 50 {
		t.Errorf("%d of 50 were asked about", len(seen))
	}
	if list := s.Next(3, waiting, false); len(list) != 0 {
		t.Errorf("and then %v", list)
	}
}

// What was said of several at once is taken back at once, whoever sat down in between.
func TestUndo(t *testing.T) {
	dir := t.TempDir()
	clock := time.Unix(0, 0)
	tick := func() time.Time { clock = clock.Add(time.Second); return clock }
	s := sit(t, dir, 20, []Known{{Path: "p0000.jpg", Label: "even"}}, Options{Now: tick})
	var ids []string
	for _, a := range s.photos[2:6] {
		ids = append(ids, a.ID)
	}
	must(t, s.Label(ids, []string{"odd"}, journal.Grid))
	must(t, s.Label(ids[:1], []string{"even"}, journal.Review))
	must(t, s.Skip(s.photos[7].ID))
	must(t, s.Close())
	s = sit(t, dir, 20, []Known{{Path: "p0000.jpg", Label: "even"}}, Options{Now: tick})
	count := func() string {
		st := s.State()
		var b strings.Builder
		for _, c := range st.Classes {
			fmt.Fprintf(&b, "%s %d, ", c.Name, c.N+c.Held)
		}
		return fmt.Sprintf("%sskipped %d", b.String(), st.Skipped)
	}
	for _, want := range []string{"even 2, odd 3, skipped 1", "even 2, odd 3, skipped 0", "even 1, odd 4, skipped 0",
		"even 1, odd 0, skipped 0"} {
		if got := count(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		if _, err := s.Undo(); (err != nil) != strings.Contains(want, "odd 0") {
			t.Errorf("at %q: %v", want, err)
		}
	}
}

// A disk that is full costs the label that was being said, which the caller is told, and no other.
func TestNothingIsSaidThatIsNotKept(t *testing.T) {
	dir := t.TempDir()
	s := sit(t, dir, 20, nil, Options{Classes: []string{"odd"}})
	must(t, s.Label([]string{s.photos[0].ID}, []string{"odd"}, journal.Chosen))
	file := filepath.Join(dir, LabelsFile)
	before, err := os.ReadFile(file)
	must(t, err)
	must(t, os.Remove(file))
	must(t, os.Mkdir(file, 0o777)) // nothing can be written here now
	if err := s.Label([]string{s.photos[1].ID}, []string{"odd"}, journal.Chosen); err == nil {
		t.Error("a label that cannot be kept was taken")
	}
	if st := s.State(); st.Labels+st.Held != 1 {
		t.Errorf("%+v", st)
	}
	must(t, os.Remove(file))
	must(t, s.Label([]string{s.photos[2].ID}, []string{"odd"}, journal.Chosen))
	after, err := os.ReadFile(file)
	must(t, err)
	if !bytes.HasPrefix(after, before) || bytes.Count(after, []byte("\n")) != 3 {
		t.Errorf("%s", after)
	}
}

func TestSeveralLabels(t *testing.T) {
	s := sit(t, t.TempDir(), 100, nil, Options{Classes: []string{"odd", "even", "all"}, Separator: ";"})
	for range 40 {
		a := s.Next(1, nil, false)[0]
		must(t, s.Label([]string{a.ID}, []string{truth(a.Path), "all"}, a.Source))
	}
	a := s.Next(1, nil, false)[0]
	must(t, s.Label([]string{a.ID}, nil, a.Source)) // none of them
	st := settled(t, s)
	if st.Labels+st.Held != 41 || st.Classes[2].N+st.Classes[2].Held != 40 || st.Accuracy.Value < .7 {
		t.Errorf("%+v", st)
	}
	if err := s.AddClass("a;b"); err == nil {
		t.Error("a class that holds the separator")
	}
}

func TestGridAndLabelled(t *testing.T) {
	s := sit(t, t.TempDir(), 60, nil, Options{Classes: []string{"odd", "even"}})
	i := slices.Index(s.pool, false)
	grid, err := s.Grid(s.photos[i].ID, 12)
	must(t, err)
	if len(grid) != 12 || grid[0].ID != s.photos[i].ID {
		t.Errorf("grid %v", grid)
	}
	var ids []string
	for _, a := range grid {
		if at := s.byID[a.ID]; s.pool[at] {
			t.Error("a photograph that is kept aside is in the grid")
		}
		ids = append(ids, a.ID)
	}
	must(t, s.Label(ids[:3], []string{"odd"}, journal.Grid))
	if list := s.Labelled("odd", 1, 5); len(list) != 2 || list[0].Label != "odd" {
		t.Errorf("labelled %v", list)
	}
	for _, bad := range []string{"", " ", "a\nb", strings.Repeat("x", 101), "\xff"} {
		if s.AddClass(bad) == nil {
			t.Errorf("class %q", bad)
		}
	}
	if _, err := s.Grid("../../etc/passwd", 3); err == nil {
		t.Error("a path for an ID")
	}
}
