package term

import (
	"fmt"
	"math"
	"time"

	"github.com/schollz/progressbar/v3"
)

// Progress returns a function that shows how far a job of `total` units is: a
// bar with rate and time left on a terminal, a line every five seconds
// elsewhere, nothing when quiet. Call done at the end.
func (c *Console) Progress(what, unit string) (report func(done, total int), done func()) {
	if c.Quiet {
		return func(int, int) {}, func() {}
	}
	if terminal(c.Err) {
		return c.bar(what, unit)
	}
	return c.lines(what, unit)
}

func (c *Console) bar(what, unit string) (func(int, int), func()) {
	var bar *progressbar.ProgressBar
	report := func(n, total int) {
		if bar == nil {
			bar = progressbar.NewOptions(total,
				progressbar.OptionSetWriter(c.Err), progressbar.OptionSetDescription(what), progressbar.OptionSetItsString(unit),
				progressbar.OptionShowIts(), progressbar.OptionShowCount(), progressbar.OptionSetPredictTime(true),
				progressbar.OptionSetWidth(24), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		if bar.GetMax() != total {
			bar.ChangeMax(total)
		}
		bar.Set(n)
	}
	return report, func() {
		if bar != nil {
			bar.Finish()
		}
	}
}

// lineEvery is how often a job that is not on a terminal says how far it is.
const lineEvery = 5 * time.Second

func (c *Console) lines(what, unit string) (func(int, int), func()) {
	start, last := time.Now(), time.Now()
	report := func(n, total int) {
		if time.Since(last) < lineEvery || n < total/20 {
			return
		}
		last = time.Now()
		c.Say("%s", progressLine(what, unit, n, total, time.Since(start)))
	}
	return report, func() {}
}

// progressLine says how far a job is: before its first unit is done, nobody knows how
// long it takes.
func progressLine(what, unit string, n, total int, since time.Duration) string {
	if n <= 0 || since <= 0 {
		return fmt.Sprintf("%s %d/%d", what, n, total)
	}
	left := min(math.Round(float64(max(total-n, 0))/float64(n)*since.Seconds()), 1e9) // more is no time to wait
	return fmt.Sprintf("%s %d/%d, %s, %s left", what, n, total, PerSecond(float64(n)/since.Seconds(), unit),
		time.Duration(left)*time.Second)
}

// PerSecond shows a rate, in units a second.
func PerSecond(rate float64, unit string) string {
	if math.IsNaN(rate) || math.IsInf(rate, 0) { // of no time at all
		rate = 0
	}
	if rate < 10 {
		return fmt.Sprintf("%.1f %s/s", rate, unit)
	}
	return fmt.Sprintf("%.0f %s/s", rate, unit)
}
