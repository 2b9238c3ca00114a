package runs

import (
	"finetune/calibration"
	"finetune/dataset"
	"finetune/metrics"
)

// Measure measures log-probabilities [len(items), classes] against the labels. The
// interval is of photographs with several labels too, as if each were one decision:
// the labels of one photograph do not err independently.
func Measure(logp []float32, items []dataset.Item, classes int, multi bool) Score {
	s := Score{}
	if multi {
		t := Targets(items, Indices(len(items)), classes)
		s.Loss, s.Accuracy = metrics.MultiLogLoss(logp, t), metrics.MultiAccuracy(logp, t, 0.5)
	} else {
		y := Labels(items)
		s.Loss, s.Accuracy = metrics.LogLoss(logp, y, classes), metrics.Accuracy(logp, y, classes)
	}
	s.Interval[0], s.Interval[1] = metrics.Wilson(s.Accuracy, len(items))
	return s
}

// Judged are log-probabilities [len(items), classes] beside what is true of items.
func Judged(logp []float32, items []dataset.Item, classes int, multi bool) calibration.Rows {
	if multi {
		return calibration.Rows{LogP: logp, Targets: Targets(items, Indices(len(items)), classes), Classes: classes}
	}
	return calibration.Rows{LogP: logp, Labels: Labels(items), Classes: classes}
}

// Targets are the n-hot labels [len(index), classes] of items.
func Targets(items []dataset.Item, index []int, classes int) []float32 {
	t := make([]float32, len(index)*classes)
	for k, i := range index {
		for _, c := range items[i].Labels {
			t[k*classes+c] = 1
		}
	}
	return t
}

// Labels are the labels of items, one each.
func Labels(items []dataset.Item) []int {
	y := make([]int, len(items))
	for i, it := range items {
		y[i] = it.Label
	}
	return y
}

// Indices is the index 0..n-1.
func Indices(n int) []int {
	index := make([]int, n)
	for i := range index {
		index[i] = i
	}
	return index
}

// Majority is the most frequent class of the photographs that an accuracy was
// measured on, and its share of them: the accuracy of always answering it.
type Majority struct {
	Class string  `json:"class"`
	Share float64 `json:"share"`
}

// MajorityOf is nil for photographs with several labels, or none.
func MajorityOf(items []dataset.Item, classes []string, multi bool) *Majority {
	if multi || len(items) == 0 {
		return nil
	}
	n := make([]int, len(classes))
	for _, it := range items {
		if it.Label >= 0 {
			n[it.Label]++
		}
	}
	return MajorityIn(classes, n, len(items))
}

// MajorityIn is the most frequent class, where n photographs of all have each.
func MajorityIn(classes []string, n []int, all int) *Majority {
	best := 0
	for i := range n {
		if n[i] > n[best] {
			best = i
		}
	}
	return &Majority{classes[best], float64(n[best]) / float64(all)}
}

// Finite reports whether v is a number and no infinity.
func Finite(v float64) bool { return v-v == 0 }
