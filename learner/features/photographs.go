package features

import (
	"cmp"

	"finetune/dataset"
	"finetune/learner/runs"
	"finetune/scores"
)

// KeepPhotographs writes down which photographs the run begins with, or compares
// them with those that it began with.
func (s *Setup) KeepPhotographs(r *runs.Run, f *Features) error {
	return r.KeepPhotographs(s.listed(f), s.Config.Data.Path)
}

func (s *Setup) listed(f *Features) []runs.Listed {
	var out []runs.Listed
	for _, part := range []struct {
		name  string
		items []dataset.Item
	}{{"train", f.Train.Items}, {"valid", f.Valid.Items}} {
		for _, it := range part.items {
			label := runs.ClassName(s.Set.Classes, it.Label)
			if s.Set.Multi {
				label = runs.ClassNames(s.Set.Classes, it.Labels, cmp.Or(s.Config.Data.LabelSep, ";"))
			}
			out = append(out, runs.Listed{Split: part.name, Path: scores.Disarm(it.Path), Label: scores.Disarm(label),
				Digest: it.Digest})
		}
	}
	return out
}
