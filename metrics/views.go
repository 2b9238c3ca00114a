package metrics

import "math"

// leastMean keeps a logarithm finite where averaged probabilities vanish.
const leastMean = 1e-12

// ViewMean is the mean of the probabilities of n augmented views and of the centre
// view, which counts ceil(n/4) times (test-time augmentation of fast.ai 0.7).
type ViewMean struct {
	views int
	sum   []float64
}

// NewViewMean begins a mean over n augmented views of so many log-probabilities.
func NewViewMean(n, length int) *ViewMean { return &ViewMean{n, make([]float64, length)} }

func (m *ViewMean) centreWeight() int { return (m.views + 3) / 4 }

// Centre adds the log-probabilities of the centre view.
func (m *ViewMean) Centre(logp []float32) { m.add(logp, float64(m.centreWeight())) }

// View adds the log-probabilities of an augmented view.
func (m *ViewMean) View(logp []float32) { m.add(logp, 1) }

func (m *ViewMean) add(logp []float32, weight float64) {
	for i, v := range logp {
		m.sum[i] += weight * math.Exp(float64(v))
	}
}

// LogProbabilities is the logarithm of the mean, once all views were added.
func (m *ViewMean) LogProbabilities() []float32 { return LogMean(m.sum, m.centreWeight()+m.views) }

// LogMean is the logarithm of sums of n probabilities each, over n. It is finite.
func LogMean[T float32 | float64](sum []T, n int) []float32 {
	out := make([]float32, len(sum))
	for i, p := range sum {
		out[i] = float32(math.Log(max(float64(p)/float64(n), leastMean)))
	}
	return out
}
