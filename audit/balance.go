package audit

import (
	"cmp"
	"fmt"
	"slices"
)

// Imbalance is a class with few photographs.
type Imbalance struct {
	Class   int
	Share   float64 // its training photographs over those of the largest class
	Flagged bool
	Why     string
}

const (
	fewOfClass = 10 // training photographs
	fewShare   = .1 // of the largest class
)

// Balance looks at the numbers of training and validation photographs of each class, the
// smallest first. Flagged are classes with fewer than ten training photographs, a tenth of the
// largest class's or less, or none to validate on.
func Balance(train, valid []int) []Imbalance {
	var out []Imbalance
	largest := max(slices.Max(append([]int{0}, train...)), 1)
	for c, n := range train {
		b := Imbalance{Class: c, Share: float64(n) / float64(largest)}
		b.Why = fmt.Sprintf("%d to train, %d to validate", n, valid[c])
		switch {
		case n < fewOfClass:
			b.Flagged = true
		case b.Share <= fewShare:
			b.Flagged = true
			b.Why += fmt.Sprintf(", 1 for %.0f of the largest class", 1/b.Share)
		case valid[c] == 0:
			b.Flagged = true
		}
		out = append(out, b)
	}
	slices.SortStableFunc(out, func(a, b Imbalance) int { return cmp.Compare(a.Share, b.Share) })
	return out
}
