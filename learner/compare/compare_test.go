package compare

import (
	"slices"
	"strings"
	"testing"
)

// Pairs are counted on the photographs that both runs have, with one label.
func TestPair(t *testing.T) {
	run := func(name string, said map[string]answer) Run { return Run{Name: name, said: said} }
	a := run("a", map[string]answer{"1": {"x", "x", .9}, "2": {"x", "y", .6}, "3": {"y", "y", .7}, "4": {"y", "x", .5},
		"gone": {"x", "x", 1}, "relabelled": {"x", "x", 1}, "unlabelled": {"", "x", 1}, "three": {"z", "x", .5}})
	b := run("b", map[string]answer{"1": {"x", "x", .8}, "2": {"x", "x", .6}, "3": {"y", "x", .7}, "4": {"y", "y", .5},
		"new": {"x", "x", 1}, "relabelled": {"y", "y", 1}, "unlabelled": {"", "y", 1}, "three": {"z", "y", .5}})
	p := pair(a, b, 0)
	if p.Photographs != 5 || p.Both != 1 || p.OnlyA != 1 || p.OnlyB != 2 || p.Difference != .2 || p.P != 1 {
		t.Errorf("%+v", p)
	}
	var paths []string
	for _, d := range p.ordered() {
		paths = append(paths, d.Path)
	}
	if !slices.Equal(paths, []string{"3", "2", "4", "three"}) {
		t.Errorf("disagreements in the order %v", paths)
	}
	if p.Interval[0] > -.2 || p.Interval[1] < .6 || !strings.Contains(p.Verdict(), "no difference that") {
		t.Errorf("%v, %s", p.Interval, p.Verdict())
	}
	none := pair(a, run("c", nil), 0)
	if none.Photographs != 0 || !strings.Contains(none.Verdict(), "cannot be compared") {
		t.Errorf("%+v", none)
	}
}

func TestDifferences(t *testing.T) {
	list := []Run{{Settings: map[string]string{"train.lr": "0.01", "data.path": "p"}},
		{Settings: map[string]string{"train.lr": "0.02", "data.path": "p", "train.head": "linear"}}}
	got := differences(list)
	if len(got) != 2 || got[0].Field != "train.head" || !slices.Equal(got[0].Shown(), []string{"–", "linear"}) ||
		!slices.Equal(got[1].Values, []string{"0.01", "0.02"}) {
		t.Errorf("%+v", got)
	}
}
