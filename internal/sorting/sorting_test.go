package sorting

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"finetune/internal/rng"
)

func TestEachGivesWhatSortDoes(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	for _, limit := range []int{1, 100, 5000, 0} { // a file a text, many, some, none
		s := Sorter{Limit: limit}
		draws := rng.New(7)
		var all []string
		for range 700 {
			text := strings.Repeat("\n\x00ab"[:1+int(draws.Float64()*4)], int(draws.Float64()*3)) +
				fmt.Sprint(int(draws.Float64()*500))
			all = append(all, text)
			if err := s.Add(text); err != nil {
				t.Fatal(err)
			}
		}
		slices.Sort(all)
		want := slices.Compact(slices.Clone(all))
		for range 2 {
			var got []string
			again, err := s.Each(func(text string) error { got = append(got, text); return nil })
			if err != nil || !slices.Equal(got, want) || again != len(all)-len(want) {
				t.Errorf("limit %d: %d texts of %d, %d again, %v", limit, len(got), len(want), again, err)
			}
		}
		stop := errors.New("stop")
		if _, err := s.Each(func(string) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if left, err := os.ReadDir(os.TempDir()); err != nil || len(left) > 0 {
			t.Errorf("limit %d leaves %v, %v", limit, left, err)
		}
	}
}

func TestNoTextsAndNoRoom(t *testing.T) {
	var s Sorter
	if again, err := s.Each(func(string) error { t.Error("a text"); return nil }); again != 0 || err != nil {
		t.Error(again, err)
	}
	t.Setenv("TMPDIR", "/nonexistent/folder")
	s.Limit = 1
	if err := s.Add("a"); err == nil || !strings.Contains(err.Error(), "TMPDIR") {
		t.Errorf("%v", err)
	}
}
