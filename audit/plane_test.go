package audit

import (
	"math"
	"math/rand/v2"
	"testing"
)

// nearPlane are rows near a plane of three dimensions, and others that are anywhere.
func nearPlane(n, features int, odd bool) [][]float32 {
	r, axes := rand.New(rand.NewPCG(1, 2)), rand.New(rand.NewPCG(3, 4))
	if odd {
		r = rand.New(rand.NewPCG(5, 6))
	}
	directions := make([][]float64, 4)
	for k := range directions {
		for range features {
			directions[k] = append(directions[k], axes.NormFloat64())
		}
	}
	rows := make([][]float32, n)
	for i := range rows {
		row := make([]float64, features)
		for j := range row {
			row[j] = .2 * r.NormFloat64()
			if odd {
				row[j] *= 8
			}
		}
		for k, d := range directions {
			by := 3.0
			if k > 0 {
				by = r.NormFloat64()
			}
			for j, v := range d {
				row[j] += by * v
			}
		}
		for _, v := range row {
			rows[i] = append(rows[i], float32(v))
		}
	}
	return rows
}

// A plane of part of the rows takes others of their kind for what they are, but for 1 in 100,
// and finds rows of another kind.
func TestPlane(t *testing.T) {
	for _, n := range []int{300, 900} {
		rows := nearPlane(2*n, 100, false)
		p, err := NewPlane(rows[:n], nil)
		if err != nil {
			t.Fatal(err)
		}
		share := func(rows [][]float32) float64 {
			odd := 0
			for _, r := range rows {
				if p.Oddness(r) > 1 {
					odd++
				}
			}
			return float64(odd) / float64(len(rows))
		}
		if inside, outside := share(rows[n:]), share(nearPlane(n, 100, true)); inside > .03 || outside < .99 {
			t.Errorf("%d rows: %.1f %% of the same kind are odd, %.1f %% of another", n, 100*inside, 100*outside)
		}
		of, _, _, err := Odd(rows[:n], nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		beyond := 0
		for _, o := range of {
			if o.Score > 1 {
				beyond++
			}
		}
		if want := float64(n) / 100; math.Abs(float64(beyond)-want) > 1 {
			t.Errorf("%d of %d training rows are beyond the threshold", beyond, n)
		}
	}
}

func TestPlaneOfLittle(t *testing.T) {
	if p, err := NewPlane(nearPlane(7, 10, false), nil); p != nil || err != nil {
		t.Errorf("%v, %v", p, err)
	}
	same := make([][]float32, 30)
	for i := range same {
		same[i] = []float32{1, 2, 3, 4}
	}
	p, err := NewPlane(same, nil)
	if err != nil {
		t.Fatal(err)
	}
	if v := p.Oddness(same[0]); !(v < 1) {
		t.Errorf("oddness %g of the only photograph there is", v)
	}
	if v := p.Oddness([]float32{4, -3, 2, -1}); !(v > 1) {
		t.Errorf("oddness %g of another", v)
	}
	for _, row := range [][]float32{{0, 0, 0, 0}, {float32(math.NaN()), 0, 0, 0}} {
		if v := p.Oddness(row); v <= 1 {
			t.Errorf("oddness %g of %v", v, row)
		}
	}
}

func TestToHalf(t *testing.T) {
	for _, tt := range [][2]float64{{0, 0}, {1, 1}, {-1, -1}, {.1, 0.0999755859375}, {1e-5, 1.00135803e-05}, {1e-9, 0},
		{1.0 / 3, 0.333251953125}} {
		if got := toHalf(tt[0]); got != float32(tt[1]) {
			t.Errorf("%g becomes %.12g, want %.12g", tt[0], got, tt[1])
		}
	}
}
