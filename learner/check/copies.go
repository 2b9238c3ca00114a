package check

import (
	"fmt"
	"strings"

	"finetune/audit"
	"finetune/internal/plural"
)

// Copies that somebody made come in ones and twos. Where many photographs have a like one on
// the other side, and the names tell a series or each has several, they are a series.
const (
	twins       = .05 // share of validation photographs with a like one in training
	seriesTwins = 4   // like ones that each of them has
	nextSeries  = 2   // alike photographs of a series and of the second next are of one place still
)

// copies finds photographs that are there twice.
func (r *Result) copies() error {
	p := r.p
	var digests []string
	for _, it := range p.items {
		digests = append(digests, it.Digest)
	}
	found := audit.Copies(digests, p.pairs, p.pictures)
	r.findSeries()
	series := r.seriesOf()
	leaking, exact, inside, contrary, near, pairs := map[int]bool{}, map[int]bool{}, 0, 0, map[int]bool{}, 0
	for _, c := range found {
		a, b := c.A, c.B // b is of a later split, or of the same
		row := p.row(Copy, b, a)
		g, known := series[a]
		h, also := series[b]
		inOne := known && also && r.Series.Found && !c.Exact && max(g-h, h-g) <= nextSeries // said once, as a series
		row.Score, row.Flagged = c.Score, !inOne
		switch {
		case c.Exact:
			row.Detail = "equal files"
		case inOne:
			row.Detail = "alike, in one series"
		case c.How == "":
			row.Detail = "the same picture"
		default:
			row.Detail = "the same picture, " + c.How
		}
		if p.split[a] != p.split[b] {
			row.Detail += fmt.Sprintf("; in %s and in %s", p.split[a], p.split[b])
			leaking[b] = true
			if c.Exact {
				exact[b] = true
			} else if p.split[b] == "valid" {
				near[b] = true
				pairs++
			}
		} else {
			inside++
		}
		if p.split[b] != "test" && p.label(a) != p.label(b) {
			row.Detail += "; with another label"
			contrary++
		}
		r.add(row)
	}
	r.Leaking = len(leaking)
	if float64(len(near)) > twins*float64(p.valid) && (r.Series.Found || pairs > seriesTwins*len(near)) {
		r.likeFilm = float64(len(near)) / float64(p.valid)
	}
	var parts []string
	switch {
	case r.likeFilm > 0 && len(exact) > 0:
		parts = append(parts, plural.Of(len(exact), "exact copy", "exact copies")+" of held-out photographs in training")
	case r.likeFilm == 0 && len(leaking) > 0:
		parts = append(parts, fmt.Sprintf("%s in training as well: the accuracy flatters",
			plural.Of(len(leaking), "held-out photograph is", "held-out photographs are")))
	}
	if inside > 0 && r.likeFilm == 0 {
		atLeast := ""
		if p.partly {
			atLeast = "at least "
		}
		parts = append(parts, atLeast+plural.Of(inside, "copy within a split", "copies within a split"))
	}
	if contrary > 0 && r.likeFilm == 0 {
		parts = append(parts, fmt.Sprintf("%s two labels", plural.Of(contrary, "of the copies has", "of the copies have")))
	}
	if len(parts) > 0 {
		r.say(Copy, strings.Join(parts, "; "))
	}
	return nil
}
