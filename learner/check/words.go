package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"finetune/internal/naming"
)

// mostOf says what is counted, the most frequent first, at most four.
func mostOf(count map[string]int) string {
	names := slices.Sorted(maps.Keys(count))
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(count[b], count[a]) })
	for k, name := range names {
		names[k] = fmt.Sprintf("%d %s", count[name], name)
	}
	return someOf(names)
}

func someOf(words []string) string { return naming.Few(words, 4) }

func sum(count map[string]int) (n int) {
	for _, k := range count {
		n += k
	}
	return n
}

// failKinds are what a data set can be refused for, and the rows that count.
var failKinds = []struct {
	name string
	n    func(*Result) int
}{
	{"leakage", func(r *Result) int { return r.Leaking }},
	{"labels", func(r *Result) int { return r.flagged(Label) }},
	{"copies", func(r *Result) int { return r.flagged(Copy) }},
	{"sequences", func(r *Result) int { return r.flagged(Sequence) }},
	{"metadata", func(r *Result) int { return r.flagged(Metadata) }},
	{"odd", func(r *Result) int { return r.flagged(Odd) }},
	{"basics", func(r *Result) int { return r.flagged(Basic) }},
	{"balance", func(r *Result) int { return r.flagged(Balance) }},
}

// FailKinds are the names that Count takes: leakage are held-out photographs that training
// has as well, the others the flagged rows of a kind.
func FailKinds() (names []string) {
	for _, k := range failKinds {
		names = append(names, k.name)
	}
	return names
}

// Count is how many faults of a kind of FailKinds there are.
func (r *Result) Count(kind string) int {
	for _, k := range failKinds {
		if k.name == kind {
			return k.n(r)
		}
	}
	return 0
}

func (r *Result) flagged(kind string) (n int) {
	for _, row := range r.Flagged {
		if row.Kind == kind {
			n++
		}
	}
	return n
}
