package draw

import (
	"fmt"
	"slices"
	"testing"

	"finetune/internal/rng"
)

// series makes n photographs in groups of 1 to most, of several classes, the classes of a
// group mixed.
func series(n, most, classes int, seed uint64) Photographs {
	s, p := rng.New(seed), Photographs{}
	for g := 0; len(p.Keys) < n; g++ {
		for range 1 + s.Intn(most) {
			p.Keys = append(p.Keys, fmt.Sprintf("%016x", s.Uint64()))
			p.Labels = append(p.Labels, s.Intn(classes))
			p.Groups = append(p.Groups, fmt.Sprint("series ", g))
		}
	}
	return p
}

func TestGroupsStayTogetherAndSharesAreMet(t *testing.T) {
	for _, most := range []int{1, 4, 30, 100} {
		for seed := range uint64(20) {
			p := series(600, most, 3, seed)
			valid, twice := p.Hold(.2, seed)
			side, held, all := map[string]bool{}, map[int]int{}, map[int]int{}
			groups := map[string]bool{}
			for i, v := range valid {
				if was, seen := side[p.Groups[i]]; seen && was != v {
					t.Fatalf("most %d, seed %d: %s is on both sides", most, seed, p.Groups[i])
				}
				side[p.Groups[i]] = v
				all[p.Labels[i]]++
				if v {
					held[p.Labels[i]]++
					groups[p.Groups[i]] = true
				}
			}
			if len(twice) > 0 {
				t.Errorf("groups may have several labels: %v", twice)
			}
			for label, n := range all {
				if share := float64(held[label]) / float64(n); share < .1 || share > .3 {
					t.Errorf("groups of up to %d, seed %d: %.3f of class %d are held out", most, seed, share, label)
				}
			}
			if len(groups) < 2 {
				t.Errorf("groups of up to %d, seed %d: only %d groups to validate on", most, seed, len(groups))
			}
			again, _ := p.Hold(.2, seed)
			if !slices.Equal(valid, again) {
				t.Error("another draw of the same")
			}
		}
	}
}

func TestEveryClassKeepsPhotographsToTrainOn(t *testing.T) {
	p := Photographs{ // class 1 is one group alone, class 2 is two
		Labels: []int{0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 2, 2},
		Keys:   []string{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m"},
		Groups: []string{"1", "1", "2", "2", "", "", "3", "3", "4", "4", "5", "5", "6"},
	}
	for seed := range uint64(50) {
		valid, _ := p.Hold(.25, seed)
		train, held := map[int]int{}, map[int]int{}
		for i, v := range valid {
			if v {
				held[p.Labels[i]]++
			} else {
				train[p.Labels[i]]++
			}
		}
		if train[0] == 0 || train[1] != 2 || train[2] == 0 || held[0] == 0 || held[2] == 0 {
			t.Errorf("seed %d: train %v, valid %v", seed, train, held)
		}
	}
}

func TestEqualFilesJoinGroups(t *testing.T) {
	p := series(200, 5, 2, 1)
	p.Keys[0] = p.Keys[150] // a copy in another series
	for seed := range uint64(20) {
		valid, _ := p.Hold(.3, seed)
		for i, g := range p.Groups {
			if (g == p.Groups[0] || g == p.Groups[150]) && valid[i] != valid[0] {
				t.Fatalf("seed %d: series that share a photograph are on two sides", seed)
			}
		}
	}
}

// A photograph added moves few others, with groups as without.
func TestStability(t *testing.T) {
	for _, grouped := range []bool{false, true} {
		p := series(400, 6, 2, 3)
		if !grouped {
			p.Groups = nil
		}
		before, _ := p.Hold(.2, 0)
		p.Keys, p.Labels = append(p.Keys, "ffff"), append(p.Labels, 0)
		if grouped {
			p.Groups = append(p.Groups, "new")
		}
		after, _ := p.Hold(.2, 0)
		moved := 0
		for i, v := range before {
			if after[i] != v {
				moved++
			}
		}
		if moved > 40 {
			t.Errorf("grouped %v: %d of 400 moved", grouped, moved)
		}
	}
}

func ExamplePhotographs_Hold() {
	p := Photographs{Labels: []int{0, 0, 0, 1, 1, 1}, Keys: []string{"a", "b", "a", "c", "d", "e"}}
	valid, twice := p.Hold(.34, 0)
	fmt.Println(valid[0] == valid[2], len(twice))
	// Output: true 0
}
