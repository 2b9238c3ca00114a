package session

import (
	"math"
	"slices"

	"finetune/dataset/journal"
	"finetune/internal/rng"
)

const (
	firstTypical = 40 // photographs that are asked about because they are typical, before any because they are unsure
	oneAside     = 10 // of so many photographs one is drawn at random and kept aside
	enoughHeld   = 50 // held-out photographs of the data set itself, which make that needless
)

// Ask is a photograph to be labelled, and why it is asked about.
type Ask struct {
	ID     string  `json:"id"`
	Path   string  `json:"path"`
	Source string  `json:"source"`          // what its label will be for: chosen, aside or random
	Why    string  `json:"why"`             // typical, unsure, aside or random
	Guess  []Guess `json:"guess,omitempty"` // of the head, the likeliest first
	Label  string  `json:"label,omitempty"`
}

// Guess is a class and its probability.
type Guess struct {
	Class string  `json:"class"`
	P     float64 `json:"p"`
}

// drawPool draws the photographs that are kept aside: a tenth of all, or none where the data set
// has enough of its own.
func (s *Session) drawPool() {
	held := 0
	for _, list := range s.said {
		if len(list) > 0 && list[0].source == journal.Valid {
			held++
		}
	}
	for i := range s.photos {
		for _, e := range s.said[i] { // once aside, always aside
			s.pool[i] = s.pool[i] || e.source == journal.Aside
		}
		if held < enoughHeld && len(s.said[i]) == 0 {
			s.pool[i] = s.chance(i, "aside") < 1./oneAside
		}
	}
}

// chance is a number in [0, 1) that belongs to a photograph, whatever others there are.
func (s *Session) chance(i int, what string) float64 {
	return rng.New(s.o.Seed, rng.Text("studio."+what), rng.Text(s.photos[i].Path)).Float64()
}

// open lists the photographs that can be asked about, held-out ones or the others. The lock is held.
func (s *Session) open(aside bool) (out []int) {
	for i := range s.photos {
		if s.rows[i] != nil && s.last(i) == nil && s.pool[i] == aside {
			out = append(out, i)
		}
	}
	return out
}

// plan chooses the typical photographs. The lock is held.
func (s *Session) plan() {
	var seen []int
	for i := range s.photos {
		if s.rows[i] != nil && s.labelled(i) && !s.held(i) {
			seen = append(seen, i)
		}
	}
	if s.typical = nil; len(seen) < firstTypical {
		s.typical = s.space.Typical(s.open(false), seen, firstTypical, s.o.Seed)
		s.typical = s.typical[:min(len(s.typical), firstTypical-len(seen))]
	}
}

// Next lists at most n photographs to ask about, without those of IDs not: one in ten drawn at random to be
// kept aside, the others typical ones first and then the least sure. With measure all are drawn at random.
func (s *Session) Next(n int, not []string, measure bool) []Ask {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		return nil
	}
	waiting := map[int]bool{}
	labels, kept := 0, 0
	count := func(i int) {
		if labels++; s.pool[i] {
			kept++
		}
	}
	for i := range s.photos {
		if e := s.last(i); e != nil && e.source != journal.Valid && e.source != journal.Folder {
			count(i)
		}
	}
	for _, id := range not {
		if i, ok := s.byID[id]; ok && !waiting[i] {
			waiting[i] = true
			if s.last(i) == nil {
				count(i)
			}
		}
	}
	free := func(list []int) []int {
		return slices.DeleteFunc(list, func(i int) bool { return waiting[i] || s.last(i) != nil })
	}
	aside := free(s.open(true))
	s.byChance(aside, "order")
	others := free(s.order())
	var out []Ask
	for len(out) < n && len(aside)+len(others) > 0 {
		from := &others
		if turn := measure || (labels+1)/oneAside > kept; turn && len(aside) > 0 || len(others) == 0 {
			from = &aside
		}
		i := (*from)[0]
		*from = (*from)[1:]
		count(i)
		out = append(out, s.ask(i))
	}
	return out
}

// order lists the photographs to learn from, the most useful first. The lock is held.
func (s *Session) order() []int {
	open := s.open(false)
	if s.model == nil {
		s.byChance(open, "order")
	} else {
		slices.SortFunc(open, func(a, b int) int { return s.model.rank[a] - s.model.rank[b] })
	}
	if len(s.typical) == 0 {
		return open
	}
	return append(slices.Clone(s.typical), slices.DeleteFunc(open, func(i int) bool {
		return slices.Contains(s.typical, i)
	})...)
}

func (s *Session) byChance(list []int, what string) {
	chance := make(map[int]float64, len(list))
	for _, i := range list {
		chance[i] = s.chance(i, what)
	}
	slices.SortFunc(list, func(a, b int) int {
		if chance[a] < chance[b] {
			return -1
		}
		return 1
	})
}

// ask tells what a person sees of a photograph.
func (s *Session) ask(i int) Ask {
	a := Ask{ID: s.photos[i].ID, Path: s.photos[i].Path, Source: journal.Chosen, Why: "unsure", Guess: s.guess(i, 3)}
	switch {
	case s.pool[i]:
		a.Source, a.Why = journal.Aside, "aside"
	case slices.Contains(s.typical, i):
		a.Why = "typical"
	case s.model == nil:
		a.Source, a.Why = journal.Random, "random"
	}
	if e := s.last(i); e != nil {
		a.Label, a.Source = s.cell(e.classes), e.source
	}
	return a
}

// guess is what the head thinks of photograph i: the k likeliest classes. Of what is kept aside it keeps still: a
// label that was whispered measures nothing.
func (s *Session) guess(i, k int) (out []Guess) {
	if s.model == nil || s.rows[i] == nil || s.held(i) {
		return nil
	}
	n := len(s.model.classes)
	for c, v := range s.model.logp[i*n : (i+1)*n] {
		out = append(out, Guess{s.classes[s.model.classes[c]], math.Exp(float64(v))})
	}
	likely(out)
	return out[:min(k, len(out))]
}

// Grid lists at most n unlabelled photographs to be labelled together, the likest to one first; without an ID, to
// the one that would be asked about next. Photographs that are kept aside are not among them.
func (s *Session) Grid(id string, n int) ([]Ask, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.rows == nil {
		return nil, nil
	}
	open := s.open(false)
	if len(open) == 0 {
		return nil, nil
	}
	i := s.order()[0]
	if id != "" {
		at, ok := s.byID[id]
		if !ok {
			return nil, errNone(id)
		}
		i = at
	}
	var out []Ask
	for _, j := range s.space.Like(i, open, n) {
		out = append(out, s.ask(j))
	}
	return out, nil
}

// Labelled lists the photographs that have a label, what was said last first: at most n after the first skip.
func (s *Session) Labelled(class string, skip, n int) []Ask {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := make([]bool, len(s.photos))
	var at []int
	add := func(i int) {
		if !seen[i] && s.labelled(i) && s.rows != nil {
			if names := s.last(i).classes; class == "" || slices.ContainsFunc(names, func(c int) bool {
				return s.classes[c] == class
			}) {
				at = append(at, i)
			}
		}
		seen[i] = true
	}
	for _, list := range slices.Backward(s.actions) {
		for _, i := range list {
			add(i)
		}
	}
	for i := range s.photos {
		add(i)
	}
	var out []Ask
	for _, i := range at[min(skip, len(at)):min(skip+n, len(at))] {
		out = append(out, s.ask(i))
	}
	return out
}

// Asks are photographs by their IDs, as they would be asked about.
func (s *Session) Asks(ids []string) (out []Ask) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range ids {
		if i, ok := s.byID[id]; ok && s.rows != nil {
			out = append(out, s.ask(i))
		}
	}
	return out
}
