package schedule

import "math"

// Smoothed is the running loss that fast.ai prints as trn_loss, an exponential
// average without its bias towards 0:
//
//	a = .98*a + .02*loss;  shown = a / (1 - .98^count)
//
// It runs through a whole fit and is not reset by epoch. The zero value is ready;
// its fields are its state.
type Smoothed struct {
	Average float64 `json:"average"` // a
	Count   int     `json:"count"`   // losses seen
}

// Add takes the loss of one batch and returns the smoothed loss.
func (s *Smoothed) Add(loss float64) float64 {
	s.Average = .98*s.Average + .02*loss
	s.Count++
	return s.Value()
}

// Value is the smoothed loss, NaN before the first Add.
func (s *Smoothed) Value() float64 { return s.Average / (1 - math.Pow(.98, float64(s.Count))) }
