package dataset

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/parallel"
	"finetune/internal/reading"
	"finetune/internal/rng"
)

// split moves a share of Train to Valid, class by class. A file's place depends
// on the seed and its content alone, so equal files fall on one side, whatever
// they are called, and adding a photograph moves few others.
func (s *Set) split(o Options) error {
	s.Drawn = true
	if err := digests(s.Train); err != nil {
		return err
	}
	groups := groupByDigest(s.Train, o.Seed)
	valid := make([]bool, len(s.Train))
	perClass := map[int][]group{} // strata; multi-label sets have one, -1
	quota := map[int]int{}
	for _, it := range s.Train {
		quota[it.Label]++
	}
	for label, n := range quota {
		quota[label] = min(max(int(math.Round(o.ValidPct*float64(n))), 1), n-1)
	}
	var twice [][]string
	for _, g := range groups {
		labels := g.labels(s.Train)
		if len(labels) == 1 {
			perClass[labels[0]] = append(perClass[labels[0]], g)
			continue
		}
		twice = append(twice, g.paths(s.Train))
		if g.draw < o.ValidPct { // no stratum of its own: drawn alone
			for _, i := range g.items {
				valid[i] = true
				quota[s.Train[i].Label]--
			}
		}
	}
	if len(twice) == 1 {
		s.warn("one photograph has two labels: %s", naming.Few(twice[0], 4))
	} else if len(twice) > 1 {
		s.warn("%d photographs have two labels each, the first is %s", len(twice), naming.Few(twice[0], 4))
	}
	for label, list := range perClass {
		left := quota[label]
		for _, g := range list {
			if len(g.items) <= left {
				left -= len(g.items)
				for _, i := range g.items {
					valid[i] = true
				}
			}
		}
	}
	var train []Item
	for i, it := range s.Train {
		if valid[i] {
			s.Valid = append(s.Valid, it)
		} else {
			train = append(train, it)
		}
	}
	s.Train = train
	return nil
}

// group is the set of equal files.
type group struct {
	digest string
	draw   float64 // uniform, from seed and digest
	items  []int   // indices, ascending
}

// groupByDigest returns the groups in the order of their draws.
func groupByDigest(items []Item, seed uint64) []group {
	index := map[string]int{}
	var groups []group
	for i, it := range items {
		key := cmp.Or(it.Digest, "unreadable "+it.Path) // counted and skipped when it is decoded
		g, ok := index[key]
		if !ok {
			g = len(groups)
			index[key] = g
			groups = append(groups, group{digest: key, draw: rng.New(rng.Text("split"), seed, rng.Text(key)).Float64()})
		}
		groups[g].items = append(groups[g].items, i)
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Or(cmp.Compare(a.draw, b.draw), strings.Compare(a.digest, b.digest))
	})
	return groups
}

// labels are the distinct labels of the group, sorted.
func (g group) labels(items []Item) []int {
	var labels []int
	for _, i := range g.items {
		labels = append(labels, items[i].Label)
	}
	slices.Sort(labels)
	return slices.Compact(labels)
}

func (g group) paths(items []Item) []string {
	var paths []string
	for _, i := range g.items {
		paths = append(paths, items[i].Path)
	}
	return paths
}

// digests fills in Digest where the file can be read, on all cores.
func digests(items []Item) error {
	var failed atomic.Pointer[error]
	parallel.For(len(items), 0, func(i int) {
		if items[i].Digest != "" || failed.Load() != nil {
			return
		}
		err := reading.Steadily(items[i].File, func() (err error) {
			items[i].Digest, err = digest.File(items[i].File) // an unreadable file has none
			return err
		})
		if failure.System(err) {
			failed.Store(&err)
		}
	})
	if err := failed.Load(); err != nil {
		return fmt.Errorf("dataset: %w", *err)
	}
	return nil
}
