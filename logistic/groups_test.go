package logistic

import (
	"fmt"
	"slices"
	"testing"
)

// TestGroupedFolds: no group is torn, folds are about equal, and each leaves rows of every class.
func TestGroupedFolds(t *testing.T) {
	var groups []string
	var labels []int
	for i := range 300 {
		g := fmt.Sprint(i * i % 37)
		if i%5 == 0 {
			g = ""
		}
		groups, labels = append(groups, g), append(labels, i%3)
	}
	of := GroupedFolds(groups, labels, 5, 1)
	fold, size := map[string]int{}, make([]int, 5)
	for i, g := range groups {
		if at, seen := fold[g]; g != "" && seen && at != of[i] {
			t.Fatalf("group %s is in folds %d and %d", g, at, of[i])
		}
		fold[g] = of[i]
		size[of[i]]++
	}
	if slices.Min(size) < 50 || slices.Max(size) > 70 {
		t.Errorf("folds of %v", size)
	}
	if !slices.Equal(of, GroupedFolds(groups, labels, 5, 1)) || slices.Equal(of, GroupedFolds(groups, labels, 5, 2)) {
		t.Error("folds do not follow from the seed alone")
	}
	for i := range groups { // a class in one group
		if labels[i] == 2 {
			groups[i] = "all of them"
		}
	}
	if GroupedFolds(groups, labels, 5, 1) != nil {
		t.Error("a fold takes a whole class")
	}
	if of := GroupedFolds(groups, nil, 5, 1); len(of) != 300 {
		t.Error("without labels nothing is missing")
	}
}
