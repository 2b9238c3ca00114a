package term

import (
	"math"
	"testing"
	"time"
)

func TestProgressLine(t *testing.T) {
	for _, tt := range []struct {
		n, total int
		since    time.Duration
		want     string
	}{
		{0, 12, 6 * time.Second, "features 0/12"}, // not yet known how long each takes
		{0, 0, 6 * time.Second, "features 0/0"},
		{3, 12, 6 * time.Second, "features 3/12, 0.5 images/s, 18s left"},
		{12, 12, 6 * time.Second, "features 12/12, 2.0 images/s, 0s left"},
		{13, 12, 6 * time.Second, "features 13/12, 2.2 images/s, 0s left"},
		{1, math.MaxInt, time.Hour, "features 1/9223372036854775807, 0.0 images/s, 277777h46m40s left"},
	} {
		if got := progressLine("features", "images", tt.n, tt.total, tt.since); got != tt.want {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
	for _, rate := range []float64{math.NaN(), math.Inf(1)} {
		if got := PerSecond(rate, "images"); got != "0.0 images/s" {
			t.Errorf("%v: %q", rate, got)
		}
	}
}
