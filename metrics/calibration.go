package metrics

import "math"

// Bin holds the rows whose highest probability lies in (Lo, Hi].
type Bin struct {
	Lo         float64 `json:"lo"`
	Hi         float64 `json:"hi"`
	Rows       int     `json:"rows"`
	Confidence float64 `json:"confidence"` // mean highest probability
	Accuracy   float64 `json:"accuracy"`
}

// Calibration sorts rows into bins of equal width by their highest probability
// and returns the expected calibration error, the mean of |Accuracy-Confidence|
// over rows. Source: Guo et al. 2017, equation 3.
func Calibration(logp []float32, labels []int, classes, bins int) (ece float64, list []Bin) {
	list = make([]Bin, bins)
	for b := range list {
		list[b].Lo, list[b].Hi = float64(b)/float64(bins), float64(b+1)/float64(bins)
	}
	for i, c := range Argmax(logp, classes) {
		p := math.Exp(float64(logp[i*classes+c]))
		b := &list[min(max(int(math.Ceil(p*float64(bins)))-1, 0), bins-1)]
		b.Rows++
		b.Confidence += p
		if c == labels[i] {
			b.Accuracy++
		}
	}
	for k := range list {
		b := &list[k]
		if b.Rows > 0 {
			ece += math.Abs(b.Accuracy-b.Confidence) / float64(len(labels))
			b.Confidence /= float64(b.Rows)
			b.Accuracy /= float64(b.Rows)
		}
	}
	return ece, list
}
