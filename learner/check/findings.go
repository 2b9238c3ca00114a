package check

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"

	"finetune/audit"
	"finetune/internal/plural"
	"finetune/learner/config"
	"finetune/learner/runs"
)

// lookAtLeast is how many of the worst labels are worth a look where none, or few, are flagged.
const lookAtLeast = 12

// labels judges each training photograph's label by all others.
func (r *Result) labels() (err error) {
	p, set := r.p, r.p.setup.Set
	var found []audit.Label
	if set.Multi {
		var tags [][]int
		for _, it := range p.items[:p.train] {
			tags = append(tags, it.Labels)
		}
		found, err = audit.WrongTags(p.rows[:p.train], tags, len(set.Classes), p.product)
	} else {
		found, err = audit.WrongLabels(p.rows[:p.train], p.single()[:p.train], len(set.Classes), p.product)
	}
	if err != nil {
		return err
	}
	to := map[string]int{}
	for k, l := range found {
		row := p.row(Label, l.Row, -1)
		row.Score, row.Flagged = l.Score, l.Flagged
		if l.Flagged {
			row.Suggested = p.tags(l.Suggested)
			to[row.Label+" → "+row.Suggested]++
		}
		if l.Flagged || k < lookAtLeast {
			r.beside(&row)
			if row.Detail = "look at it"; l.Flagged {
				row.Detail = "contradicted by the other photographs"
			}
		}
		r.add(row)
	}
	if n := sum(to); n > 0 {
		r.say(Label, fmt.Sprintf("%s contradicted by the other photographs: %s", plural.Of(n, "training label is",
			"training labels are"), mostOf(to)))
	}
	return nil
}

// beside puts the training photographs most like it beside a row, for the tables and the pages.
func (r *Result) beside(row *Row) {
	if r.brief && r.besides[row.Kind] >= mostInReport { // which shows no more
		return
	}
	r.besides[row.Kind]++
	if row.more = r.p.nearest(row.at, 3); len(row.more) > 0 {
		row.with = row.more[0]
		row.Other = r.p.items[row.with].Path
	}
}

// nearest are the training photographs whose features are the most like those of i.
func (p *photographs) nearest(i, n int) []int {
	type near struct {
		at     int
		cosine float64
	}
	var all []near
	length := func(k int) float64 { return math.Sqrt(inner(p.rows[k], p.rows[k])) }
	for k := len(p.lengths); k < p.train; k++ {
		p.lengths = append(p.lengths, length(k))
	}
	own := length(i)
	for k := range p.train {
		if k != i {
			all = append(all, near{k, inner(p.rows[i], p.rows[k]) / max(own*p.lengths[k], 1e-12)})
		}
	}
	slices.SortStableFunc(all, func(a, b near) int { return cmp.Compare(b.cosine, a.cosine) })
	var out []int
	for _, a := range all[:min(n, len(all))] {
		out = append(out, a.at)
	}
	return out
}

func inner(a, b []float32) (sum float64) {
	for j, v := range a {
		sum += float64(v) * float64(b[j])
	}
	return sum
}

// sequences asks whether a random split tears series apart, and what that does to the accuracy.
func (r *Result) sequences() (err error) {
	p, set := r.p, r.p.setup.Set
	if g := p.setup.Groups; set.Multi || g != nil && g.N > 0 && g.Torn == 0 { // --group keeps them together
		return nil
	}
	labelled, s := p.labelled(), r.Series
	var labels []int
	var rows [][]float32
	for _, i := range labelled {
		labels, rows = append(labels, p.items[i].Label), append(rows, p.rows[i])
	}
	groups, by, flag := s.Groups, "by the numbers in their names", config.GroupSequence
	if !s.Found && r.likeFilm == 0 {
		return nil
	}
	if !s.Found {
		by, flag = "by likeness", config.GroupCluster
		if groups, _, err = audit.Clusters(rows, p.product); err != nil {
			return err
		}
	}
	var ok bool
	r.Random, r.Grouped, ok, err = audit.GroupedAccuracy(rows, labels, groups, len(set.Classes), p.product)
	if err != nil {
		return err
	}
	r.addSeries(labelled, groups)
	text := fmt.Sprintf("photographs that follow each other %s look alike", by)
	if r.likeFilm > 0 && !r.brief { // which has not looked at all of them
		text += fmt.Sprintf(", %.0f %% of validation has a near-identical one in training", 100*r.likeFilm)
	}
	if ok {
		text += fmt.Sprintf(": %.1f %% right by random folds, %.1f %% with series kept together", 100*r.Random, 100*r.Grouped)
	}
	if set.Drawn {
		text += fmt.Sprintf("; --group %s does that", flag)
	}
	r.say(Sequence, text)
	return nil
}

// findSeries looks for series among the photographs of train and valid.
func (r *Result) findSeries() {
	var paths []string
	var labels []int
	var rows [][]float32
	for _, i := range r.p.labelled() {
		it := r.p.items[i]
		paths, labels, rows = append(paths, it.Path), append(labels, it.Label), append(rows, r.p.rows[i])
	}
	if len(paths) > 0 {
		r.Series = audit.FindSeries(paths, labels, rows)
	}
}

// seriesOf is the series of each photograph that has one.
func (r *Result) seriesOf() map[int]int {
	of := map[int]int{}
	for k, i := range r.p.labelled() {
		if k < len(r.Series.Groups) {
			of[i] = r.Series.Groups[k]
		}
	}
	return of
}

// labelled are the photographs of train and valid.
func (p *photographs) labelled() []int {
	var out []int
	for i, it := range p.items[:p.train+p.valid] {
		if it.Label >= 0 {
			out = append(out, i)
		}
	}
	return out
}

// addSeries adds a row for each series that both training and validation have a part of, the
// most torn first.
func (r *Result) addSeries(at, groups []int) {
	members := map[int][]int{}
	for k, g := range groups {
		members[g] = append(members[g], at[k])
	}
	var rows []Row
	for _, g := range slices.Sorted(maps.Keys(members)) {
		list, held := members[g], 0
		for _, i := range list {
			if r.p.split[i] == "valid" {
				held++
			}
		}
		if held == 0 || held == len(list) {
			continue
		}
		row := r.p.row(Sequence, list[0], list[len(list)-1])
		row.Score = float64(min(held, len(list)-held))
		row.Flagged = true
		row.Detail = fmt.Sprintf("a series of %d: %d to train, %d to validate", len(list), len(list)-held, held)
		row.more = list[1:min(4, len(list))]
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(b.Score, a.Score) })
	for _, row := range rows {
		r.add(row)
	}
}

// metadata asks whether a class shows in its files.
func (r *Result) metadata() error {
	p, set := r.p, r.p.setup.Set
	if set.Multi {
		return nil
	}
	valid := make([]bool, len(p.items))
	labels := p.single()
	for i := range valid {
		valid[i] = p.split[i] != "train"
		if p.split[i] == "test" {
			labels[i] = -1
		}
	}
	var parts []string
	flagged := false
	for _, l := range audit.Metadata(p.facts, labels, valid, len(set.Classes)) {
		row := Row{Kind: Metadata, Label: set.Classes[l.Class], Score: l.AUC, Flagged: l.Flagged, at: -1, with: -1}
		if len(l.Examples) > 0 {
			row = p.row(Metadata, l.Examples[0], -1)
			row.Label, row.Score, row.Flagged, row.more = set.Classes[l.Class], l.AUC, l.Flagged, l.Examples[1:]
		}
		row.Detail = fmt.Sprintf("%s: area under the curve %.2f, at least %.2f", l.What, l.AUC, l.Low)
		r.add(row)
		if l.Noted {
			parts = append(parts, fmt.Sprintf("%s (%.2f)", l.What, l.AUC))
			if flagged = flagged || l.Flagged; l.Flagged {
				parts[len(parts)-1] += ", which nearly gives it away"
			}
		}
	}
	if len(parts) > 0 && (flagged || !r.brief) {
		r.say(Metadata, "the class shows in facts of the files, by area under the curve: "+strings.Join(parts, ", "))
	}
	return nil
}

// odd finds photographs unlike the others.
func (r *Result) odd() error {
	p := r.p
	train, others, plane, err := audit.Odd(p.rows[:p.train], p.rows[p.train:], p.product)
	if err != nil {
		return err
	}
	if err := p.setup.KeepPlane(p.items[:p.train], plane); err != nil {
		return err
	}
	var rows []Row
	n := 0
	for i, o := range append(train, others...) {
		if o.Score <= 1 {
			continue
		}
		row := p.row(Odd, i, -1)
		if row.Score, row.Flagged = o.Score, o.Flagged; o.Flagged {
			n++
		}
		row.Detail = fmt.Sprintf("%.2f times as far from the others as 99 %% of training", o.Score)
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b Row) int { return cmp.Compare(b.Score, a.Score) })
	for k := range rows {
		if k < 2*lookAtLeast {
			r.beside(&rows[k])
		}
		r.add(rows[k])
	}
	if n > 0 {
		r.say(Odd, plural.Of(n, "photograph is", "photographs are")+" unlike all others, the most: "+rows[0].Path)
	}
	return nil
}

// basics lists what is wrong at first sight, beginning with files that cannot be read.
func (r *Result) basics(skipped []runs.Skipped) {
	count := map[string]int{}
	for _, s := range skipped {
		r.add(Row{Kind: Basic, Path: s.Path, Split: s.Split, Score: 1, Flagged: true, Detail: s.Status + ": " + s.Reason,
			at: -1, with: -1})
		count[s.Status]++
	}
	grey := 0
	for _, f := range r.p.facts {
		if f.Pixels.Known && f.Pixels.Grey {
			grey++
		}
	}
	for _, b := range audit.Basics(r.p.facts) {
		row := r.p.row(Basic, b.Row, -1)
		row.Score, row.Flagged, row.Detail = b.Score, true, b.What+": "+b.Why
		r.add(row)
		count[b.What]++
	}
	if n := len(r.p.items); grey > 0 && grey < n && min(grey, n-grey) <= n/10 { // a few among many
		which, few := "grey", true
		if grey > n/2 {
			which, few = "in colour", false
		}
		count[which+" among the others"] = min(grey, n-grey)
		for i, f := range r.p.facts {
			if f.Pixels.Known && f.Pixels.Grey == few {
				row := r.p.row(Basic, i, -1)
				row.Detail = which + " among the others"
				r.add(row)
			}
		}
	}
	if len(count) > 0 {
		r.say(Basic, mostOf(count))
	}
}

// curve is how accuracy grows with the number of labels.
func (r *Result) curve() (err error) {
	if r.p.setup.Set.Multi {
		return nil
	}
	n, labels := r.p.train, r.p.single()
	r.Curve, err = audit.NewLabelCurve(r.p.rows[:n], labels[:n], r.p.rows[n:n+r.p.valid], labels[n:n+r.p.valid],
		len(r.p.setup.Set.Classes), r.p.product)
	return err
}

// balance looks at the sizes of classes.
func (r *Result) balance() error {
	counts := r.p.setup.Set.Counts()
	var train, valid []int
	for _, c := range counts {
		train, valid = append(train, c.Train), append(valid, c.Valid)
	}
	var few []string
	for _, b := range audit.Balance(train, valid) {
		r.add(Row{Kind: Balance, Label: counts[b.Class].Class, Score: b.Share, Flagged: b.Flagged, Detail: b.Why,
			at: -1, with: -1})
		if b.Flagged {
			few = append(few, fmt.Sprintf("%s (%s)", counts[b.Class].Class, b.Why))
		}
	}
	if len(few) > 0 {
		r.say(Balance, plural.Of(len(few), "class is", "classes are")+" small: "+someOf(few))
	}
	return nil
}
