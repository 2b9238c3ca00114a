// Package draw chooses which photographs are held out for validation: a share of each
// class, equal files on one side, and groups on one side where there are any.
package draw

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"

	"finetune/internal/rng"
)

// Photographs are what a draw depends on, one entry each.
type Photographs struct {
	Labels []int    // class, or -1 where classes do not matter
	Keys   []string // of the content: equal keys fall on one side
	Groups []string // photographs of one name fall on one side, "" is in no group; nil: there are none
}

// unit is what falls on one side together.
type unit struct {
	key   string
	draw  float64 // uniform, from seed and key
	items []int   // ascending
}

// Hold draws the share (0 to 1) of each class that is held out. A place depends on the
// seed and on content alone, whatever files are called, and adding a photograph moves few others.
// twice lists photographs of one content and several labels, which are drawn alone.
//
// Groups are taken in a random order, those of at most a quarter of what is asked for
// first, as long as each brings the classes nearer to their shares and leaves every class a
// photograph to train on. So the share is nearly met, and by more than one group.
func (p Photographs) Hold(share float64, seed uint64) (valid []bool, twice [][]int) {
	quota := map[int]int{}
	for _, label := range p.Labels {
		quota[label]++
	}
	for label, n := range quota {
		quota[label] = min(max(int(math.Round(share*float64(n))), 1), n-1)
	}
	if p.Groups != nil {
		return p.byGroup(quota, seed), nil
	}
	valid = make([]bool, len(p.Keys))
	perClass := map[int][]unit{}
	for _, u := range p.units(seed) {
		labels := p.labels(u)
		if len(labels) == 1 {
			perClass[labels[0]] = append(perClass[labels[0]], u)
			continue
		}
		twice = append(twice, u.items)
		if u.draw < share { // no class of its own
			for _, i := range u.items {
				valid[i] = true
				quota[p.Labels[i]]--
			}
		}
	}
	for label, list := range perClass {
		left := quota[label]
		for _, u := range list {
			if len(u.items) <= left {
				left -= len(u.items)
				for _, i := range u.items {
					valid[i] = true
				}
			}
		}
	}
	return valid, twice
}

// units joins photographs of equal keys, and of equal groups, in the order of their draws.
func (p Photographs) units(seed uint64) []unit {
	set := make([]int, len(p.Keys))
	first := map[string]int{}
	join := func(name string, i int) {
		j, seen := first[name]
		if !seen {
			first[name] = i
			return
		}
		a, b := root(set, i), root(set, j)
		set[max(a, b)] = min(a, b)
	}
	for i := range set {
		set[i] = i
		join("key "+p.Keys[i], i)
		if p.Groups != nil && p.Groups[i] != "" {
			join("group "+p.Groups[i], i)
		}
	}
	at := map[int]int{}
	var units []unit
	for i := range set {
		r := root(set, i)
		k, seen := at[r]
		if !seen {
			k = len(units)
			at[r], units = k, append(units, unit{key: p.Keys[i]})
		}
		units[k].key = min(units[k].key, p.Keys[i])
		units[k].items = append(units[k].items, i)
	}
	for k, u := range units {
		units[k].draw = rng.New(rng.Text("split"), seed, rng.Text(u.key)).Float64()
	}
	slices.SortFunc(units, func(a, b unit) int {
		return cmp.Or(cmp.Compare(a.draw, b.draw), strings.Compare(a.key, b.key))
	})
	return units
}

func root(set []int, i int) int {
	for set[i] != i {
		set[i] = set[set[i]]
		i = set[i]
	}
	return i
}

// labels are the distinct labels of a unit, sorted.
func (p Photographs) labels(u unit) []int {
	var labels []int
	for _, i := range u.items {
		labels = append(labels, p.Labels[i])
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

// side is the validation side while it fills.
type side struct {
	valid []bool
	left  map[int]int // by class: what is still asked for, below 0 where there is more
	train map[int]int // by class: what would be left to train on
}

func (p Photographs) byGroup(quota map[int]int, seed uint64) []bool {
	s := side{valid: make([]bool, len(p.Keys)), left: quota, train: map[int]int{}}
	wanted := 0
	for _, label := range p.Labels {
		s.train[label]++
	}
	for _, n := range quota {
		wanted += n
	}
	units := p.units(seed)
	for _, largest := range []int{max(wanted/4, 1), len(p.Keys)} {
		for _, u := range units {
			if len(u.items) <= largest && !s.valid[u.items[0]] && s.gain(p.Labels, u) > 0 {
				s.take(p.Labels, u)
			}
		}
	}
	for _, label := range slices.Sorted(maps.Keys(s.train)) { // a class that no group brought
		held := func(u unit) bool { return s.valid[u.items[0]] && slices.Contains(p.labels(u), label) }
		if slices.ContainsFunc(units, held) {
			continue
		}
		best, most := -1, math.MinInt
		for k, u := range units {
			if g := s.gain(p.Labels, u); g > most && slices.Contains(p.labels(u), label) {
				best, most = k, g
			}
		}
		if best >= 0 {
			s.take(p.Labels, units[best])
		}
	}
	return s.valid
}

// gain is by how many photographs the classes come nearer to their shares with u, the least
// number where a class would have none left to train on.
func (s side) gain(labels []int, u unit) int {
	n, gain := map[int]int{}, 0
	for _, i := range u.items {
		n[labels[i]]++
	}
	for label, k := range n {
		if k >= s.train[label] {
			return math.MinInt
		}
		gain += max(s.left[label], -s.left[label]) - max(s.left[label]-k, k-s.left[label])
	}
	return gain
}

func (s side) take(labels []int, u unit) {
	for _, i := range u.items {
		s.valid[i] = true
		s.left[labels[i]]--
		s.train[labels[i]]--
	}
}
