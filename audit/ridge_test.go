package audit

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/mat"
)

// someRows are n rows of d features in classes that lie apart, each column with a scale of
// its own and one that never changes.
func someRows(n, d, classes int, apart float64) (rows [][]float32, labels []int) {
	r := rand.New(rand.NewPCG(7, 11))
	centre := make([][]float64, classes)
	for c := range centre {
		for range d {
			centre[c] = append(centre[c], apart*r.NormFloat64())
		}
	}
	for i := range n {
		y := i % classes
		row := make([]float32, d)
		for j := range row {
			row[j] = float32((centre[y][j] + r.NormFloat64()) * float64(1+j))
		}
		row[d-1] = 4
		rows, labels = append(rows, row), append(labels, y)
	}
	return rows, labels
}

// refit is leave-one-out by its definition: n times, a ridge regression is solved without
// the row and asked about it. The oracle of leaveOneOut, with mat.Dense alone.
func refit(rows [][]float32, targets blas64.General, lambda float64) blas64.General {
	n, d := len(rows), len(rows[0])
	x := mat.NewDense(n, d+1, nil)
	for j := range d {
		mean, square := 0.0, 0.0
		for _, r := range rows {
			mean += float64(r[j]) / float64(n)
		}
		for _, r := range rows {
			square += (float64(r[j]) - mean) * (float64(r[j]) - mean) / float64(n)
		}
		for i, r := range rows {
			if square > 1e-12 {
				x.Set(i, j, (float64(r[j])-mean)/math.Sqrt(square)/math.Sqrt(float64(d)))
			}
		}
	}
	for i := range n {
		x.Set(i, d, 1)
	}
	out := matrix(n, targets.Cols)
	for i := range n {
		a, b := mat.NewDense(d+1, d+1, nil), mat.NewDense(d+1, targets.Cols, nil)
		for k := range n {
			if k == i {
				continue
			}
			for p := range d + 1 {
				for q := range d + 1 {
					a.Set(p, q, a.At(p, q)+x.At(k, p)*x.At(k, q))
				}
				for c := range targets.Cols {
					b.Set(p, c, b.At(p, c)+x.At(k, p)*targets.Data[k*targets.Stride+c])
				}
			}
		}
		for p := range d + 1 {
			a.Set(p, p, a.At(p, p)+lambda)
		}
		var w mat.Dense
		if err := w.Solve(a, b); err != nil {
			panic(err)
		}
		for c := range targets.Cols {
			for p := range d + 1 {
				out.Data[i*out.Stride+c] += x.At(i, p) * w.At(p, c)
			}
		}
	}
	return out
}

func targetsOf(labels []int, classes int) blas64.General {
	t := matrix(len(labels), classes)
	for i, y := range labels {
		for c := range classes {
			t.Data[i*classes+c] = sign(c == y)
		}
	}
	return t
}

func farthest(a, b blas64.General) (most float64) {
	for i := range a.Data {
		most = max(most, math.Abs(a.Data[i]-b.Data[i]))
	}
	return most
}

func TestLeaveOneOutEqualsRefits(t *testing.T) {
	for _, shape := range []struct{ n, d, classes int }{{24, 40, 3}, {60, 5, 2}, {9, 9, 4}} {
		rows, labels := someRows(shape.n, shape.d, shape.classes, .5)
		targets := targetsOf(labels, shape.classes)
		got, lambda, err := leaveOneOut(rows, targets, nil)
		if err != nil {
			t.Fatal(err)
		}
		want := refit(rows, targets, lambda)
		if diff := farthest(got, want); diff > 1e-9 {
			t.Errorf("%+v: differs from refits by %g", shape, diff)
		}
		byFeatures, err := outByFeatures(rows, targets, lambda, Product(nil).orGonum())
		if err != nil {
			t.Fatal(err)
		}
		if diff := farthest(byFeatures, want); diff > 1e-9 {
			t.Errorf("%+v: by features, differs from refits by %g", shape, diff)
		}
		least, best := math.Inf(1), 0.0
		for _, share := range penalties {
			k, _ := kernel(rows, Product(nil).orGonum())
			l, loss := share*meanDiagonal(k), 0.0
			for i, v := range refit(rows, targets, l).Data {
				loss += (v - targets.Data[i]) * (v - targets.Data[i])
			}
			if loss < least {
				least, best = loss, l
			}
		}
		if math.Abs(best-lambda) > 1e-12 {
			t.Errorf("%+v: penalty %g, by refits %g", shape, lambda, best)
		}
	}
}

func TestInvertFactorOfManyRows(t *testing.T) {
	rows, _ := someRows(300, 20, 2, 1)
	k, err := kernel(rows, Product(nil).orGonum())
	if err != nil {
		t.Fatal(err)
	}
	a := plusDiagonal(k, .3)
	w, err := invertFactor(plusDiagonal(k, .3), Product(nil).orGonum())
	if err != nil {
		t.Fatal(err)
	}
	one := timesTransposed(w, a) // A⁻¹·A
	for i := range one.Rows {
		for j := range one.Cols {
			if want := float64(b2i(i == j)); math.Abs(one.Data[i*one.Stride+j]-want) > 1e-9 {
				t.Fatalf("A⁻¹·A has %g at %d,%d", one.Data[i*one.Stride+j], i, j)
			}
			if j > i && w.Data[i*w.Stride+j] != 0 {
				t.Fatalf("the factor's inverse is not lower triangular at %d,%d", i, j)
			}
		}
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestFeaturesThatAreNotFinite(t *testing.T) {
	rows, labels := someRows(20, 6, 2, 1)
	rows[3][2] = float32(math.NaN())
	if _, err := WrongLabels(rows, labels, 2, nil); err == nil {
		t.Error("NaN among the features was no error")
	}
}
