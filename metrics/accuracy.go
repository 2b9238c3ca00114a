package metrics

import (
	"math"
	"sort"
)

// Argmax returns the most probable class of each row, the first of equals.
func Argmax(logp []float32, classes int) []int {
	out := make([]int, len(logp)/classes)
	for i := range out {
		out[i] = Best(logp[i*classes : (i+1)*classes])
	}
	return out
}

// Accuracy is the share of rows whose most probable class is the label, 0 to 1.
func Accuracy(logp []float32, labels []int, classes int) float64 {
	return TopK(logp, labels, classes, 1)
}

// TopK is the share of rows whose label is among the k most probable classes.
// Of equal probabilities the lower class index comes first. A row with NaN is
// never right.
func TopK(logp []float32, labels []int, classes, k int) float64 {
	right := 0
	for i, y := range labels {
		row, before := logp[i*classes:(i+1)*classes], 0
		for c, v := range row {
			if v > row[y] || v == row[y] && c < y {
				before++
			}
			if v != v {
				before = k
			}
		}
		if before < k {
			right++
		}
	}
	return share(right, len(labels))
}

// LogLoss is the mean negative log-probability of the labels, in nats.
func LogLoss(logp []float32, labels []int, classes int) float64 {
	sum := 0.0
	for i, y := range labels {
		sum -= float64(logp[i*classes+y])
	}
	return sum / max(float64(len(labels)), 1)
}

// MultiAccuracy is the share of the n*classes decisions p > threshold that equal
// the targets (above .5 counts as yes), for several labels an image.
func MultiAccuracy(logp, targets []float32, threshold float64) float64 {
	right := 0
	for i, v := range logp {
		if v == v && (math.Exp(float64(v)) > threshold) == (targets[i] > .5) {
			right++
		}
	}
	return share(right, len(logp))
}

// MultiLogLoss is the mean binary cross-entropy over all n*classes decisions,
// from log-sigmoids.
func MultiLogLoss(logp, targets []float32) float64 {
	sum := 0.0
	for i, v := range logp {
		t, p := float64(targets[i]), float64(v)
		sum -= t*p + (1-t)*math.Log(max(-math.Expm1(p), 1e-38)) // float32 knows no smaller 1-p
	}
	return sum / max(float64(len(logp)), 1)
}

// Wilson is the 95 % score interval of a share observed in n trials.
// Source: Wilson 1927, z = 1.959964.
func Wilson(share float64, n int) (lo, hi float64) {
	if n == 0 {
		return 0, 1
	}
	const z = 1.959963984540054
	m := float64(n)
	centre := (share + z*z/(2*m)) / (1 + z*z/m)
	half := z / (1 + z*z/m) * math.Sqrt(share*(1-share)/m+z*z/(4*m*m))
	return max(centre-half, 0), min(centre+half, 1)
}

// AUC is the area under the ROC curve of scores for two classes: the chance that
// a positive scores above a negative, ties counting half. It is not defined, and
// ok is false, where one class is absent.
// Source: Mann and Whitney 1947, by mid-ranks.
func AUC(scores []float32, positive []bool) (auc float64, ok bool) {
	order := make([]int, len(scores))
	for i := range order {
		order[i] = i
	}
	sort.Slice(order, func(a, b int) bool { return scores[order[a]] < scores[order[b]] })
	ranks, positives := 0.0, 0.0
	for lo := 0; lo < len(order); {
		hi := lo + 1
		for hi < len(order) && scores[order[hi]] == scores[order[lo]] {
			hi++
		}
		for _, k := range order[lo:hi] {
			if positive[k] {
				positives++
				ranks += float64(lo+hi+1) / 2 // mid-rank of the tie, from 1
			}
		}
		lo = hi
	}
	negatives := float64(len(scores)) - positives
	if positives == 0 || negatives == 0 {
		return 0, false
	}
	return (ranks - positives*(positives+1)/2) / (positives * negatives), true
}

func share(part, whole int) float64 {
	if whole == 0 {
		return 0
	}
	return float64(part) / float64(whole)
}
