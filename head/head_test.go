package head

import (
	"math"
	"testing"

	"finetune/internal/rng"
)

// blobs makes n rows of two or more classes apart by one standard deviation, from a seed.
func blobs(n, features, classes int, seed uint64) ([][]float32, []int) {
	s := rng.New(seed, rng.Text("blobs"))
	rows, labels := make([][]float32, n), make([]int, n)
	for i := range rows {
		rows[i], labels[i] = make([]float32, features), i%classes
		for j := range rows[i] {
			rows[i][j] = float32(s.Normal())
			if j%classes == labels[i] {
				rows[i][j] += 1
			}
		}
	}
	return rows, labels
}

func TestLearnsBlobs(t *testing.T) {
	rows, labels := blobs(300, 20, 3, 1)
	h, err := New(Config{In: 20, Hidden: []int{32}, Classes: 3, Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := NewTrainer(h, Options{Seed: 7})
	if err != nil {
		t.Fatal(err)
	}
	for epoch := range 5 {
		fitEpoch(t, tr, rows, labels, 32, epoch)
	}
	valid, want := blobs(300, 20, 3, 2)
	logp, err := h.Predict(valid)
	if err != nil {
		t.Fatal(err)
	}
	right := 0
	for i, y := range want {
		best := 0
		for c := range 3 {
			if logp[i*3+c] > logp[i*3+best] {
				best = c
			}
		}
		if best == y {
			right++
		}
	}
	if right < 260 {
		t.Errorf("%d of 300 right, want 260 or more", right)
	}
}

// fitEpoch trains one epoch at a constant rate.
func fitEpoch(t *testing.T, tr *Trainer, rows [][]float32, labels []int, size, epoch int) {
	t.Helper()
	order := Order(len(rows), 3, epoch)
	for i := range Batches(len(rows), size) {
		lo, hi := Bounds(len(rows), size, i)
		var b Batch
		for _, k := range order[lo:hi] {
			b.Rows, b.Labels = append(b.Rows, rows[k]), append(b.Labels, labels[k])
		}
		if loss, err := tr.Step(b, Rates{LR: .05, Momentum: .9}); err != nil || math.IsNaN(loss) {
			t.Fatalf("epoch %d step %d: loss %v, error %v", epoch, i, loss, err)
		}
	}
}
