package dims

import "testing"

func TestProduct(t *testing.T) {
	for _, c := range []struct {
		shape []int64
		want  int64
	}{
		{nil, 1}, {[]int64{}, 1}, {[]int64{3}, 3}, {[]int64{2, 3, 4}, 24}, {[]int64{2, 0}, 0}, {[]int64{-1, 2}, -1},
		{[]int64{2, -1}, -1},
		{[]int64{-1, -2}, -1}, {[]int64{0, -1}, -1}, {[]int64{1 << 62, 2}, -1}, {[]int64{1 << 40, 1 << 40}, -1},
		{[]int64{1<<63 - 1}, 1<<63 - 1},
		{[]int64{1<<63 - 1, 1}, 1<<63 - 1},
	} {
		if got := Product(c.shape); got != c.want {
			t.Errorf("%v: %d, want %d", c.shape, got, c.want)
		}
	}
}
