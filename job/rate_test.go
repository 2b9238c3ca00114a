package job

import (
	"math"
	"testing"
	"time"
)

func TestRateDoesNotCountPausesAndClocksThatJump(t *testing.T) {
	start := time.Date(2026, 11, 28, 0, 0, 0, 0, time.UTC)
	jumps := map[string]time.Duration{"steady": 0, "a night": 9 * time.Hour, "a year": 365 * 24 * time.Hour}
	for name, jump := range jumps {
		var times []stamp
		for i := range 30 {
			at := start.Add(time.Duration(i) * 10 * time.Second)
			if i >= 20 {
				at = at.Add(jump)
			}
			times = append(times, stamp{at, 1000})
		}
		if got := rate(times, 20*time.Second); math.Abs(got-100) > 1 {
			t.Errorf("%s: %v rows a second, want 100", name, got)
		}
	}
	var bursts []stamp // eight workers in step
	for i := range 40 {
		at := start.Add(time.Duration(i/8)*time.Minute + time.Duration(i%8)*time.Millisecond)
		bursts = append(bursts, stamp{at, 600})
	}
	if got := rate(bursts, time.Minute); math.Abs(got-80) > 20 {
		t.Errorf("bursts: %v rows a second, want 80", got)
	}
	for _, few := range [][]stamp{nil, {{start, 1}}, {{start, 1}, {start, 1}}, {{start, 1}, {start, 1}, {start, 1}}} {
		if got := rate(few, 0); got != 0 {
			t.Errorf("%v: %v", few, got)
		}
	}
}

func TestCost(t *testing.T) {
	s := Status{Rows: 1000, LoggedRows: 100, WorkerSeconds: 36}
	if sofar, all := s.Cost(.5); math.Abs(sofar-.005) > 1e-12 || math.Abs(all-.05) > 1e-12 {
		t.Error(sofar, all)
	}
	if sofar, all := (Status{Rows: 10}).Cost(1); sofar != 0 || all != 0 {
		t.Error(sofar, all)
	}
}
