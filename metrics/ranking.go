package metrics

import "sort"

// MostCorrect returns up to k rows of class y that are called y, those surest of
// it first. Ties keep the order of rows, here and below.
func MostCorrect(logp []float32, labels []int, classes, y, k int) []int {
	return rank(logp, labels, classes, y, true, k)
}

// MostIncorrect returns up to k rows of class y that are called another, those
// that gave y the least probability first.
func MostIncorrect(logp []float32, labels []int, classes, y, k int) []int {
	return rank(logp, labels, classes, y, false, k)
}

func rank(logp []float32, labels []int, classes, y int, correct bool, k int) []int {
	var rows []int
	for i, p := range Argmax(logp, classes) {
		if labels[i] == y && (p == y) == correct {
			rows = append(rows, i)
		}
	}
	sort.SliceStable(rows, func(a, b int) bool {
		pa, pb := logp[rows[a]*classes+y], logp[rows[b]*classes+y]
		if correct {
			return pa > pb
		}
		return pa < pb
	})
	return rows[:min(k, len(rows))]
}

// MostUncertain returns up to k rows whose highest probability is the smallest,
// which for two classes is fast.ai's smallest |p-.5|.
func MostUncertain(logp []float32, classes, k int) []int {
	top := make([]float32, len(logp)/classes)
	rows := make([]int, len(top))
	for i, c := range Argmax(logp, classes) {
		top[i], rows[i] = logp[i*classes+c], i
	}
	sort.SliceStable(rows, func(a, b int) bool { return top[rows[a]] < top[rows[b]] })
	return rows[:min(k, len(rows))]
}

// ByCorrect returns the rows that are called right (correct) or wrong, in order;
// the caller draws from them.
func ByCorrect(logp []float32, labels []int, classes int, correct bool) []int {
	var rows []int
	for i, p := range Argmax(logp, classes) {
		if (p == labels[i]) == correct {
			rows = append(rows, i)
		}
	}
	return rows
}
