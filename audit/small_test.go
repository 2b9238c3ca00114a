package audit

import (
	"fmt"
	"math/rand/v2"
	"testing"
)

// Data sets of any size are judged: few rows, fewer features than a plane has axes, one
// feature, rows that are all the same, classes of one row or none.
func TestSmallDataSets(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for _, features := range []int{1, 2, 3, 16, 40} {
		for _, n := range []int{1, 2, 3, 5, 8, 9, 12, 40, 130} {
			for _, classes := range []int{1, 2, 7} {
				for _, same := range []bool{false, true} {
					t.Run(fmt.Sprintf("%d rows of %d in %d classes, same %v", n, features, classes, same), func(t *testing.T) {
						rows, labels, tags := make([][]float32, n), make([]int, n), make([][]int, n)
						paths, digests := make([]string, n), make([]string, n)
						for i := range rows {
							rows[i] = make([]float32, features)
							for j := range rows[i] {
								if !same {
									rows[i][j] = r.Float32()
								}
							}
							labels[i], paths[i], digests[i] = r.IntN(classes), fmt.Sprintf("c/img%d.png", i), fmt.Sprint(i)
							tags[i] = []int{labels[i]}
						}
						judge(t, rows, labels, tags, classes, paths, digests)
					})
				}
			}
		}
	}
}

func judge(t *testing.T, rows [][]float32, labels []int, tags [][]int, classes int, paths, digests []string) {
	t.Helper()
	if found, err := WrongLabels(rows, labels, classes, nil); err != nil || len(found) > len(rows) {
		t.Errorf("labels: %d, %v", len(found), err)
	}
	if _, err := WrongTags(rows, tags, classes, nil); err != nil {
		t.Errorf("tags: %v", err)
	}
	own, other, _, err := Odd(rows, rows[:1], nil)
	if err != nil || len(own) != len(rows) || len(other) != 1 {
		t.Errorf("odd: %d and %d, %v", len(own), len(other), err)
	}
	for _, o := range own {
		if o.Score-o.Score != 0 {
			t.Errorf("odd: %v", o)
		}
	}
	pairs, err := Similar(rows, nil)
	if err != nil {
		t.Errorf("similar: %v", err)
	}
	if got := Copies(digests, pairs, make([]Picture, len(rows))); len(got) > 0 {
		t.Errorf("copies without pictures: %v", got)
	}
	FindSeries(paths, labels, rows)
	groups, _, err := Clusters(rows, nil)
	if err != nil || len(groups) != len(rows) {
		t.Errorf("clusters: %d, %v", len(groups), err)
		return
	}
	if _, _, _, err := GroupedAccuracy(rows, labels, groups, classes, nil); err != nil {
		t.Errorf("grouped: %v", err)
	}
	Balance(labels, labels)
}
