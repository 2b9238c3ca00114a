package logistic

import (
	"cmp"
	"slices"

	"finetune/internal/rng"
)

// GroupedFolds is Folds that keeps each group [n] in one fold, the largest first, each into the smallest fold; rows of
// group "" belong to none. It is nil where some fold would leave a class without rows to learn from: then groups
// cannot be kept.
func GroupedFolds(groups []string, labels []int, folds int, seed uint64) []int {
	order := rng.New(seed, rng.Text("logistic.folds")).Perm(len(groups))
	members, place := map[string][]int{}, map[string]int{}
	var units [][]int
	for _, i := range order {
		g := groups[i]
		if g == "" {
			units = append(units, []int{i})
			continue
		}
		if _, seen := place[g]; !seen {
			place[g] = len(units)
			units = append(units, nil)
		}
		members[g] = append(members[g], i)
	}
	for g, at := range place {
		units[at] = members[g]
	}
	slices.SortStableFunc(units, func(a, b []int) int { return cmp.Compare(len(b), len(a)) })
	of, filled := make([]int, len(groups)), make([]int, folds)
	for _, unit := range units {
		least := slices.Index(filled, slices.Min(filled))
		filled[least] += len(unit)
		for _, i := range unit {
			of[i] = least
		}
	}
	if labels == nil {
		return of
	}
	all, in := map[int]int{}, map[[2]int]int{}
	for i, y := range labels {
		all[y]++
		in[[2]int{y, of[i]}]++
	}
	for at, n := range in {
		if n == all[at[0]] {
			return nil
		}
	}
	return of
}
