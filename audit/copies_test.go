package audit

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// scene is a picture of w×h RGB pixels: blots of many sizes, by seed.
func scene(seed uint64, w, h int) []uint8 {
	r := rand.New(rand.NewPCG(seed, 1))
	pix := make([]uint8, 3*w*h)
	for i := range pix {
		pix[i] = 90
	}
	for range 150 {
		x, y, size := r.IntN(w), r.IntN(h), 2+r.IntN(w/8)
		v := [3]uint8{uint8(r.IntN(256)), uint8(r.IntN(256)), uint8(r.IntN(256))}
		for dy := -size; dy <= size; dy++ {
			for dx := -size; dx <= size; dx++ {
				if px, py := x+dx, y+dy; px >= 0 && py >= 0 && px < w && py < h && dx*dx+dy*dy <= size*size {
					copy(pix[3*(py*w+px):], v[:])
				}
			}
		}
	}
	return pix
}

// changed is at(x, y) of a picture, as a Picture.
func changed(w, h int, at func(x, y int) []uint8) Picture {
	pix := make([]uint8, 0, 3*w*h)
	for y := range h {
		for x := range w {
			pix = append(pix, at(x, y)[:3]...)
		}
	}
	return Shrink(pix, w, h, PictureSide, PictureSide)
}

func TestCopiesByPixels(t *testing.T) {
	const w, h = 240, 180
	source := scene(1, w, h)
	at := func(x, y int) []uint8 { return source[3*(y*w+x):] }
	whole := changed(w, h, at)
	for _, c := range []struct {
		how     string
		picture Picture
	}{
		{"", changed(w, h, func(x, y int) []uint8 { // lighter
			p := at(x, y)
			lit := func(v uint8) uint8 { return uint8(min(int(v)*115/100, 255)) }
			return []uint8{lit(p[0]), lit(p[1]), lit(p[2])}
		})},
		{"", changed(w/2, h/2, func(x, y int) []uint8 { return at(2*x, 2*y) })},
		{"mirrored", changed(w, h, func(x, y int) []uint8 { return at(w-1-x, y) })},
		{"upside down", changed(w, h, func(x, y int) []uint8 { return at(x, h-1-y) })},
		{"rotated by 180°", changed(w, h, func(x, y int) []uint8 { return at(w-1-x, h-1-y) })},
		{"rotated by 90°", changed(h, w, func(x, y int) []uint8 { return at(y, h-1-x) })},  // to the right
		{"rotated by 270°", changed(h, w, func(x, y int) []uint8 { return at(w-1-y, x) })}, // to the left
		{"cropped to 90 %", changed(w*9/10, h*9/10, func(x, y int) []uint8 { return at(x+w/20, y+h/20) })},
		{"cropped to 80 %", changed(w*8/10, h*8/10, func(x, y int) []uint8 { return at(x+w/10, y+h/10) })},
		{"mirrored, cropped to 80 %", changed(w*8/10, h*8/10, func(x, y int) []uint8 { return at(w-1-x-w/10, y+h/10) })},
	} {
		for k, pair := range [][2]Picture{{whole, c.picture}, {c.picture, whole}} {
			score, how := alike(pair[0], pair[1])
			if turned := strings.HasPrefix(c.how, "rotated by"); score < .7 || (k == 0 || !turned) && how != c.how {
				t.Errorf("%q, from side %d: %.3f, %q", c.how, k, score, how)
			}
		}
	}
	for seed := uint64(2); seed < 40; seed++ {
		other := scene(seed, w, h)
		if score, how := alike(whole, Shrink(other, w, h, PictureSide, PictureSide)); score > .5 {
			t.Errorf("another picture, %d: %.3f %s", seed, score, how)
		}
	}
	if score, _ := alike(whole, make(Picture, PictureSide*PictureSide)); score != 0 {
		t.Errorf("a black picture: %.3f", score)
	}
}

// TestCopies: equal files once each, one near copy, and a pair of like features and unlike pictures.
func TestCopies(t *testing.T) {
	picture := func(seed uint64) Picture { return Shrink(scene(seed, 120, 120), 120, 120, PictureSide, PictureSide) }
	rows := [][]float32{{1, 0, 0, 0}, {1, 0, 0, 0}, {0, 1, 0, 0}, {0, .99, .1, 0}, {0, 0, 1, 0}, {0, 0, .9, .1},
		{1, 0, 0, 0}}
	pictures := []Picture{picture(1), picture(1), picture(2), picture(2), picture(3), picture(4), picture(1)}
	pairs, err := Similar(rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	got := Copies([]string{"a", "a", "c", "d", "e", "f", "a"}, pairs, pictures)
	want := []Copy{{A: 0, B: 1, Score: 1, Exact: true}, {A: 0, B: 6, Score: 1, Exact: true}, {A: 2, B: 3}}
	for k, c := range got {
		if k < len(want) && (c.A != want[k].A || c.B != want[k].B || c.Exact != want[k].Exact) {
			t.Errorf("%d: %+v, want %+v", k, c, want[k])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%+v", got)
	}
}

// TestBuckets: of copies strewn among many rows, random projections lose next to none.
func TestBuckets(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	const n, d, copies = 4000, 64, 200
	rows := make([][]float32, n+copies)
	for i := range n {
		rows[i] = make([]float32, d)
		for j := range rows[i] {
			rows[i][j] = float32(max(r.NormFloat64()+.5, 0))
		}
	}
	for k := range copies {
		rows[n+k] = slices.Clone(rows[k])
		for j := range d {
			rows[n+k][j] += float32(.1 * r.NormFloat64())
		}
	}
	found := map[int]bool{}
	bucketPairs(rows, func(a, b int, cosine float64) {
		want := dot(rows[a], rows[b]) / math.Sqrt(dot(rows[a], rows[a])*dot(rows[b], rows[b]))
		if math.Abs(want-cosine) > 1e-6 {
			t.Fatalf("cosine %g, want %g", cosine, want)
		}
		if max(a, b) == min(a, b)+n {
			found[min(a, b)] = true
		}
	})
	if len(found) < copies*97/100 {
		t.Errorf("%d of %d copies share a bucket", len(found), copies)
	}
}

// TestSimilar: the five nearest of each row, by all pairs compared one by one, over more rows
// than one block.
func TestSimilar(t *testing.T) {
	rows, _ := someRows(chunk+60, 6, 30, 3)
	got, err := Similar(rows, nil)
	if err != nil {
		t.Fatal(err)
	}
	has := map[string]bool{}
	for _, p := range got {
		has[fmt.Sprint(p.A, " ", p.B)] = true
	}
	length := make([]float64, len(rows))
	for i, r := range rows {
		length[i] = math.Sqrt(dot(r, r))
	}
	for _, i := range []int{0, 17, chunk - 1, chunk, chunk + 59} {
		type near struct {
			j int
			c float64
		}
		var all []near
		for j := range rows {
			if j != i {
				all = append(all, near{j, dot(rows[i], rows[j]) / length[i] / length[j]})
			}
		}
		slices.SortFunc(all, func(a, b near) int { return -int(math.Copysign(1, a.c-b.c)) })
		for _, q := range all[:perRow] {
			if q.c >= leastCosine && !has[fmt.Sprint(min(i, q.j), " ", max(i, q.j))] {
				t.Errorf("row %d: its neighbour %d (%.4f) is missing", i, q.j, q.c)
			}
		}
	}
}
