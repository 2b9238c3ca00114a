// Package calibration makes probabilities mean what they say: a temperature, the error that
// is left beside the error that chance alone would show, and sets of classes that hold the
// true one as often as asked for. Functions are pure. logp is row-major float32
// [n, classes] of log-probabilities, as head.Predict returns; labels [n] are class indices.
//
// What is fitted here belongs to photographs that the model was not trained on.
package calibration
