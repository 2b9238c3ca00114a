package trials

import (
	"math"
	"path/filepath"
	"slices"
	"testing"

	"finetune/dataset"
)

// said makes the log-probabilities of a model that gives the true class 0 these probabilities.
func said(p ...float64) (logp []float32) {
	for _, v := range p {
		logp = append(logp, float32(math.Log(v)), float32(math.Log(1-v)))
	}
	return logp
}

func result(way string, share float64, p ...float64) Result {
	r := measure(said(p...), make([]dataset.Item, len(p)), 2, false)
	r.Way, r.Share = way, share
	return r
}

// TestBest: heads are compared by their loss; a network must be better than the best of them by more than chance.
func TestBest(t *testing.T) {
	worse := result("head", 0, .6, .7, .6, .7, .6, .4)
	head := result("linear", 0, .8, .7, .8, .7, .8, .4)
	luck := result("gentle", .5, .9, .6, .86, .66, .74, .45)
	surely := result("gentle", 1, .95, .93, .95, .93, .95, .9)
	for _, c := range []struct {
		name    string
		results []Result
		want    Result
	}{
		{"heads", []Result{worse, head}, head},
		{"by chance", []Result{worse, head, luck}, head},
		{"more than chance", []Result{worse, head, luck, surely}, surely},
		{"of one photograph", []Result{result("head", 0, .9), result("gentle", 1, .99)}, result("head", 0, .9)},
	} {
		if got := Best(c.results); got.Way != c.want.Way || got.Share != c.want.Share {
			t.Errorf("%s: %s %g, not %s %g", c.name, got.Way, got.Share, c.want.Way, c.want.Share)
		}
	}
}

// TestMeasure: a way is measured at the temperature that suits it: being too sure costs it nothing.
func TestMeasure(t *testing.T) {
	unsure := measure(said(.6, .6, .6, .4, .6, .6, .6, .4), make([]dataset.Item, 8), 2, false)
	sure := measure(said(.99, .99, .99, .01, .99, .99, .99, .01), make([]dataset.Item, 8), 2, false)
	if math.Abs(unsure.Loss-sure.Loss) > .02 || unsure.Accuracy != .75 || sure.Images != 8 {
		t.Errorf("%+v and %+v, which differ in a temperature alone", unsure, sure)
	}
}

func TestHeld(t *testing.T) {
	for _, c := range [][3]int{{20, 5, 3}, {244, 5, 3}, {1200, 5, 3}, {1300, 5, 2}, {2499, 5, 2},
		{2500, 5, 1}, {9999, 5, 1}, {4, 2, 2}} {
		if got := held(c[0], c[1]); got != c[2] {
			t.Errorf("of %d photographs in %d folds %d are left out, not %d", c[0], c[1], got, c[2])
		}
	}
}

// TestKept: what was tried is read again, but not what was tried with other photographs or shares, or is damaged.
func TestKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gentle-0.safetensors")
	if logp, err := kept(path, 2, 4); logp != nil || err != nil {
		t.Errorf("of nothing %v, %v", logp, err)
	}
	want := [][]float32{said(.5, .6), said(.7, .8)}
	if err := keep(path, want); err != nil {
		t.Fatal(err)
	}
	if got, err := kept(path, 2, 4); err != nil || len(got) != 2 || !slices.Equal(got[1], want[1]) {
		t.Errorf("%v, %v", got, err)
	}
	for _, c := range [][2]int{{1, 4}, {2, 6}} {
		if got, err := kept(path, c[0], c[1]); got != nil || err != nil {
			t.Errorf("%v: %v, %v", c, got, err)
		}
	}
}
