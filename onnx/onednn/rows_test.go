//go:build linux && amd64

package onednn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"finetune/onnx/graph"
)

// normal is a batch normalisation with what follows it, in float64, over [n, c, h, w].
type normal struct {
	n, c, pixels int
	y, z         []float64 // after the limits, and before
	mean, vari   []float64
}

const epsilon = 1e-5

func normalise(x, scale, bias, sum array, low, high float64) normal {
	m := normal{n: int(x.shape[0]), c: int(x.shape[1]), pixels: int(x.shape[2] * x.shape[3])}
	m.mean, m.vari = make([]float64, m.c), make([]float64, m.c)
	count := float64(m.n * m.pixels)
	m.each(func(i, c int) { m.mean[c] += float64(x.data[i]) / count })
	m.each(func(i, c int) { m.vari[c] += math.Pow(float64(x.data[i])-m.mean[c], 2) / count })
	m.y, m.z = make([]float64, len(x.data)), make([]float64, len(x.data))
	m.each(func(i, c int) {
		m.z[i] = (float64(x.data[i])-m.mean[c])/math.Sqrt(m.vari[c]+epsilon)*float64(scale.data[c]) + float64(bias.data[c])
		if sum.data != nil {
			m.z[i] += float64(sum.data[i])
		}
		m.y[i] = min(max(m.z[i], low), high)
	})
	return m
}

// each calls f for every number, with its channel.
func (m normal) each(f func(i, c int)) {
	for i := range m.n * m.c * m.pixels {
		f(i, i/m.pixels%m.c)
	}
}

func TestBatchNorm(t *testing.T) {
	start(t)
	inf := math.Inf(1)
	for _, p := range precisions {
		for _, k := range []struct {
			n, c, h, w int64
			sum        bool
			low, high  float64
		}{{2, 16, 5, 5, false, -inf, inf}, {3, 7, 6, 5, false, 0, inf}, {2, 40, 9, 9, true, 0, inf},
			{4, 33, 3, 3, true, 0, 1}, {8, 64, 14, 14, true, 0, inf}, {9, 8, 1, 1, false, 0, inf}} {
			t.Run(fmt.Sprint(p.domain, k), func(t *testing.T) {
				r := rand.New(rand.NewPCG(4, uint64(k.c)))
				x, scale, bias := random(r, k.n, k.c, k.h, k.w), random(r, k.c), random(r, k.c)
				dy, dy2, guess, sum := random(r, k.n, k.c, k.h, k.w), random(r, k.n, k.c, k.h, k.w), random(r, k.c), array{}
				if k.sum {
					sum = random(r, k.n, k.c, k.h, k.w)
				}
				want := normalise(x, scale, bias, sum, k.low, k.high)
				tr := newTrial(p.domain)
				attrs := []graph.Attr{graph.Float("epsilon", epsilon), graph.Float("low", float32(k.low)),
					graph.Float("high", float32(k.high))}
				tx, ts, tb := tr.enter(x), tr.input(scale), tr.input(bias)
				in, second, outs := []string{tx, ts, tb, tr.input(guess)}, "", []string{"dx", "dscale", "dbias"}
				if k.sum {
					in, second, outs = append(in, tr.enter(sum)), tr.enter(dy2), append(outs, "dsum")
				} else {
					dy2.data = make([]float32, len(dy.data))
				}
				tr.NodeN(p.domain+".BatchNorm", in, []string{"y", "mean", "variance"}, attrs...)
				tr.NodeN(p.domain+".BatchNormGrad", []string{tr.enter(dy), second, tx, "y", ts, "mean", "variance"}, outs, attrs...)
				tr.leave("y")
				tr.leave("dx")
				for _, name := range []string{"mean", "variance", "dscale", "dbias"} {
					tr.output(name, 1)
				}
				if k.sum {
					tr.leave("dsum")
				}
				got := tr.run(t)
				near(t, "y", got[0], want.y, p.eps)
				near(t, "mean", got[2], want.mean, 1e-5)
				near(t, "variance", got[3], want.vari, 1e-5)

				// the mask is of y as T holds it: at a limit there is no gradient
				g, t1, t2 := make([]float64, len(x.data)), make([]float64, k.c), make([]float64, k.c)
				dx, dscale := make([]float64, len(x.data)), make([]float64, k.c)
				want.each(func(i, c int) {
					if y := float64(got[0][i]); y > k.low && y < k.high {
						g[i] = float64(float32(float64(dy.data[i]) + float64(dy2.data[i])))
					}
					t1[c] += g[i]
					t2[c] += g[i] * (float64(x.data[i]) - want.mean[c])
				})
				count := float64(want.n * want.pixels)
				want.each(func(i, c int) {
					inv := 1 / math.Sqrt(want.vari[c]+epsilon)
					dx[i] = float64(scale.data[c]) * inv * (g[i] - t1[c]/count - (float64(x.data[i])-want.mean[c])*inv*inv*t2[c]/count)
					dscale[c] = t2[c] * inv
				})
				near(t, "dx", got[1], dx, 2*p.eps)
				near(t, "dscale", got[4], dscale, 2*p.eps)
				near(t, "dbias", got[5], t1, p.eps)
				if k.sum {
					near(t, "dsum", got[6], g, p.eps)
				}
			})
		}
	}
}

func TestSmallOnes(t *testing.T) {
	start(t)
	for _, p := range precisions {
		for _, shape := range [][]int64{{2, 3, 5, 7}, {1, 40, 33, 31}, {3, 16, 1, 1}} {
			r := rand.New(rand.NewPCG(6, 6))
			a, b := random(r, shape...), random(r, shape...)
			tr := newTrial(p.domain)
			limits := []graph.Attr{graph.Float("low", 0), graph.Float("high", 0.5)}
			ta, tb := tr.enter(a), tr.enter(b)
			tr.leave(ta)
			tr.leave(tr.Node(p.domain+".Add", "", []string{ta, tb}))
			tr.leave(tr.Node(p.domain+".Clip", "", []string{ta}, limits...))
			tr.leave(tr.Node(p.domain+".ClipGrad", "", []string{tb, tb, ta}, limits...))
			tr.leave(tr.Node(p.domain+".ClipGrad", "", []string{tb, "", ta}, limits...))
			tr.leave(tr.Node(p.domain+".Narrow", "", []string{tr.Node(p.domain+".Widen", "", []string{ta})}))
			tr.output(tr.Node(p.domain+".ChannelSum", "sums", []string{ta}), 1)
			got := tr.run(t)
			want := make([][]float64, 7)
			for i := range want {
				want[i] = make([]float64, len(a.data))
			}
			want[6] = make([]float64, shape[1])
			for i, v := range a.data {
				x, d := float64(v), float64(b.data[i])
				if x <= 0 || x >= 0.5 {
					d = 0
				}
				want[0][i], want[1][i], want[2][i] = x, x+float64(b.data[i]), min(max(x, 0), 0.5)
				want[3][i], want[4][i], want[5][i] = 2*d, d, x
				want[6][i/int(shape[2]*shape[3])%int(shape[1])] += x
			}
			for i, w := range want {
				near(t, fmt.Sprint(p.domain, shape, " output ", i), got[i], w, p.eps)
			}
		}
	}
}

func TestMaxPool(t *testing.T) {
	start(t)
	for _, p := range precisions {
		for _, g := range []geometry{pair(2, 16, 9, 8, 16, 3, 2, 1, 16), pair(1, 5, 6, 6, 5, 2, 2, 0, 5),
			pair(2, 64, 7, 7, 64, 3, 1, 1, 64)} {
			r := rand.New(rand.NewPCG(7, 7))
			oh, ow := g.out()
			x, dy := random(r, g.n, g.c, g.h, g.w), random(r, g.n, g.c, oh, ow)
			y, at, dx := make([]float64, size(dy.shape)), make([]int64, size(dy.shape)), make([]float64, size(x.shape))
			for i := range y {
				y[i] = math.Inf(-1)
			}
			g.each(func(a, _, c int64) {
				if v := float64(x.data[a]); v > y[c] {
					y[c], at[c] = v, a
				}
			})
			for i, a := range at {
				dx[a] += float64(dy.data[i])
			}
			tr := newTrial(p.domain)
			tx, tdy := tr.enter(x), tr.enter(dy)
			tr.NodeN(p.domain+".MaxPool", []string{tx}, []string{"y", "place"}, append(g.attrs(), graph.Ints("size", oh, ow))...)
			tr.leave("y")
			tr.leave(tr.Node(p.domain+".MaxPoolGrad", "", []string{tdy, "place"},
				append(g.attrs(), graph.Ints("size", g.h, g.w))...))
			got := tr.run(t)
			near(t, "y", got[0], y, 1e-7)
			near(t, "dx", got[1], dx, p.eps)
		}
	}
}
