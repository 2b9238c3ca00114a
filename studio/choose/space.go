// Package choose says which photographs to look at next: first typical ones, which lie where many
// others do, one of each kind; later those that the model is least sure of. Pure functions of
// features, probabilities and a seed.
package choose

import (
	"cmp"
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"finetune/internal/columns"
	"finetune/internal/parallel"
	"finetune/internal/rng"
)

// Dims are the numbers that a photograph has in a Space. Distances among thousands of points
// survive so many random directions to within a few per cent (Johnson and Lindenstrauss).
const Dims = 128

// Space is photographs' standardised features in a few random directions, each row of length 1.
type Space struct {
	rows []float32 // [n, Dims]
	n    int
}

// NewSpace makes one of features rows [n][f]; a nil row, of a photograph that cannot be read, lies
// at the origin.
func NewSpace(rows [][]float32, seed uint64) *Space {
	s := &Space{rows: make([]float32, len(rows)*Dims), n: len(rows)}
	known := slices.DeleteFunc(slices.Clone(rows), func(r []float32) bool { return r == nil })
	if len(known) == 0 {
		return s
	}
	f := len(known[0])
	mean, variance := columns.Moments(known)
	directions, draw := make([]float32, f*Dims), rng.New(seed, rng.Text("choose.space"))
	for j := range f {
		scale := 1 / math.Sqrt(variance[j]+1e-6)
		for k := range Dims {
			directions[j*Dims+k] = float32(draw.Normal() * scale)
		}
	}
	origin := make([]float32, Dims) // where the mean goes to
	for j := range f {
		for k := range Dims {
			origin[k] += float32(mean[j]) * directions[j*Dims+k]
		}
	}
	const block = 64
	parallel.For((len(rows)+block-1)/block, 0, func(b int) {
		for i := b * block; i < min(len(rows), (b+1)*block); i++ {
			if rows[i] != nil {
				s.project(i, rows[i], directions, origin)
			}
		}
	})
	return s
}

func (s *Space) project(i int, row, directions, origin []float32) {
	out := blas32.Vector{N: Dims, Data: s.row(i), Inc: 1}
	copy(out.Data, origin)
	blas32.Gemv(blas.Trans, 1, blas32.General{Rows: len(row), Cols: Dims, Data: directions, Stride: Dims},
		blas32.Vector{N: len(row), Data: row, Inc: 1}, -1, out)
	if length := blas32.Nrm2(out); length > 0 {
		blas32.Scal(1/length, out)
	}
}

func (s *Space) row(i int) []float32 { return s.rows[i*Dims : (i+1)*Dims : (i+1)*Dims] }

// cosine of two photographs.
func (s *Space) cosine(i, j int) float32 { return dot(s.row(i), s.row(j)) }

func dot(a, b []float32) float32 {
	return blas32.Dot(blas32.Vector{N: len(a), Data: a, Inc: 1}, blas32.Vector{N: len(b), Data: b, Inc: 1})
}

// Like lists at most n of the photographs among, the likest to photograph i first.
func (s *Space) Like(i int, among []int, n int) []int {
	near := make([]float32, len(among))
	for k, j := range among {
		near[k] = s.cosine(i, j)
	}
	order := make([]int, len(among))
	for k := range order {
		order[k] = k
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(near[b], near[a]) })
	out := make([]int, 0, min(n, len(order)))
	for _, k := range order[:min(n, len(order))] {
		out = append(out, among[k])
	}
	return out
}
