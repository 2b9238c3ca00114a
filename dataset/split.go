package dataset

import (
	"cmp"
	"fmt"
	"sync/atomic"

	"finetune/dataset/draw"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/parallel"
	"finetune/internal/plural"
	"finetune/internal/reading"
)

// split moves a share of Train to Valid, class by class, as package draw has it.
func (s *Set) split(o Options) error {
	s.Drawn = true
	if err := digests(s.Train); err != nil {
		return err
	}
	p, groups := draw.Photographs{}, make([]string, len(s.Train))
	for i, it := range s.Train {
		groups[i] = it.Group
		p.Labels = append(p.Labels, it.Label)                             // -1 of several labels: one stratum
		p.Keys = append(p.Keys, cmp.Or(it.Digest, "unreadable "+it.Path)) // counted and skipped when it is decoded
	}
	if o.Group != "" {
		p.Groups = groups
	}
	valid, twice := p.Hold(o.ValidPct, o.Seed)
	s.sayTwice(twice)
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

// sayTwice warns about photographs that are there under several labels.
func (s *Set) sayTwice(twice [][]int) {
	if len(twice) == 0 {
		return
	}
	var paths []string
	for _, i := range twice[0] {
		paths = append(paths, s.Train[i].Path)
	}
	s.warn("%s: %s", plural.Of(len(twice), "photograph has two labels", "photographs have two labels each, the first"),
		naming.Few(paths, 4))
}

// digests fills in Digest where the file can be read, on all cores.
func digests(items []Item) error {
	var failed atomic.Pointer[error]
	parallel.For(len(items), 0, func(i int) {
		if items[i].Digest != "" || failed.Load() != nil {
			return
		}
		var err error
		items[i].Digest, err = reading.Digest(items[i].File) // an unreadable file has none
		if failure.System(err) {
			failed.Store(&err)
		}
	})
	if err := failed.Load(); err != nil {
		return fmt.Errorf("dataset: %w", *err)
	}
	return nil
}
