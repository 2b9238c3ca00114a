package audit

import (
	"cmp"
	"math/rand/v2"
	"path"
	"regexp"
	"slices"
	"strings"

	"gonum.org/v1/gonum/blas/blas64"
)

// Series says whether photographs that follow each other by the numbers in their names
// look alike, as the pictures of a film or the cells of a module do.
type Series struct {
	Near   float64 // mean cosine of standardised features between neighbours by number
	Random float64 // that of random pairs of the same classes
	Pairs  int     // of neighbours
	Found  bool    // Near exceeds Random by more than a tenth
	Groups []int   // [n] the series of each photograph, counted from 0
}

const (
	fewPairs   = 20 // from which on a mean says something
	moreAlike  = .1
	breakReach = 4 // photographs on each side of a place where a series may end
)

var digitRuns = regexp.MustCompile(`[0-9]+`)

// FindSeries orders photographs by the numbers in their names, the folder apart where two folders
// have equal names, and compares neighbours with random pairs of the same classes; labels
// [n] are -1 where there is none. A series ends where the four photographs before are less
// like the four behind than halfway between neighbours and random pairs.
func FindSeries(paths []string, labels []int, rows [][]float32) Series {
	n := len(paths)
	s := Series{Groups: make([]int, n)}
	if n == 0 {
		return s
	}
	order, template := byNumber(paths)
	std := standardised(rows)
	u := unitRows(rows, &std)
	vectorOf := func(i int) blas64.Vector {
		v := matrix(1, u.cols)
		u.into(v, i, i+1)
		return vector(v)
	}
	ofClass := map[int][]int{}
	for i, y := range labels {
		ofClass[y] = append(ofClass[y], i)
	}
	random := rand.New(rand.NewPCG(3, 4))
	for k := range n - 1 {
		a, b := order[k], order[k+1]
		if template[a] != template[b] {
			continue
		}
		s.Pairs++
		s.Near += blas64.Dot(vectorOf(a), vectorOf(b))
		c, e := ofClass[labels[a]], ofClass[labels[b]]
		s.Random += blas64.Dot(vectorOf(c[random.IntN(len(c))]), vectorOf(e[random.IntN(len(e))]))
	}
	if s.Pairs > 0 {
		s.Near /= float64(s.Pairs)
		s.Random /= float64(s.Pairs)
	}
	s.Found = s.Pairs >= fewPairs && 2*s.Pairs >= n && s.Near-s.Random > moreAlike
	s.Groups = breaks(order, template, u, (s.Near+s.Random)/2)
	return s
}

// byNumber orders paths by name without digits, then by the numbers in it.
func byNumber(paths []string) (order []int, template []string) {
	names, seen, twice := make([]string, len(paths)), map[string]bool{}, false
	for i, p := range paths {
		names[i] = path.Base(p)
		twice = twice || seen[names[i]]
		seen[names[i]] = true
	}
	numbers := make([][]string, len(paths))
	for i, p := range paths {
		name := names[i]
		if twice {
			name = p
		}
		template = append(template, digitRuns.ReplaceAllString(name, "#"))
		for _, digits := range digitRuns.FindAllString(name, -1) {
			numbers[i] = append(numbers[i], strings.TrimLeft(digits, "0"))
		}
		order = append(order, i)
	}
	byLength := func(a, b string) int { return cmp.Or(cmp.Compare(len(a), len(b)), strings.Compare(a, b)) }
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Or(strings.Compare(template[a], template[b]), slices.CompareFunc(numbers[a], numbers[b], byLength),
			strings.Compare(paths[a], paths[b]))
	})
	return order, template
}

// breaks divides the order where it is least alike on both sides, below a cosine.
func breaks(order []int, template []string, u unit, below float64) []int {
	n := len(order)
	alike := make([]float64, n) // of what is before and behind place k; -1 where names change
	x := matrix(2*breakReach, u.cols)
	for k := 1; k < n; k++ {
		if template[order[k-1]] != template[order[k]] {
			alike[k] = -1
			continue
		}
		lo, hi := max(k-breakReach, 0), min(k+breakReach, n)
		for i, at := range order[lo:hi] {
			u.into(window(x, i, i+1), at, at+1)
		}
		for a := lo; a < k; a++ {
			for b := k; b < hi; b++ {
				alike[k] += blas64.Dot(vector(window(x, a-lo, a-lo+1)), vector(window(x, b-lo, b-lo+1)))
			}
		}
		alike[k] /= float64((k - lo) * (hi - k))
	}
	groups, g := make([]int, n), 0
	for k, i := range order {
		if k > 0 && (alike[k] == -1 ||
			alike[k] < below && alike[k] == slices.Min(alike[max(k-breakReach, 1):min(k+breakReach+1, n)])) {
			g++
		}
		groups[i] = g
	}
	return groups
}

// linkages are the cosines at which Clusters may cut, the first that gives no group too large.
var linkages = []float64{.7, .75, .8, .85, .9, .95, .98}

// largestGroup is the share of all photographs that one cluster may hold.
const largestGroup = .2

// Clusters joins photographs whose standardised features have a cosine of cut or more, and
// what they are joined with (single linkage). cut is .7, or the least of a few larger
// values at which no cluster holds more than a fifth of all. Groups [n] are counted from 0.
func Clusters(rows [][]float32, p Product) (groups []int, cut float64, err error) {
	n := len(rows)
	if n == 0 {
		return nil, 0, nil
	}
	sets := make([][]int, len(linkages))
	for k := range sets {
		sets[k] = make([]int, n)
		for i := range n {
			sets[k][i] = i
		}
	}
	join := func(a, b int, cosine float64) {
		for k, least := range linkages {
			if cosine < least {
				return
			}
			ra, rb := root(sets[k], a), root(sets[k], b)
			sets[k][max(ra, rb)] = min(ra, rb)
		}
	}
	std := standardised(rows)
	if n > mostCompared {
		bucketPairs(rows, join)
	} else if err = allPairs(unitRows(rows, &std), join, p); err != nil {
		return nil, 0, err
	}
	for k, set := range sets {
		number, size := map[int]int{}, []int{}
		groups = make([]int, n)
		for i := range n {
			r := root(set, i)
			g, known := number[r]
			if !known {
				g = len(size)
				number[r], size = g, append(size, 0)
			}
			groups[i] = g
			size[g]++
		}
		if cut = linkages[k]; float64(slices.Max(size)) <= largestGroup*float64(n) {
			break
		}
	}
	return groups, cut, nil
}

func root(set []int, i int) int {
	for set[i] != i {
		set[i] = set[set[i]]
		i = set[i]
	}
	return i
}
