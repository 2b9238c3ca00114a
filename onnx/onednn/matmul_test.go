//go:build linux && amd64

package onednn_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"finetune/onnx/graph"
)

func TestMatMul(t *testing.T) {
	start(t)
	for _, p := range precisions {
		for i, c := range []struct {
			stack          []int64
			m, k, n        int64
			one, ta, tb, c bool
		}{{nil, 7, 40, 33, true, false, false, true}, {[]int64{3}, 5, 64, 16, true, false, true, true},
			{[]int64{2, 3}, 9, 32, 17, false, false, true, false}, {[]int64{2, 3}, 9, 32, 17, false, true, false, false},
			{nil, 48, 5, 64, true, true, false, false}, {[]int64{2}, 1, 1, 1, true, false, false, true}} {
			r := rand.New(rand.NewPCG(8, uint64(i)))
			last := func(rows, columns int64, transposed bool) []int64 {
				if transposed {
					rows, columns = columns, rows
				}
				return []int64{rows, columns}
			}
			stacks := append([]int64(nil), c.stack...)
			a := random(r, append(stacks, last(c.m, c.k, c.ta)...)...)
			b, bias := random(r, last(c.k, c.n, c.tb)...), array{}
			if !c.one {
				b = random(r, append(append([]int64(nil), c.stack...), last(c.k, c.n, c.tb)...)...)
			}
			flag := map[bool]int64{true: 1}
			tr := newTrial(p.domain)
			in := []string{tr.input(a), tr.input(b)}
			if c.c {
				bias = random(r, c.n)
				in = append(in, tr.input(bias))
			}
			tr.output(tr.Node(p.domain+".MatMul", "y", in, graph.Int("transA", flag[c.ta]), graph.Int("transB", flag[c.tb])),
				len(a.shape))
			want := make([]float64, int64(size(c.stack))*c.m*c.n)
			for at := range want {
				s, row, column := int64(at)/(c.m*c.n), int64(at)/c.n%c.m, int64(at)%c.n
				if c.c {
					want[at] = float64(bias.data[column])
				}
				for x := range c.k {
					i, j := row*c.k+x, x*c.n+column
					if c.ta {
						i = x*c.m + row
					}
					if c.tb {
						j = column*c.k + x
					}
					if !c.one {
						j += s * c.k * c.n
					}
					want[at] += float64(a.data[s*c.m*c.k+i]) * float64(b.data[j])
				}
			}
			near(t, fmt.Sprint(p.domain, c), tr.run(t)[0], want, 1e-5) // operands that bfloat16 holds, sums in float32
		}
	}
}
