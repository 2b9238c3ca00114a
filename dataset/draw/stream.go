package draw

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"finetune/internal/rng"
	"finetune/internal/sorting"
)

// Stream is Hold of photographs without groups, of which none is held in memory. Close it.
type Stream struct {
	Share float64
	Seed  uint64

	byKey, byDraw sorting.Sorter
	count         map[string]int // by label
}

// Drawn is a photograph and the side that it is on.
type Drawn struct {
	Label, Text string
	Valid       bool
}

// Add takes a photograph: its label, a key of its content, and a text that is its own. None of
// them may hold a zero byte.
func (s *Stream) Add(label, key, text string) error {
	if s.count == nil {
		s.count = map[string]int{}
	}
	s.count[label]++
	return s.byKey.Add(key + "\x00" + label + "\x00" + text)
}

// Each visits all photographs in any order. It returns how many contents have several labels,
// and the texts of the one that is drawn first.
func (s *Stream) Each(yield func(Drawn) error) (twice int, first []string, err error) {
	quota, least := map[string]int{}, math.Inf(1)
	for label, n := range s.count {
		quota[label] = min(max(int(math.Round(s.Share*float64(n))), 1), n-1)
	}
	several := func(key string, list []Drawn, draw float64) error {
		if twice++; draw < least {
			least, first = draw, nil
			for _, d := range list {
				first = append(first, d.Text)
			}
		}
		for _, d := range list {
			if d.Valid = draw < s.Share; d.Valid {
				quota[d.Label]--
			}
			if err := yield(d); err != nil {
				return err
			}
		}
		return nil
	}
	err = s.keys(func(key string, list []Drawn) error {
		draw := rng.New(rng.Text("split"), s.Seed, rng.Text(key)).Float64()
		if slices.ContainsFunc(list, func(d Drawn) bool { return d.Label != list[0].Label }) {
			return several(key, list, draw)
		}
		text := fmt.Sprintf("%s\x00%016x\x00%s", list[0].Label, math.Float64bits(draw), key) // bits rise as draw does
		for _, d := range list {
			text += "\x00" + d.Text
		}
		return s.byDraw.Add(text)
	})
	if err != nil {
		return 0, nil, err
	}
	_, err = s.byDraw.Each(func(text string) error {
		f := strings.Split(text, "\x00")
		label, texts := f[0], f[3:]
		valid := len(texts) <= quota[label]
		if valid {
			quota[label] -= len(texts)
		}
		for _, t := range texts {
			if err := yield(Drawn{label, t, valid}); err != nil {
				return err
			}
		}
		return nil
	})
	return twice, first, err
}

// keys visits the photographs of each key together.
func (s *Stream) keys(visit func(key string, list []Drawn) error) error {
	last, list := "", []Drawn(nil)
	_, err := s.byKey.Each(func(text string) error {
		f := strings.SplitN(text, "\x00", 3)
		if len(f) != 3 {
			return errors.New("draw: a photograph without a label: " + strconv.Quote(text))
		}
		if len(list) > 0 && f[0] != last {
			if err := visit(last, list); err != nil {
				return err
			}
			list = nil
		}
		last, list = f[0], append(list, Drawn{Label: f[1], Text: f[2]})
		return nil
	})
	if err != nil || len(list) == 0 {
		return err
	}
	return visit(last, list)
}

// Close frees temporary files.
func (s *Stream) Close() error { return errors.Join(s.byKey.Close(), s.byDraw.Close()) }
