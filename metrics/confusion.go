package metrics

// Confusion counts rows by true class (first index) and most probable class
// (second), always classes x classes.
func Confusion(logp []float32, labels []int, classes int) [][]int {
	cm := make([][]int, classes)
	for c := range cm {
		cm[c] = make([]int, classes)
	}
	for i, p := range Argmax(logp, classes) {
		cm[labels[i]][p]++
	}
	return cm
}

// Score is how well one class is told from the others.
type Score struct {
	Precision float64 `json:"precision"` // of the rows called this class, the share that is
	Recall    float64 `json:"recall"`    // of the rows of this class, the share called so
	F1        float64 `json:"f1"`        // harmonic mean of the two
	Support   int     `json:"support"`   // rows of this class
}

// PerClass returns the score of each class; a share of no rows is 0, as in scikit-learn.
func PerClass(cm [][]int) []Score {
	out := make([]Score, len(cm))
	for c := range cm {
		called := 0
		for t := range cm {
			called += cm[t][c]
			out[c].Support += cm[c][t]
		}
		out[c].Precision = share(cm[c][c], called)
		out[c].Recall = share(cm[c][c], out[c].Support)
		out[c].F1 = share(2*cm[c][c], called+out[c].Support)
	}
	return out
}
