package audit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// films are photographs of scenes that follow each other: n in each, of both classes.
func films(scenes, n int, alike float64) (paths []string, labels []int, rows [][]float32) {
	r := rand.New(rand.NewPCG(5, 5))
	const d = 40
	for s := range scenes {
		centre := make([]float64, d)
		for j := range centre {
			centre[j] = alike * r.NormFloat64()
		}
		for k := range n {
			row := make([]float32, d)
			for j := range row {
				row[j] = float32(centre[j] + r.NormFloat64())
			}
			y := s % 2
			row[0] += float32(2 * y)
			paths = append(paths, fmt.Sprintf("train/%d/img%d.jpg", y, s*n+k+1))
			labels, rows = append(labels, y), append(rows, row)
		}
	}
	return paths, labels, rows
}

func TestFindSeries(t *testing.T) {
	paths, labels, rows := films(12, 10, 2)
	s := FindSeries(paths, labels, rows)
	if !s.Found || s.Near < .4 || s.Random > .2 {
		t.Errorf("series: %+v", s)
	}
	apart := 0
	for i := range paths {
		for j := range paths {
			if i/10 != j/10 && s.Groups[i] == s.Groups[j] {
				apart++
			}
		}
	}
	if groups := slices.Max(s.Groups) + 1; apart > 0 || groups < 12 || groups > 16 {
		t.Errorf("%d series, %d pairs of two scenes in one; want the 12 scenes", groups, apart)
	}
	paths, labels, rows = films(12, 10, 0)
	if s := FindSeries(paths, labels, rows); s.Found {
		t.Errorf("no series: %+v", s)
	}
	// Classes that differ are no series: neighbours are compared with pairs of their classes.
	for i := range paths {
		paths[i] = fmt.Sprintf("train/%d/%d-%d.jpg", labels[i], labels[i], i)
		rows[i][1] += float32(20 * labels[i])
	}
	if s := FindSeries(paths, labels, rows); s.Found {
		t.Errorf("two classes: %+v", s)
	}
}

func TestByNumber(t *testing.T) {
	order, _ := byNumber([]string{"a/img10.jpg", "b/img9.jpg", "a/img2.jpg", "b/img011.jpg", "a/x1.jpg"})
	if !slices.Equal(order, []int{2, 1, 0, 3, 4}) {
		t.Errorf("%v", order)
	}
	order, _ = byNumber([]string{"b/1.jpg", "a/2.jpg", "a/1.jpg"}) // names that are there twice: by folder
	if !slices.Equal(order, []int{2, 1, 0}) {
		t.Errorf("%v", order)
	}
}

func TestClusters(t *testing.T) {
	_, _, rows := films(12, 10, 5)
	groups, cut, err := Clusters(rows, nil)
	if err != nil || cut != .7 {
		t.Fatal(cut, err)
	}
	for i := range rows {
		for j := range rows {
			if (i/10 == j/10) != (groups[i] == groups[j]) {
				t.Fatalf("photographs %d and %d: groups %d and %d", i, j, groups[i], groups[j])
			}
		}
	}
	// Three scenes would make groups of a third: the cut rises until none is above a fifth.
	_, _, rows = films(3, 20, 5)
	groups, cut, err = Clusters(rows, nil)
	size := map[int]int{}
	for _, g := range groups {
		size[g]++
	}
	for g, n := range size {
		if float64(n) > largestGroup*60 {
			t.Errorf("group %d has %d of 60 at %.2f, %v", g, n, cut, err)
		}
	}
}

// TestGroupedAccuracy: folds by definition (refits without each fold) give the same shares, and
// scenes on both sides flatter.
func TestGroupedAccuracy(t *testing.T) {
	_, labels, rows := films(10, 12, 3)
	groups := make([]int, len(rows))
	for i := range groups {
		groups[i] = i / 12
	}
	random, grouped, ok, err := GroupedAccuracy(rows, labels, groups, 2, nil)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if random < grouped+.1 {
		t.Errorf("random %.3f, grouped %.3f: scenes on both sides should flatter", random, grouped)
	}
	fold, _ := foldGroups(groups)
	targets := targetsOf(labels, 2)
	_, lambda, _ := outByRows(rows, targets, Product(nil).orGonum())
	right := 0
	for f := range folds {
		// a refit: rows of the fold left out one by one from a set that lacks the others too
		x, _ := kernel(rows, Product(nil).orGonum())
		var in, out []int
		for i, k := range fold {
			if k == f {
				out = append(out, i)
			} else {
				in = append(in, i)
			}
		}
		a, b := matrix(len(in), len(in)), matrix(len(in), 2)
		for r, i := range in {
			for s, j := range in {
				a.Data[r*a.Stride+s] = x.Data[i*x.Stride+j]
			}
			a.Data[r*a.Stride+r] += lambda
			copy(b.Data[2*r:2*r+2], targets.Data[2*i:])
		}
		w, err := invertFactor(a, Product(nil).orGonum())
		if err != nil {
			t.Fatal(err)
		}
		coefficients := timesTransposed(w, b)
		for _, i := range out {
			var f [2]float64
			for r, j := range in {
				for c := range f {
					f[c] += x.Data[i*x.Stride+j] * coefficients.Data[2*r+c]
				}
			}
			right += b2i((f[1] > f[0]) == (labels[i] == 1))
		}
	}
	if want := float64(right) / float64(len(rows)); math.Abs(want-grouped) > 1e-9 {
		t.Errorf("grouped %.4f, by refits %.4f", grouped, want)
	}
	if _, _, ok, _ := GroupedAccuracy(rows, labels, make([]int, len(rows)), 2, nil); ok {
		t.Error("one group has no accuracy")
	}
}
