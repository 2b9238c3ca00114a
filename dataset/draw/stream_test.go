package draw

import (
	"fmt"
	"strconv"
	"testing"

	"finetune/internal/rng"
)

// A Stream draws what Hold draws, copies and copies with other labels included, in memory and
// through files.
func TestStreamIsHold(t *testing.T) {
	for seed := range uint64(12) {
		r, p := rng.New(seed), Photographs{}
		s := Stream{Share: .1 + r.Float64()/2, Seed: seed}
		if seed%2 == 0 {
			s.byKey.Limit, s.byDraw.Limit = 400, 400
		}
		n := 2 + r.Intn(300)
		for i := range n {
			p.Keys = append(p.Keys, strconv.Itoa(r.Intn(1+n*int(1+seed%4))))
			p.Labels = append(p.Labels, r.Intn(4))
			if err := s.Add(strconv.Itoa(p.Labels[i]), p.Keys[i], fmt.Sprintf("%05d", i)); err != nil {
				t.Fatal(err)
			}
		}
		valid, twice := p.Hold(s.Share, seed)
		seen := make([]bool, n)
		many, first, err := s.Each(func(d Drawn) error {
			i, err := strconv.Atoi(d.Text)
			if err != nil || seen[i] || d.Label != strconv.Itoa(p.Labels[i]) || d.Valid != valid[i] {
				t.Errorf("seed %d: %+v, %v; Hold says %v", seed, d, err, valid[i])
			}
			seen[i] = true
			return nil
		})
		if err != nil || many != len(twice) || len(twice) > 0 && fmt.Sprint(len(twice[0])) != fmt.Sprint(len(first)) {
			t.Errorf("seed %d: %d twice, first %v, %v; want %v", seed, many, first, err, twice)
		}
		for i, was := range seen {
			if !was {
				t.Fatalf("seed %d: photograph %d is lost", seed, i)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}
