package head

import (
	"fmt"
	"math"
	"testing"

	"finetune/internal/rng"
)

// oracle is the loss of one training step in float64, the plainest way: no
// panels, nothing fused, row by row.
type oracle struct {
	config Config
	loss   Loss
	rows   [][]float32
	batch  Batch
	seed   uint64
}

// at returns the loss with the parameters p, four a block.
func (o oracle) at(p [][]float64) float64 {
	x := make([][]float64, len(o.rows))
	for i, r := range o.rows {
		for _, v := range r {
			x[i] = append(x[i], float64(v))
		}
	}
	for k := range len(p) / 4 {
		o.normalizeAndDrop(k, x, p[4*k], p[4*k+1])
		w, b := p[4*k+2], p[4*k+3]
		for i, r := range x {
			y := append([]float64(nil), b...)
			for c := range y {
				for j, v := range r {
					y[c] += w[c*len(r)+j] * v
				}
				if k+1 < len(p)/4 {
					y[c] = max(y[c], 0)
				}
			}
			x[i] = y
		}
	}
	return o.crossEntropy(x)
}

func (o oracle) normalizeAndDrop(k int, x [][]float64, gamma, beta []float64) {
	n := float64(len(x))
	d := Dropout{o.config.Drop[k]}
	mask := make([]uint64, len(gamma)*((len(x)+63)/64))
	d.mask(mask, *rng.New(o.seed, rng.Text("head.dropout"), uint64(k), 0))
	for j := range gamma {
		mean, variance := 0.0, 0.0
		for i := range x {
			mean += x[i][j] / n
		}
		for i := range x {
			variance += (x[i][j] - mean) * (x[i][j] - mean) / n
		}
		for i := range x {
			x[i][j] = gamma[j]*(x[i][j]-mean)/math.Sqrt(variance+1e-5) + beta[j]
			if mask[j*((len(x)+63)/64)+i/64]>>(i%64)&1 == 0 {
				x[i][j] = 0
			}
			x[i][j] /= 1 - d.P
		}
	}
}

func (o oracle) crossEntropy(z [][]float64) float64 {
	total, norm, c := 0.0, 0.0, o.config.Classes
	for i, row := range z {
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(v)
		}
		if o.config.Multi {
			for j, v := range row {
				t := float64(o.batch.Targets[i*c+j])*(1-o.loss.Smoothing) + o.loss.Smoothing/2
				total -= o.loss.weight(j) * (t*math.Log(1/(1+math.Exp(-v))) + (1-t)*math.Log(1/(1+math.Exp(v))))
			}
			norm += float64(c)
			continue
		}
		for j, v := range row {
			t := o.loss.Smoothing / float64(c)
			if j == o.batch.Labels[i] {
				t += 1 - o.loss.Smoothing
				norm += o.loss.weight(j)
			}
			total -= t * o.loss.weight(j) * (v - math.Log(sum))
		}
	}
	return total / norm
}

// Every gradient, with dropout on, against central differences of the oracle.
func TestGradientsAgainstCentralDifferences(t *testing.T) {
	const h, tolerance = 1e-6, 1e-5
	for _, tt := range []struct {
		hidden []int
		multi  bool
		loss   Loss
	}{
		{hidden: []int{11}},
		{hidden: []int{9, 18}, loss: Loss{Smoothing: .2, Weights: []float32{1, 3, .5}}},
		{loss: Loss{Smoothing: .1}},
		{hidden: []int{11}, multi: true, loss: Loss{Smoothing: .1, Weights: []float32{1, 3, .5}}},
	} {
		for _, p := range []Products{nil, Gonum{}} {
			t.Run(fmt.Sprintf("%+v native=%v", tt, p == nil), func(t *testing.T) {
				head, err := New(Config{In: 13, Hidden: tt.hidden, Classes: 3, Multi: tt.multi, Seed: 4})
				if err != nil {
					t.Fatal(err)
				}
				head.SetProducts(p)
				tr, err := NewTrainer(head, Options{Loss: tt.loss, Seed: 8})
				if err != nil {
					t.Fatal(err)
				}
				b := Batch{Targets: uniform("targets", 70*3, 0, 1)}
				b.Rows, b.Labels = blobs(70, 13, 3, 1)
				o := oracle{head.Config, tt.loss, b.Rows, b, 8}
				at := make([][]float64, len(head.parameters()))
				for i, q := range head.parameters() {
					for _, v := range q.Data {
						at[i] = append(at[i], float64(v))
					}
				}
				if got, want := step(t, tr, b, Rates{Momentum: .9}), o.at(at); math.Abs(got-want) > 1e-6 {
					t.Errorf("loss %.9g, the oracle gives %.9g", got, want)
				}
				for i, q := range head.parameters() {
					got := tr.update.state()[0].buffers[i]
					for j, v := range at[i] {
						at[i][j] = v + h
						up := o.at(at)
						at[i][j] = v - h
						want := (up - o.at(at)) / (2 * h)
						at[i][j] = v
						if math.Abs(float64(got[j])-want) > tolerance {
							t.Fatalf("gradient of %s[%d] = %.9g, central differences give %.9g (tolerance %g)", q.Name, j, got[j], want,
								tolerance)
						}
					}
				}
			})
		}
	}
}
