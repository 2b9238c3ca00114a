package choose

import (
	"fmt"
	"slices"
	"testing"

	"finetune/internal/rng"
)

// blobs are n points a blob of so many, each around a direction of its own.
func blobs(sizes []int, f int) (rows [][]float32, of []int) {
	draw := rng.New(7)
	for b, n := range sizes {
		centre := make([]float32, f)
		for j := range centre {
			centre[j] = float32(3 * draw.Normal())
		}
		for range n {
			row := make([]float32, f)
			for j := range row {
				row[j] = centre[j] + float32(draw.Normal())
			}
			rows, of = append(rows, row), append(of, b)
		}
	}
	return rows, of
}

func indices(n int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = i
	}
	return out
}

// One photograph of each blob is asked for, the largest blob's first, and none of a blob that was seen.
func TestTypical(t *testing.T) {
	rows, of := blobs([]int{35, 60, 45, 25}, 300)
	s := NewSpace(rows, 1)
	var got []int
	for _, i := range s.Typical(indices(len(rows)), nil, 4, 1) {
		got = append(got, of[i])
	}
	if !slices.Equal(got, []int{1, 2, 0, 3}) {
		t.Errorf("blobs in the order %v", got)
	}
	seen := 40 // of the largest blob
	among := slices.DeleteFunc(indices(len(rows)), func(i int) bool { return i == seen })
	got = nil
	for _, i := range s.Typical(among, []int{seen}, 4, 1) {
		got = append(got, of[i])
	}
	if !slices.Equal(got, []int{2, 0, 3}) {
		t.Errorf("with one blob seen: %v", got)
	}
	if len(s.Typical(nil, nil, 4, 1)) != 0 || len(s.Typical([]int{3}, nil, 4, 1)) != 1 {
		t.Error("of none and of one")
	}
}

func TestLike(t *testing.T) {
	rows, of := blobs([]int{5, 5, 5}, 200)
	rows[7] = nil // unreadable
	near := NewSpace(rows, 1).Like(2, indices(len(rows)), 5)
	if near[0] != 2 {
		t.Errorf("the likest to itself is %d", near[0])
	}
	for _, i := range near {
		if of[i] != 0 {
			t.Errorf("photograph %d of blob %d is among the nearest: %v", i, of[i], near)
		}
	}
}

func TestUnsureOfTags(t *testing.T) {
	logp := []float32{-.1, -2.3, -.7, -3, -.01, -4}
	if got := Unsure(logp, 2, true, []int{0, 1, 2}); got[0] != 1 {
		t.Errorf("order %v, want 1 first: its first tag is .497", got)
	}
}

func ExampleUnsure() {
	logp := []float32{-0.105, -2.303, -0.693, -0.693, -0.357, -1.204} // .9 .1, .5 .5, .7 .3
	fmt.Println(Unsure(logp, 2, false, []int{0, 1, 2}))
	// Output: [1 2 0]
}
