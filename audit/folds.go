package audit

import (
	"cmp"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

const (
	folds      = 5
	mostFolded = 3000 // photographs on which accuracies are compared; of more, whole groups up to that
)

// GroupedAccuracy compares two ways to split by five-fold cross-validation of ridge
// regression: photographs drawn one by one, and groups [n] that stay together. Labels
// [n] are below classes. A fold's predictions without it come from one factorisation of
// all rows. ok is false where there are fewer than five groups or two classes. Of more than
// 3,000 rows, groups are taken at random until there are so many.
func GroupedAccuracy(rows [][]float32, labels, groups []int, classes int, p Product) (random, grouped float64, ok bool,
	err error) {
	p = p.orGonum()
	rows, labels, groups = sampleGroups(rows, labels, groups)
	n := len(rows)
	targets, fold := matrix(n, classes), make([]int, n)
	for i, y := range labels {
		for c := range classes {
			targets.Data[i*classes+c] = sign(c == y)
		}
	}
	byGroup, enough := foldGroups(groups)
	if !enough || classes < 2 {
		return 0, 0, false, nil
	}
	_, lambda, err := outByRows(evenly(rows, 1000), evenlyRows(targets, 1000), p)
	if err != nil {
		return 0, 0, false, err
	}
	k, err := kernel(rows, p)
	if err != nil {
		return 0, 0, false, err
	}
	w, err := invertFactor(plusDiagonal(k, lambda), p)
	if err != nil {
		return 0, 0, false, err
	}
	across, inverse := matrix(n, n), k // k's memory again
	for i := range n {
		for j := range i + 1 {
			across.Data[j*n+i] = w.Data[i*n+j]
		}
	}
	if err := p(inverse, across, across, true); err != nil {
		return 0, 0, false, err
	}
	solved := timesTransposed(w, targets)
	draw := rand.New(rand.NewPCG(5, 6))
	for i := range fold {
		fold[i] = i % folds
	}
	draw.Shuffle(n, func(i, j int) { fold[i], fold[j] = fold[j], fold[i] })
	random, err = foldedAccuracy(inverse, solved, targets, labels, fold)
	if err == nil {
		grouped, err = foldedAccuracy(inverse, solved, targets, labels, byGroup)
	}
	return random, grouped, err == nil, err
}

func evenly[T any](list []T, n int) []T {
	if len(list) <= n {
		return list
	}
	out := make([]T, n)
	for i := range out {
		out[i] = list[i*len(list)/n]
	}
	return out
}

func evenlyRows(m blas64.General, n int) blas64.General {
	if m.Rows <= n {
		return m
	}
	out := matrix(n, m.Cols)
	for i := range n {
		copy(out.Data[i*m.Cols:(i+1)*m.Cols], m.Data[i*m.Rows/n*m.Stride:])
	}
	return out
}

// sampleGroups takes whole groups in a random order until there are mostFolded rows.
func sampleGroups(rows [][]float32, labels, groups []int) ([][]float32, []int, []int) {
	if len(rows) <= mostFolded {
		return rows, labels, groups
	}
	place := rand.New(rand.NewPCG(7, 8)).Perm(slices.Max(groups) + 1)
	order := make([]int, len(rows))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(place[groups[a]], place[groups[b]]) })
	order = order[:mostFolded]
	slices.Sort(order)
	var r [][]float32
	var l, g []int
	for _, i := range order {
		r, l, g = append(r, rows[i]), append(l, labels[i]), append(g, groups[i])
	}
	return r, l, g
}

// foldGroups gives each group a fold, the largest first, each to the smallest fold.
func foldGroups(groups []int) (fold []int, ok bool) {
	size := map[int]int{}
	for _, g := range groups {
		size[g]++
	}
	var ids []int
	for g := range size {
		ids = append(ids, g)
	}
	if len(ids) < folds {
		return nil, false
	}
	slices.SortFunc(ids, func(a, b int) int { return cmp.Or(cmp.Compare(size[b], size[a]), cmp.Compare(a, b)) })
	var filled [folds]int
	of := map[int]int{}
	for _, g := range ids {
		k := slices.Index(filled[:], slices.Min(filled[:]))
		of[g] = k
		filled[k] += size[g]
	}
	for _, g := range groups {
		fold = append(fold, of[g])
	}
	return fold, true
}

// foldedAccuracy is the share of rows that are right when they are predicted without their
// fold F: y_F − (A⁻¹_FF)⁻¹(A⁻¹Y)_F.
func foldedAccuracy(inverse, solved, targets blas64.General, labels, fold []int) (float64, error) {
	right, classes := 0, targets.Cols
	for f := range folds {
		var in []int
		for i, k := range fold {
			if k == f {
				in = append(in, i)
			}
		}
		a, b := matrix(len(in), len(in)), matrix(len(in), classes)
		for r, i := range in {
			for s, j := range in {
				a.Data[r*a.Stride+s] = inverse.Data[i*inverse.Stride+j]
			}
			copy(b.Data[r*b.Stride:(r+1)*b.Stride], solved.Data[i*solved.Stride:])
		}
		l, ok := lapack64.Potrf(blas64.Symmetric{N: a.Rows, Stride: a.Stride, Data: a.Data, Uplo: blas.Lower})
		if !ok {
			return 0, errNotFinite
		}
		lapack64.Potrs(l, b)
		for r, i := range in {
			best := 0
			for c := range classes {
				b.Data[r*b.Stride+c] = targets.Data[i*targets.Stride+c] - b.Data[r*b.Stride+c]
				if b.Data[r*b.Stride+c] > b.Data[r*b.Stride+best] {
					best = c
				}
			}
			if best == labels[i] {
				right++
			}
		}
	}
	return float64(right) / float64(len(labels)), nil
}
