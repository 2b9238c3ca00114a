// Package metrics says how good predictions are.
//
// logp is row-major float32 [n, classes] of log-probabilities, as head.Predict
// returns; labels [n] are class indices. Functions are pure; they panic on a shape
// that does not fit, which is a bug. Where there is nothing to count the result is
// 0 (no NaN reaches a file), unless a function says so by a second result.
package metrics
