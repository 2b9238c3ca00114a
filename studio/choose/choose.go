package choose

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"

	"finetune/internal/parallel"
	"finetune/internal/rng"
)

const (
	mostClustered = 10000 // photographs; of more, so many drawn ones
	rounds        = 30    // of k-means, which converges long before
	tries         = 4     // of k-means, whose beginning decides where it ends
	neighbours    = 20    // by whose distance a photograph is typical (Hacohen et al. 2022)
)

// Typical lists at most k of the photographs among, the most typical of each of k clusters, the
// largest cluster first (TypiClust, Hacohen, Dekel and Weinshall 2022). Clusters that hold one of the
// photographs covered are left out: somebody looked there already.
func (s *Space) Typical(among, covered []int, k int, seed uint64) []int {
	draw := rng.New(seed, rng.Text("choose.typical"))
	points := slices.Concat(among, covered)
	if len(points) > mostClustered {
		picked := draw.Perm(len(points))[:mostClustered]
		slices.Sort(picked)
		for at, i := range picked {
			points[at] = points[i]
		}
		points = points[:mostClustered]
	}
	if len(points) == 0 || k <= 0 {
		return nil
	}
	var of []int
	least := math.Inf(1)
	for range tries {
		if one, spread := s.cluster(points, min(k, len(points)), draw); spread < least {
			of, least = one, spread
		}
	}
	members, taken := make([][]int, k), make([]bool, k)
	for at, i := range points {
		members[of[at]] = append(members[of[at]], i)
	}
	hidden := map[int]bool{}
	for _, i := range covered {
		hidden[i] = true
	}
	for c, list := range members {
		taken[c] = len(list) == 0 || slices.ContainsFunc(list, func(i int) bool { return hidden[i] })
	}
	order := make([]int, k)
	for c := range order {
		order[c] = c
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(len(members[b]), len(members[a])) })
	var out []int
	for _, c := range order {
		if !taken[c] {
			out = append(out, s.mostTypical(members[c]))
		}
	}
	return out
}

// mostTypical is the photograph whose neighbours are nearest.
func (s *Space) mostTypical(members []int) int {
	score := make([]float64, len(members))
	parallel.For(len(members), 0, func(a int) {
		near := make([]float32, 0, len(members))
		for b, j := range members {
			if a != b {
				near = append(near, s.cosine(members[a], j))
			}
		}
		slices.SortFunc(near, func(x, y float32) int { return cmp.Compare(y, x) })
		near = near[:min(neighbours, len(near))]
		for _, c := range near {
			score[a] += math.Sqrt(max(0, 2-2*float64(c))) / float64(len(near))
		}
	})
	best := 0
	for a, v := range score {
		if v < score[best] {
			best = a
		}
	}
	return members[best]
}

// cluster is k-means with k-means++'s beginning. It returns the cluster of each point, and a measure of how far
// points lie from their centres.
func (s *Space) cluster(points []int, k int, draw *rng.Stream) (of []int, spread float64) {
	centres := s.begin(points, k, draw)
	of = make([]int, len(points))
	near := make([]float64, len(points))
	for range rounds {
		moved := make([]bool, len(points))
		parallel.For(len(points), 0, func(at int) {
			best, most := 0, float32(math.Inf(-1))
			for c := range k { // the nearest of centres of any length
				centre := centres[c*Dims : (c+1)*Dims]
				if v := 2*dot(s.row(points[at]), centre) - dot(centre, centre); v > most {
					best, most = c, v
				}
			}
			moved[at] = of[at] != best
			of[at], near[at] = best, float64(most)
		})
		if !slices.Contains(moved, true) {
			break
		}
		sums, counts := make([]float32, k*Dims), make([]int, k)
		for at, i := range points {
			counts[of[at]]++
			sum := sums[of[at]*Dims : (of[at]+1)*Dims]
			for d, v := range s.row(i) {
				sum[d] += v
			}
		}
		for c, n := range counts {
			for d := range Dims {
				if n > 0 { // one without points stays where it was
					centres[c*Dims+d] = sums[c*Dims+d] / float32(n)
				}
			}
		}
	}
	return of, -floats.Sum(near)
}

// begin draws centres far from each other (Arthur and Vassilvitskii 2007), each the best of a few.
func (s *Space) begin(points []int, k int, draw *rng.Stream) []float32 {
	centres, far := make([]float32, 0, k*Dims), make([]float64, len(points))
	for at := range far {
		far[at] = 4 // the largest squared distance of rows of length 1
	}
	for len(centres) < k*Dims {
		var best []float64
		var row []float32
		least := math.Inf(1)
		for range 2 + int(math.Log(float64(k))) {
			centre := s.row(points[drawn(far, draw)])
			nearer, total := make([]float64, len(points)), 0.0
			for at, i := range points {
				nearer[at] = min(far[at], max(0, 2-2*float64(dot(s.row(i), centre))))
				total += nearer[at]
			}
			if total < least {
				least, best, row = total, nearer, centre
			}
		}
		centres, far = append(centres, row...), best
	}
	return centres
}

// drawn is an index drawn by weights.
func drawn(weights []float64, draw *rng.Stream) int {
	total := 0.0
	for _, w := range weights {
		total += w
	}
	left := draw.Uniform(0, total)
	for i, w := range weights {
		if left -= w; left < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// Unsure orders photographs by how unsure a model is of them, the least sure first: by the difference of
// the two largest probabilities, or with multi by the distance of the nearest one to a half. logp is
// [., classes] of log-probabilities, rows say which of its rows to order.
func Unsure(logp []float32, classes int, multi bool, rows []int) []int {
	margin := make(map[int]float64, len(rows))
	for _, i := range rows {
		margin[i] = marginOf(logp[i*classes:(i+1)*classes], multi)
	}
	out := slices.Clone(rows)
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(margin[a], margin[b]) })
	return out
}

func marginOf(logp []float32, multi bool) float64 {
	first, second := math.Inf(-1), math.Inf(-1)
	least := 1.0
	for _, v := range logp {
		p := math.Exp(float64(v))
		least = min(least, math.Abs(p-.5))
		if p > first {
			first, second = p, first
		} else if p > second {
			second = p
		}
	}
	switch {
	case multi:
		return least
	case math.IsInf(second, -1):
		return 1
	}
	return first - second
}
