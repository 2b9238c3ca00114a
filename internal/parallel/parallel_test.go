package parallel

import (
	"fmt"
	"slices"
	"sync"
	"testing"
)

// Each index comes once, whatever the number of workers.
func TestFor(t *testing.T) {
	for _, n := range []int{0, 1, 2, 100} {
		for _, workers := range []int{0, 1, 3, 200} {
			var mu sync.Mutex
			var got []int
			For(n, workers, func(i int) {
				mu.Lock()
				got = append(got, i)
				mu.Unlock()
			})
			slices.Sort(got)
			if len(got) != n || n > 0 && (got[0] != 0 || got[n-1] != n-1) || len(slices.Compact(got)) != n {
				t.Errorf("%d by %d: %v", n, workers, got)
			}
		}
	}
}

func Example() {
	squares := make([]int, 5)
	For(len(squares), 0, func(i int) { squares[i] = i * i })
	fmt.Println(squares)
	// Output: [0 1 4 9 16]
}
