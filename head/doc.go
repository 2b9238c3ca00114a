// Package head trains the classifier that sits on frozen body activations.
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
