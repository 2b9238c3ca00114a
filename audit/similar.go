package audit

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"

	"gonum.org/v1/gonum/blas/blas64"
)

// Pair is two rows and the cosine between them.
type Pair struct {
	A, B   int // A < B
	Cosine float64
}

const (
	mostCompared = 20000 // rows of which all pairs are compared; of more, those that share a bucket
	perRow       = 5     // neighbours of a row that are looked at
	leastCosine  = .6
)

// Similar lists the pairs of rows that may be one photograph twice: those where either is
// among the five nearest of the other by the cosine of raw features, and that is .6 or
// more. Of more than 20,000 rows only rows are compared that random projections put into
// one bucket (Charikar 2002). By A, then B.
func Similar(rows [][]float32, p Product) ([]Pair, error) {
	if len(rows) == 0 {
		return nil, nil
	}
	near := make([][]Pair, len(rows))
	add := func(a, b int, cosine float64) {
		if cosine < leastCosine {
			return
		}
		for _, k := range [2]int{a, b} {
			near[k] = keep(near[k], Pair{min(a, b), max(a, b), cosine}, perRow)
		}
	}
	var err error
	if len(rows) > mostCompared {
		bucketPairs(rows, add)
	} else {
		err = allPairs(unitRows(rows, nil), add, p)
	}
	all := slices.Concat(near...)
	slices.SortFunc(all, func(a, b Pair) int { return cmp.Or(cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B)) })
	return slices.CompactFunc(all, func(a, b Pair) bool { return a.A == b.A && a.B == b.B }), err
}

// keep puts q among the n pairs of largest cosine, equals in the order of their rows.
func keep(list []Pair, q Pair, n int) []Pair {
	order := func(a, b Pair) int {
		return cmp.Or(cmp.Compare(b.Cosine, a.Cosine), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
	}
	at, found := slices.BinarySearchFunc(list, q, order)
	if found || at >= n {
		return list
	}
	if len(list) == n {
		list = list[:n-1]
	}
	return slices.Insert(list, at, q)
}

// unit is how to write rows [lo, hi) of length 1 to a matrix.
type unit struct {
	rows int
	cols int
	into func(dst blas64.General, lo, hi int)
}

// unitRows are rows of length 1, standardised before where s is not nil.
func unitRows(rows [][]float32, s *scaled) unit {
	if s == nil {
		one := scaled{rows: rows, mean: make([]float64, len(rows[0])), over: make([]float64, len(rows[0]))}
		for j := range one.over {
			one.over[j] = 1
		}
		s = &one
	}
	return unit{len(rows), len(rows[0]), func(dst blas64.General, lo, hi int) {
		s.into(dst, lo, hi, 1)
		for i := range hi - lo {
			r := blas64.Vector{N: dst.Cols, Inc: 1, Data: dst.Data[i*dst.Stride : (i+1)*dst.Stride]}
			if length := blas64.Nrm2(r); length > 0 {
				blas64.Scal(1/length, r)
			}
		}
	}}
}

// allPairs calls each with every pair of rows, a below b, a block after the other.
func allPairs(u unit, each func(a, b int, cosine float64), p Product) error {
	p = p.orGonum()
	x, y, product := matrix(chunk, u.cols), matrix(chunk, u.cols), matrix(chunk, chunk)
	for lo := 0; lo < u.rows; lo += chunk {
		hi := min(lo+chunk, u.rows)
		u.into(x, lo, hi)
		for from := lo; from < u.rows; from += chunk {
			to := min(from+chunk, u.rows)
			u.into(y, from, to)
			out := product
			out.Rows, out.Cols, out.Stride = hi-lo, to-from, to-from
			if err := p(out, first(x, hi-lo), first(y, to-from), true); err != nil {
				return err
			}
			for i := range out.Rows {
				for j, v := range out.Data[i*out.Stride : i*out.Stride+out.Cols] {
					if lo+i < from+j {
						each(lo+i, from+j, v)
					}
				}
			}
		}
	}
	return nil
}

// Buckets: each of several tables names a row by the signs of a few random projections of
// its centred features. Copies with a cosine of .98 (centred) share one of 12 tables of 11
// signs in 99.9 of 100 cases, with .95 in 98.
const (
	tables       = 12
	bucketRows   = 32  // rows that a bucket should have
	mostInBucket = 256 // neighbours within a larger bucket that a row is compared with
)

func bucketPairs(rows [][]float32, each func(a, b int, cosine float64)) {
	n, d := len(rows), len(rows[0])
	bits := min(max(int(math.Round(math.Log2(float64(n)/bucketRows))), 1), 30)
	s := standardised(rows)
	length := make([]float64, n)
	for i, r := range rows {
		length[i] = math.Sqrt(dot(r, r))
	}
	random := rand.New(rand.NewPCG(1, 2))
	directions := matrix(bits, d)
	x, signs := matrix(chunk, d), matrix(chunk, bits)
	for range tables {
		for k := range directions.Data {
			directions.Data[k] = random.NormFloat64()
		}
		code := make([]uint64, n)
		for lo := 0; lo < n; lo += chunk {
			hi := min(lo+chunk, n)
			s.into(x, lo, hi, 1)
			if err := Product(nil).orGonum()(first(signs, hi-lo), first(x, hi-lo), directions, true); err != nil {
				return
			}
			for i := range hi - lo {
				for _, v := range signs.Data[i*bits : (i+1)*bits] {
					code[lo+i] = code[lo+i]<<1 | uint64(max(sign(v > 0), 0))
				}
			}
		}
		order := make([]int, n)
		for i := range order {
			order[i] = i
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(code[a], code[b]) })
		for k, a := range order {
			for _, b := range order[k+1 : min(k+1+mostInBucket, n)] {
				if code[a] != code[b] {
					break
				}
				each(a, b, dot(rows[a], rows[b])/max(length[a]*length[b], math.SmallestNonzeroFloat64))
			}
		}
	}
}

func dot(a, b []float32) float64 {
	var s0, s1, s2, s3 float32
	n := len(a) &^ 3
	for j := 0; j < n; j += 4 {
		x, y := a[j:j+4:j+4], b[j:j+4:j+4]
		s0 += x[0] * y[0]
		s1 += x[1] * y[1]
		s2 += x[2] * y[2]
		s3 += x[3] * y[3]
	}
	for j := n; j < len(a); j++ {
		s0 += a[j] * b[j]
	}
	return float64(s0) + float64(s1) + float64(s2) + float64(s3)
}
