package audit

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"finetune/internal/parallel"
)

// PictureSide is the side of the square of grey values by which two photographs are
// compared: each photograph squeezed to it, whatever its shape.
const PictureSide = 80

const viewSide = 64 // of the part of a picture that is compared

// Picture is a photograph as [PictureSide][PictureSide] grey values, row-major. None is
// at hand where it is nil.
type Picture []uint8

// Copy is two photographs that show one picture.
type Copy struct {
	A, B  int     // rows, A < B
	Score float64 // 1 of equal files, else the correlation of their fine structure, at least .6
	Exact bool    // the files are equal
	How   string  // what was done to one of them, as in "mirrored, cropped to 80 %"; empty of equal files
}

// leastAlike is the correlation from which two pictures are one: photographs of one scene
// by one photographer reach .43, copies .71.
const (
	leastAlike  = .6
	leastAgreed = .85 // of the grey values: different pictures reach .83, copies .94
)

// Copies finds photographs that are there twice: by the SHA-256 of their files, "" where
// it is not known, and among pairs with similar features (Similar) by their pixels. Two pictures are
// compared less the mean of their surroundings of 5×5, in eight orientations, and with up to
// a fifth cut off the borders of either. Then the pictures themselves must agree, at .85 or more:
// outlines alone, as of two fruits on white, do not make a copy. The surest first, then by row.
func Copies(digests []string, pairs []Pair, pictures []Picture) []Copy {
	var out []Copy
	firstOf, same := map[string]int{}, make([]int, len(digests)) // same: the first row of equal files
	for i, d := range digests {
		j, seen := firstOf[d]
		if same[i] = i; d != "" && seen {
			same[i] = j
			out = append(out, Copy{A: j, B: i, Score: 1, Exact: true})
		} else if d != "" {
			firstOf[d] = i
		}
	}
	pairs = slices.DeleteFunc(slices.Clone(pairs), func(q Pair) bool {
		return same[q.A] != q.A || same[q.B] != q.B || pictures[q.A] == nil || pictures[q.B] == nil
	})
	verified := make([]Copy, len(pairs))
	parallel.For(len(pairs), 0, func(k int) {
		verified[k] = Copy{A: pairs[k].A, B: pairs[k].B}
		verified[k].Score, verified[k].How = alike(pictures[pairs[k].A], pictures[pairs[k].B])
	})
	for _, c := range verified {
		if c.Score >= leastAlike {
			out = append(out, c)
		}
	}
	slices.SortStableFunc(out, func(a, b Copy) int {
		if a.Exact != b.Exact {
			return cmp.Compare(sign(b.Exact), sign(a.Exact))
		}
		return cmp.Or(cmp.Compare(b.Score, a.Score), cmp.Compare(a.A, b.A), cmp.Compare(a.B, b.B))
	})
	return out
}

// windows are the shares of a picture's sides that are compared with all of the other.
var windows = []float64{1, .95, .9, .85, .8}

// orientations name the eight ways to lay a square on itself, by what turns the first
// picture into the second.
var orientations = []string{"", "mirrored", "upside down", "rotated by 180°", "mirrored along the diagonal",
	"rotated by 90°", "rotated by 270°", "mirrored along the other diagonal"}

// alike is the largest correlation of two pictures' fine structure, and what was done to
// one of them to make the other; 0 where the pictures themselves do not agree.
func alike(a, b Picture) (best float64, how string) {
	best, how, agree := finely(a, b)
	if best < leastAlike || agree() < leastAgreed {
		return min(best, 0), ""
	}
	return best, how
}

// finely is alike by fine structure alone, and how much the pictures agree where it is best.
func finely(a, b Picture) (best float64, how string, agree func() float64) {
	whole := [2][]float32{detail(a, 1), detail(b, 1)}
	if whole[0] == nil || whole[1] == nil {
		return 0, "", nil
	}
	best, at := oriented(whole[0], whole[1])
	how = orientations[at]
	agree = func() float64 { return plainly(a, b, 1, at) }
	if best >= leastAlike {
		return best, how, agree
	}
	for _, share := range windows[1:] {
		for k, pair := range [2][2]Picture{{a, b}, {b, a}} {
			view := detail(pair[0], share)
			if view == nil {
				continue
			}
			if score, at := oriented(view, whole[1-k]); score > best {
				best, how = score, orientations[at]
				if how != "" {
					how += ", "
				}
				how += fmt.Sprintf("cropped to %.0f %%", 100*share)
				agree = func() float64 { return plainly(pair[0], pair[1], share, at) }
			}
		}
	}
	return best, how, agree
}

// plainly is the correlation of grey values of the middle of a with b in an orientation.
func plainly(a, b Picture, share float64, orientation int) float64 {
	x, y := normalised(view(a, share)), normalised(view(b, 1))
	if x == nil || y == nil {
		return 0
	}
	return correlation(x, y, orientation)
}

// oriented is the largest correlation of a with b in any orientation, and which.
func oriented(a, b []float32) (best float64, at int) {
	best = -1
	for k := range orientations {
		if sum := correlation(a, b, k); sum > best+1e-9 {
			best, at = sum, k
		}
	}
	return best, at
}

// correlation is the product of a with b in an orientation.
func correlation(a, b []float32, orientation int) (sum float64) {
	const n, last = viewSide, viewSide - 1
	start, right, down := 0, 1, n // of b as a is read row by row
	switch orientation {
	case 1:
		start, right = last, -1
	case 2:
		start, down = last*n, -n
	case 3:
		start, right, down = n*n-1, -1, -n
	case 4:
		right, down = n, 1
	case 5:
		start, right, down = last, n, -1
	case 6:
		start, right, down = last*n, -n, 1
	case 7:
		start, right, down = n*n-1, -n, -1
	}
	for y := range n {
		row, from, part := a[y*n:(y+1)*n], start+y*down, float32(0)
		for _, v := range row {
			part += v * b[from]
			from += right
		}
		sum += float64(part)
	}
	return sum
}

// detail is the middle of a picture, a share of its sides, as viewSide×viewSide values
// less the mean of the 5×5 around each, of length 1; nil of a picture of one colour.
func detail(p Picture, share float64) []float32 { return normalised(lessSurroundings(view(p, share))) }

// view is the middle of a picture, a share of its sides, as [viewSide][viewSide] values.
func view(p Picture, share float64) []float32 {
	const n = viewSide
	w := weights[share]
	var across [PictureSide * n]float32
	for y := range PictureSide {
		for x, span := range w {
			sum := float32(0)
			for k, weight := range span.weight {
				sum += weight * float32(p[y*PictureSide+span.from+k])
			}
			across[y*n+x] = sum
		}
	}
	out := make([]float32, n*n)
	for y, span := range w {
		for k, weight := range span.weight {
			row := across[(span.from+k)*n:]
			for x := range n {
				out[y*n+x] += weight * row[x]
			}
		}
	}
	return out
}

// lessSurroundings takes the mean of the surroundings of 5×5, as far as they lie within, off each value.
func lessSurroundings(view []float32) []float32 {
	const n, reach = viewSide, 2
	out := make([]float32, n*n)
	var sums [(n + 1) * (n + 1)]float64 // of all above and to the left
	for y := range n {
		for x := range n {
			sums[(y+1)*(n+1)+x+1] = float64(view[y*n+x]) + sums[y*(n+1)+x+1] + sums[(y+1)*(n+1)+x] - sums[y*(n+1)+x]
		}
	}
	for y := range n {
		top, low := max(y-reach, 0), min(y+reach+1, n)
		for x := range n {
			left, right := max(x-reach, 0), min(x+reach+1, n)
			sum := sums[low*(n+1)+right] - sums[top*(n+1)+right] - sums[low*(n+1)+left] + sums[top*(n+1)+left]
			out[y*n+x] = view[y*n+x] - float32(sum/float64((low-top)*(right-left)))
		}
	}
	return out
}

// normalised brings a view to mean 0 and length 1.
func normalised(v []float32) []float32 {
	mean, square := 0.0, 0.0
	for _, x := range v {
		mean += float64(x) / float64(len(v))
	}
	for _, x := range v {
		square += (float64(x) - mean) * (float64(x) - mean)
	}
	if square < 1 { // one colour, but for rounding
		return nil
	}
	for i := range v {
		v[i] = float32((float64(v[i]) - mean) / math.Sqrt(square))
	}
	return v
}

// span is which values a smaller row's one is made of, and how much of each.
type span struct {
	from   int
	weight []float32
}

// weights scale the middle of a row of PictureSide values to viewSide by area.
var weights = func() map[float64][]span {
	all := map[float64][]span{}
	for _, share := range windows {
		size := share * PictureSide / viewSide
		start := (1 - share) / 2 * PictureSide
		for x := range viewSide {
			lo, hi := start+float64(x)*size, start+float64(x+1)*size
			s := span{from: int(lo)}
			for k := s.from; float64(k) < hi-1e-9 && k < PictureSide; k++ {
				s.weight = append(s.weight, float32((min(hi, float64(k+1))-max(lo, float64(k)))/size))
			}
			all[share] = append(all[share], s)
		}
	}
	return all
}()
