// Package head trains the classifier behind a frozen body: a few layers whose input
// is the body's features.
//
// A head is a sequence of blocks: BatchNorm, Dropout, Linear, and ReLU except in the
// last block. A log-softmax follows; for several labels an image, a log-sigmoid. Data
// is row-major float32.
//
// The state after step k depends only on the seed, the batches and the rates. Dropout
// masks follow from (seed, layer, step), and Trainer.State holds everything else. A
// resumed run therefore ends in the same bytes as one that was never stopped.
//
// Layers panic on a wrong shape, which is a bug. Step and Predict return errors for
// bad data. A Head and its Trainer belong to one goroutine.
package head
