package features

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"finetune/audit"
	"finetune/dataset"
	"finetune/dataset/draw"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/config"
	"finetune/learner/runs"
)

// keepGroups draws the validation photographs again such that groups are on one side, where
// --group asks for it and the groups depend on features. A split that is the data's own stays. Once is
// enough: what is made of s later has the same split.
func (s *Setup) keepGroups(f *Features) error {
	by := s.Config.Data.Group
	if by == "" || s.part || s.looked || s.Groups != nil {
		return nil
	}
	all := join(f.Train, f.Valid)
	groups, err := s.groupsOf(all)
	if err != nil {
		return failure.Data(err)
	}
	if groups == nil {
		if s.Set.Drawn {
			s.UI.Say("held out   %d of %s for validation, drawn by class with --seed %d", len(s.Set.Valid),
				plural.Count(len(s.Set.Train)+len(s.Set.Valid), "photograph"), s.Config.Train.Seed)
		}
		return nil
	}
	if s.Set.Drawn && s.Config.Data.Column() == "" { // else the list was drawn by them
		s.redraw(f, all, groups)
		all = join(f.Train, f.Valid)
		if groups, err = s.groupsOf(all); err != nil {
			return failure.Data(err)
		}
	}
	s.Groups, s.Together = count(by, groups, f.Train.Len()), groups[:f.Train.Len()]
	s.tellGroups(f)
	return nil
}

// join is the photographs of both parts, those of a before those of b.
func join(a, b Split) Split {
	return Split{slices.Concat(a.Items, b.Items), slices.Concat(a.Rows, b.Rows)}
}

// groupsOf names the group of each photograph, "" for none. It is nil where there are none to keep.
func (s *Setup) groupsOf(all Split) ([]string, error) {
	names := make([]string, all.Len())
	if s.Config.Data.Column() != "" {
		for i, it := range all.Items {
			names[i] = it.Group
		}
		return names, nil
	}
	order := runs.Indices(all.Len()) // of their paths, so that groups do not depend on the sides
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(all.Items[a].Path, all.Items[b].Path) })
	var paths []string
	var labels []int
	var rows [][]float32
	for _, i := range order {
		paths, labels = append(paths, all.Items[i].Path), append(labels, all.Items[i].Label)
		rows = append(rows, all.Rows[i])
	}
	groups, err := s.findGroups(paths, labels, rows)
	if err != nil || groups == nil {
		return nil, err
	}
	for k, i := range order {
		names[i] = fmt.Sprint(s.Config.Data.Group, " ", groups[k])
	}
	return names, nil
}

func (s *Setup) findGroups(paths []string, labels []int, rows [][]float32) ([]int, error) {
	if s.Config.Data.Group == config.GroupSequence {
		series := audit.FindSeries(paths, labels, rows)
		if series.Found {
			return series.Groups, nil
		}
		s.UI.Warn("--group sequence: photographs that follow each other by the numbers in their names are no more alike " +
			"than others, so the split does not depend on it; --group cluster groups by likeness alone")
		return nil, nil
	}
	fast, err := NewProducts(s.Config.Machine.Threads)
	if err != nil {
		return nil, err
	}
	defer fast.Close()
	groups, _, err := audit.Clusters(rows, fast.Multiply)
	return groups, err
}

// redraw makes parts of all with each group on one side. What could not be read stays where it was.
func (s *Setup) redraw(f *Features, all Split, groups []string) {
	p := draw.Photographs{Groups: groups}
	for _, it := range all.Items {
		p.Labels, p.Keys = append(p.Labels, it.Label), append(p.Keys, it.Digest)
	}
	valid, _ := p.Hold(cmp.Or(s.Config.Data.ValidPct, defaultValidPct), s.Config.Train.Seed)
	order := runs.Indices(all.Len())
	slices.SortFunc(order, func(a, b int) int { // as the parts of a data set are
		x, y := all.Items[a], all.Items[b]
		return cmp.Or(cmp.Compare(x.Label, y.Label), strings.Compare(x.Path, y.Path))
	})
	set := *s.Set
	set.Train, set.Valid, f.Train, f.Valid = nil, nil, Split{}, Split{}
	for _, i := range order {
		to, list := &f.Train, &set.Train
		if valid[i] {
			to, list = &f.Valid, &set.Valid
		}
		to.Items, to.Rows = append(to.Items, all.Items[i]), append(to.Rows, all.Rows[i])
		*list = append(*list, all.Items[i])
	}
	read := map[string]bool{}
	for _, it := range all.Items {
		read[it.Path] = true
	}
	bad := func(it dataset.Item) bool { return read[it.Path] }
	set.Train = append(set.Train, slices.DeleteFunc(slices.Clone(s.Set.Train), bad)...)
	set.Valid = append(set.Valid, slices.DeleteFunc(slices.Clone(s.Set.Valid), bad)...)
	s.Set = &set
}

// count counts the groups of photographs, of which the first so many are to train on. Photographs that are
// alone are no groups.
func count(by string, groups []string, train int) *runs.Groups {
	sides := map[string][2]int{}
	for i, g := range groups {
		if n := sides[g]; g != "" {
			n[min(i/max(train, 1), 1)]++
			sides[g] = n
		}
	}
	out := &runs.Groups{By: by}
	for _, n := range sides {
		if n[0]+n[1] < 2 {
			continue
		}
		out.N++
		out.Train += min(n[0], 1)
		out.Valid += min(n[1], 1)
		if n[0] > 0 && n[1] > 0 {
			out.Torn++
		}
	}
	return out
}

// tellGroups says how the groups lie in the parts.
func (s *Setup) tellGroups(f *Features) {
	g, total := s.Groups, f.Train.Len()+f.Valid.Len()
	if !s.Set.Drawn {
		s.UI.Warn("--group %s: the split is the data's own and was not changed; %d of %s %s on both sides", g.By,
			g.Torn, plural.Count(g.N, "group"), plural.Form(g.Torn, "is", "are"))
		return
	}
	s.UI.Say("groups     %d by %s: %d with %s to train on, %d with %s (%.1f %%) to validate on",
		g.N, g.By, g.Train, plural.Count(f.Train.Len(), "photograph"), g.Valid, plural.Count(f.Valid.Len(), "photograph"),
		100*float64(f.Valid.Len())/float64(max(total, 1)))
}
