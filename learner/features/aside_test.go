package features

import (
	"fmt"
	"slices"
	"testing"

	"finetune/dataset"
)

// TestAside: what is set aside is no part of the validation any more, nowhere else, and the
// same again; a small set keeps all of its validation.
func TestAside(t *testing.T) {
	for _, tt := range []struct{ train, valid, want int }{{300, 100, 40}, {900, 60, 30}, {50, 40, 0}, {400, 18, 0}} {
		s, f := &Setup{Set: &dataset.Set{}}, &Features{}
		for i := range tt.train {
			f.Train.Items = append(f.Train.Items, dataset.Item{Path: fmt.Sprint("t", i)})
		}
		for i := range tt.valid {
			it := dataset.Item{Path: fmt.Sprint("v", i), Digest: fmt.Sprint("d", i)}
			s.Set.Valid = append(s.Set.Valid, it)
			if i != 3 { // one cannot be read
				f.Valid.Items, f.Valid.Rows = append(f.Valid.Items, it), append(f.Valid.Rows, []float32{float32(i)})
			}
		}
		want := min(tt.want, (len(f.Train.Items)+len(f.Valid.Items))/10, len(f.Valid.Items)/2)
		left, parts := s.Aside(f)
		if parts.Aside.Len() != want || parts.Valid.Len()+want != f.Valid.Len() || len(left.Set.Aside) != want ||
			len(left.Set.Valid)+want != len(s.Set.Valid) {
			t.Errorf("%+v: %d aside, %d left, of %d and %d listed", tt, parts.Aside.Len(), parts.Valid.Len(),
				len(left.Set.Aside), len(left.Set.Valid))
		}
		for i, it := range parts.Aside.Items {
			same := func(o dataset.Item) bool { return o.Path == it.Path }
			if slices.ContainsFunc(parts.Valid.Items, same) || slices.ContainsFunc(left.Set.Valid, same) ||
				fmt.Sprint("v", parts.Aside.Rows[i][0]) != it.Path {
				t.Errorf("%+v: %s is aside and not, or has another's row", tt, it.Path)
			}
		}
		_, again := s.Aside(f)
		if fmt.Sprint(again.Aside.Items) != fmt.Sprint(parts.Aside.Items) {
			t.Errorf("%+v: others are set aside the second time", tt)
		}
	}
}
