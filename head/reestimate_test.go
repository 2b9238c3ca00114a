package head

import (
	"math"
	"slices"
	"testing"
)

// Batches of unequal size weigh by their rows: the mean of the first BatchNorm
// becomes the mean of all rows, whatever it was.
func TestReestimate(t *testing.T) {
	for engine := range 2 {
		fast, plain := twoTrainers(t, Config{In: 3, Hidden: []int{4}, Classes: 2}, Options{})
		h := []*Trainer{fast, plain}[engine].head
		fill(h.blocks[0].norm.Mean, 100)
		before := h.clone()
		rows, _ := blobs(50, 3, 2, 1)
		batches := [][][]float32{rows[:32], rows[32:48], rows[48:]}
		if err := h.Reestimate(slices.Values(batches), 1); err != nil {
			t.Fatal(err)
		}
		for j, got := range h.blocks[0].norm.Mean {
			want := 0.0
			for _, r := range rows {
				want += float64(r[j]) / 50
			}
			if math.Abs(float64(got)-want) > 1e-6 {
				t.Errorf("mean of feature %d is %v, want %v", j, got, want)
			}
		}
		for i, p := range h.parameters() {
			if !slices.Equal(p.Data, before.parameters()[i].Data) {
				t.Errorf("%s changed", p.Name)
			}
		}
		if h.blocks[0].norm.Momentum != .1 {
			t.Errorf("momentum left at %v", h.blocks[0].norm.Momentum)
		}
		if err := h.Reestimate(slices.Values([][][]float32{rows[:1]}), 1); err == nil {
			t.Error("took a batch of one row")
		}
	}
}

func TestUnequalClasses(t *testing.T) {
	labels := []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 3}
	for range 200 {
		labels = append(labels, 0)
	}
	counts := make([]int, 4)
	for epoch := range 20 {
		for _, k := range BalancedOrder(labels, 4, 1, epoch) {
			counts[labels[k]]++
		}
	}
	for _, c := range []int{0, 1, 3} {
		if got := float64(counts[c]) / 4200; math.Abs(got-1./3) > .03 {
			t.Errorf("class %d is drawn %.3f of the time, want a third", c, got)
		}
	}
	w := ClassWeights([]int{0, 0, 0, 1}, 3)
	if !slices.Equal(w, []float32{4. / 6, 2, 1}) {
		t.Errorf("weights %v, want [0.667 2 1]", w)
	}
}

// clone is a copy of h that shares nothing with it.
func (h *Head) clone() *Head {
	c, err := New(h.Config)
	if err == nil {
		err = c.Restore(h.tensors())
	}
	if err != nil {
		panic(err) // h was made by New from the same Config
	}
	c.engine = h.engine
	return c
}
