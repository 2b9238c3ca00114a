package look

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas/blas32"

	"finetune/dataset"
	"finetune/internal/digest"
	"finetune/internal/parallel"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/metrics"
)

const (
	neighboursEach = 3
	mistakesMost   = 100 // of more, those whose true class got the least probability
)

// Neighbours finds the nearest training photographs, by the cosine distance of
// centred features, of the mistakes among the validation predictions.
func Neighbours(valid, train features.Split, logp []float32, classes int) []runs.Neighbour {
	var wrong []int
	for i, it := range valid.Items {
		if it.Label >= 0 && metrics.Best(logp[i*classes:(i+1)*classes]) != it.Label {
			wrong = append(wrong, i)
		}
	}
	slices.SortStableFunc(wrong, func(a, b int) int {
		return cmp.Compare(logp[a*classes+valid.Items[a].Label], logp[b*classes+valid.Items[b].Label])
	})
	wrong = wrong[:min(len(wrong), mistakesMost)]
	if len(wrong) == 0 {
		return nil
	}
	mean, norms := moments(train.Rows)
	found := make([][]runs.Neighbour, len(wrong))
	parallel.For(len(wrong), 0, func(k int) {
		i := wrong[k]
		found[k] = nearest(valid.Items[i], valid.Rows[i], train, mean, norms)
	})
	return slices.Concat(found...)
}

// moments returns the mean row and each centred row's length.
func moments(rows [][]float32) (mean []float32, norms []float64) {
	sum := make([]float64, len(rows[0]))
	for _, r := range rows {
		for j, v := range r {
			sum[j] += float64(v)
		}
	}
	mean = make([]float32, len(sum))
	for j, v := range sum {
		mean[j] = float32(v / float64(len(rows)))
	}
	norms = make([]float64, len(rows))
	for i, r := range rows {
		norms[i] = math.Sqrt(max(dot(r, r)-2*dot(r, mean)+dot(mean, mean), 0))
	}
	return mean, norms
}

func dot(a, b []float32) float64 {
	return float64(blas32.Dot(blas32.Vector{N: len(a), Inc: 1, Data: a}, blas32.Vector{N: len(b), Inc: 1, Data: b}))
}

func nearest(it dataset.Item, row []float32, train features.Split, mean []float32, norms []float64) []runs.Neighbour {
	x := make([]float32, len(row)) // centred
	for j, v := range row {
		x[j] = v - mean[j]
	}
	length, offset := math.Sqrt(dot(x, x)), dot(x, mean)
	list := make([]runs.Neighbour, len(train.Rows))
	order := make([]int, len(train.Rows))
	for i, r := range train.Rows {
		d := 1.0
		if scale := length * norms[i]; scale > 0 {
			d = max(1-(dot(x, r)-offset)/scale, 0)
		}
		list[i] = runs.Neighbour{Path: it.Path, Neighbour: train.Items[i].Path, Label: train.Items[i].Label, Distance: d}
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(list[a].Distance, list[b].Distance) })
	out := make([]runs.Neighbour, 0, neighboursEach)
	for rank, i := range order[:min(neighboursEach, len(order))] {
		n := list[i]
		n.Rank, n.Duplicate = rank+1, n.Distance < 1e-5 && sameFile(it.File, train.Items[i].File)
		out = append(out, n)
	}
	return out
}

func sameFile(a, b string) bool {
	x, errX := digest.File(a)
	y, errY := digest.File(b)
	return errX == nil && errY == nil && x == y
}
