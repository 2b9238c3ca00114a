package compare

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"
)

// TestPaired compares with scipy and numpy: testdata/reference/compare_paired.py.
func TestPaired(t *testing.T) {
	data, err := os.ReadFile(filepath.Join("..", "..", "testdata", "reference", "compare_paired.json"))
	if err != nil {
		t.Fatal(err)
	}
	var want struct {
		McNemar []struct {
			A int     `json:"only_a"`
			B int     `json:"only_b"`
			P float64 `json:"p"`
		} `json:"mcnemar"`
		Intervals []struct {
			A  int     `json:"only_a"`
			B  int     `json:"only_b"`
			N  int     `json:"n"`
			Lo float64 `json:"lo"`
			Hi float64 `json:"hi"`
		} `json:"intervals"`
	}
	if err := json.Unmarshal(data, &want); err != nil {
		t.Fatal(err)
	}
	if len(want.McNemar) < 10 || len(want.Intervals) < 4 {
		t.Fatal("the vectors are gone")
	}
	for _, c := range want.McNemar {
		if p := McNemar(c.A, c.B); math.Abs(p-c.P) > 1e-9*max(c.P, 1e-3) { // sums of a thousand exponentials
			t.Errorf("McNemar(%d, %d) = %.12g, scipy %.12g", c.A, c.B, p, c.P)
		}
	}
	for _, c := range want.Intervals {
		lo, hi := DifferenceInterval(c.A, c.B, c.N, 0)
		// a percentile of 10,000 draws has a standard error of a fortieth of the interval, and steps of a photograph
		if slack := (c.Hi-c.Lo)/13 + 1/float64(c.N); math.Abs(lo-c.Lo) > slack || math.Abs(hi-c.Hi) > slack {
			t.Errorf("%d, %d of %d: %.4f to %.4f, numpy %.4f to %.4f", c.A, c.B, c.N, lo, hi, c.Lo, c.Hi)
		}
		if again, _ := DifferenceInterval(c.A, c.B, c.N, 0); again != lo {
			t.Error("another interval of the same seed")
		}
	}
}

func ExampleMcNemar() {
	fmt.Printf("%.3f\n", McNemar(12, 4))
	// Output: 0.077
}
