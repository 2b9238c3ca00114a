package features

import (
	"cmp"
	"slices"

	"finetune/internal/rng"
	"finetune/learner/runs"
)

// leastAside is the number of photographs from which on a figure of them says something.
const leastAside = 10

// Aside takes photographs out of validation for a figure that nothing is chosen by: a
// random tenth of all that train and validate, at most half of the validation. By --seed and
// each file's digest; nothing where these would be fewer than ten.
func (s *Setup) Aside(f *Features) (*Setup, *Features) {
	n := min((f.Train.Len()+f.Valid.Len())/10, f.Valid.Len()/2)
	if n < leastAside {
		return s, f
	}
	draw, order := make([]float64, f.Valid.Len()), runs.Indices(f.Valid.Len())
	for i, it := range f.Valid.Items {
		draw[i] = rng.New(rng.Text("aside"), s.Config.Train.Seed, rng.Text(it.Digest)).Float64()
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(draw[a], draw[b]) })
	out := make(map[string]bool, n)
	for _, i := range order[:n] {
		out[f.Valid.Items[i].Path] = true
	}
	left, set, parts := *s, *s.Set, *f
	left.Set, set.Valid, parts.Valid, parts.Aside = &set, nil, Split{}, Split{}
	for _, it := range s.Set.Valid {
		to := &set.Valid
		if out[it.Path] {
			to = &set.Aside
		}
		*to = append(*to, it)
	}
	for i, it := range f.Valid.Items {
		to := &parts.Valid
		if out[it.Path] {
			to = &parts.Aside
		}
		to.Items, to.Rows = append(to.Items, it), append(to.Rows, f.Valid.Rows[i])
	}
	return &left, &parts
}
