//go:build linux && amd64

package onednn_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"finetune/onnx/graph"
)

// geometry is a convolution of the tests.
type geometry struct {
	n, c, h, w, o, kh, kw int64
	strides, dilations    []int64
	pads                  []int64
	group                 int64
}

func (g geometry) attrs() []graph.Attr {
	return []graph.Attr{graph.Ints("kernel_shape", g.kh, g.kw), graph.Ints("strides", g.strides...),
		graph.Ints("dilations", g.dilations...), graph.Ints("pads", g.pads...), graph.Int("group", g.group)}
}

func (g geometry) out() (int64, int64) {
	return (g.h+g.pads[0]+g.pads[2]-(g.kh-1)*g.dilations[0]-1)/g.strides[0] + 1,
		(g.w+g.pads[1]+g.pads[3]-(g.kw-1)*g.dilations[1]-1)/g.strides[1] + 1
}

// each calls f for every product of the convolution with the places of x, filter and y.
func (g geometry) each(f func(x, w, y int64)) {
	oh, ow := g.out()
	ci, co := g.c/g.group, g.o/g.group
	for n := range g.n {
		for o := range g.o {
			for y := range oh {
				for x := range ow {
					for c := range ci {
						for i := range g.kh {
							for j := range g.kw {
								iy := y*g.strides[0] - g.pads[0] + i*g.dilations[0]
								ix := x*g.strides[1] - g.pads[1] + j*g.dilations[1]
								if iy < 0 || ix < 0 || iy >= g.h || ix >= g.w {
									continue
								}
								f(((n*g.c+o/co*ci+c)*g.h+iy)*g.w+ix, ((o*ci+c)*g.kh+i)*g.kw+j,
									((n*g.o+o)*oh+y)*ow+x)
							}
						}
					}
				}
			}
		}
	}
}

// pair is a geometry with the same of both axes but where it says otherwise.
func pair(n, c, h, w, o, k, stride, pad, group int64) geometry {
	return geometry{n: n, c: c, h: h, w: w, o: o, kh: k, kw: k, strides: []int64{stride, stride},
		dilations: []int64{1, 1}, pads: []int64{pad, pad, pad, pad}, group: group}
}

// uneven is a depthwise convolution with more border behind than before.
func uneven(n, c, h, w, k, stride int64) geometry {
	g := pair(n, c, h, w, c, k, stride, (k-2)/2, c)
	g.pads[2], g.pads[3] = g.pads[2]+1, g.pads[3]+1
	return g
}

func geometries() []geometry {
	odd := pair(2, 5, 9, 7, 3, 3, 2, 1, 1)
	odd.kh, odd.pads, odd.dilations = 2, []int64{0, 2, 1, 0}, []int64{3, 1}
	return []geometry{
		pair(2, 3, 17, 15, 16, 7, 2, 3, 1), // a network's first
		pair(3, 16, 8, 8, 32, 3, 1, 1, 1),
		pair(2, 32, 7, 7, 16, 3, 2, 1, 1),
		pair(2, 32, 8, 6, 24, 1, 1, 0, 1),
		pair(2, 24, 8, 7, 40, 1, 2, 0, 1), // the last row and column are never read
		pair(2, 24, 9, 9, 24, 3, 1, 1, 24),
		pair(2, 24, 10, 9, 24, 5, 2, 2, 24),
		uneven(2, 24, 10, 8, 3, 2), // as TensorFlow pads, for which oneDNN has no depthwise kernel
		uneven(2, 40, 7, 9, 5, 2),
		pair(1, 12, 6, 6, 18, 3, 1, 1, 3),
		pair(1, 4, 5, 5, 8, 3, 1, 0, 4), // two filters a channel
		odd,
	}
}

func TestConvolutions(t *testing.T) {
	start(t)
	for _, p := range precisions {
		for i, g := range geometries() {
			t.Run(fmt.Sprintf("%s/%d", p.domain, i), func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, uint64(i)))
				oh, ow := g.out()
				x, w := random(r, g.n, g.c, g.h, g.w), random(r, g.o, g.c/g.group, g.kh, g.kw)
				dy := random(r, g.n, g.o, oh, ow)
				tr := newTrial(p.domain)
				tx, tw, tdy := tr.enter(x), tr.input(w), tr.enter(dy)
				tr.leave(tr.Node(p.domain+".Conv", "", []string{tx, tw}, g.attrs()...))
				tr.leave(tr.Node(p.domain+".ConvGradInput", "", []string{tdy, tw},
					append(g.attrs(), graph.Ints("size", g.h, g.w))...))
				tr.output(tr.Node(p.domain+".ConvGradFilter", "dw", []string{tx, tdy}, g.attrs()...), 4)
				y, dx, dw := make([]float64, size(dy.shape)), make([]float64, size(x.shape)), make([]float64, size(w.shape))
				g.each(func(a, b, c int64) {
					y[c] += float64(x.data[a]) * float64(w.data[b])
					dx[a] += float64(dy.data[c]) * float64(w.data[b])
					dw[b] += float64(dy.data[c]) * float64(x.data[a])
				})
				got := tr.run(t)
				near(t, "y", got[0], y, p.eps)
				near(t, "dx", got[1], dx, p.eps)
				near(t, "dfilter", got[2], dw, 1e-5) // float32 in both
			})
		}
	}
}

func TestConvolutionWithBiasSumAndLimits(t *testing.T) {
	start(t)
	for _, p := range precisions {
		g := pair(2, 16, 6, 6, 16, 3, 1, 1, 1)
		r := rand.New(rand.NewPCG(2, 3))
		x, w, bias, sum := random(r, 2, 16, 6, 6), random(r, 16, 16, 3, 3), random(r, 16), random(r, 2, 16, 6, 6)
		for _, with := range []struct{ bias, sum, clip bool }{{true, false, false}, {false, true, true}, {true, true, true},
			{true, false, true}} {
			tr := newTrial(p.domain)
			in := []string{tr.enter(x), tr.input(w), "", ""}
			attrs := g.attrs()
			y := make([]float64, size(sum.shape))
			g.each(func(a, b, c int64) { y[c] += float64(x.data[a]) * float64(w.data[b]) })
			if with.bias {
				in[2] = tr.input(bias)
			}
			if with.sum {
				in[3] = tr.enter(sum)
			} else {
				in = in[:3]
			}
			if with.clip {
				attrs = append(attrs, graph.Float("low", 0), graph.Float("high", 6))
			}
			for i := range y {
				if with.bias {
					y[i] += float64(bias.data[i/36%16])
				}
				if with.sum {
					y[i] += float64(sum.data[i])
				}
				if with.clip {
					y[i] = min(max(y[i], 0), 6)
				}
			}
			tr.leave(tr.Node(p.domain+".Conv", "", in, attrs...))
			near(t, fmt.Sprint(p.domain, with), tr.run(t)[0], y, p.eps)
		}
	}
}

// The same bytes from one run to the next, and pieces of work do not depend on threads.
func TestSameBytes(t *testing.T) {
	start(t)
	for _, p := range precisions {
		r := rand.New(rand.NewPCG(5, 5))
		g := pair(4, 32, 14, 14, 32, 3, 1, 1, 1)
		x, w, dy, scale, bias := random(r, 4, 32, 14, 14), random(r, 32, 32, 3, 3), random(r, 4, 32, 14, 14),
			random(r, 32), random(r, 32)
		outputs := func(threads int) [][]float32 {
			tr := newTrial(p.domain)
			tr.threads = threads
			tx, tw, tdy := tr.enter(x), tr.input(w), tr.enter(dy)
			ts, tb := tr.input(scale), tr.input(bias)
			y := tr.Node(p.domain+".Conv", "", []string{tx, tw}, g.attrs()...)
			z, mean, variance := tr.Name("z"), tr.Name("mean"), tr.Name("variance")
			tr.NodeN(p.domain+".BatchNorm", []string{y, ts, tb, tb}, []string{z, mean, variance}, graph.Float("epsilon", 1e-5))
			tr.leave(z)
			tr.leave(tr.Node(p.domain+".ConvGradInput", "", []string{tdy, tw}, append(g.attrs(), graph.Ints("size", 14, 14))...))
			tr.output(tr.Node(p.domain+".ConvGradFilter", "dw", []string{tx, tdy}, g.attrs()...), 4)
			return tr.run(t)
		}
		for _, threads := range []int{1, 2} {
			first := outputs(threads)
			for range 3 {
				for i, v := range outputs(threads) {
					if !slices.Equal(v, first[i]) {
						t.Errorf("%s, %d threads: output %d differs from one run to the next", p.domain, threads, i)
					}
				}
			}
		}
	}
}
