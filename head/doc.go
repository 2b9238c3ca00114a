// Package head trains the classifier that sits on frozen body activations.
//
//	h, err := head.New(head.Config{In: 1024, Hidden: []int{512}, Drop: []float64{.25, .5}, Classes: 2, Seed: 7})
//	t, err := head.NewTrainer(h, head.Options{Seed: 7})
//	for i := range head.Batches(len(rows), 64) {
//		lo, hi := head.Bounds(len(rows), 64, i)
//		loss, err := t.Step(head.Batch{Rows: rows[lo:hi], Labels: labels[lo:hi]}, head.Rates{LR: .01, Momentum: .9})
//	}
//	logp, err := h.Predict(valid) // [len(valid), 2] log-probabilities
//
// A head is blocks in order, each BatchNorm, Dropout, Linear and, but for the
// last, ReLU; a log-softmax (or, for several labels an image, a log-sigmoid)
// ends it. Data is row-major float32. The state after step k is a pure function
// of the seed, the batches and the rates: dropout masks are named by (seed,
// layer, step), and Trainer.State holds all the rest, so that a resumed run ends
// in the same bytes as one never stopped.
//
// Layers panic on a wrong shape, which is a bug; Step and Predict return errors
// for bad data. A Head and its Trainer belong to one goroutine.
package head
