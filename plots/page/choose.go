package page

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"finetune/internal/plural"
	"finetune/internal/rng"
	"finetune/plots"
)

// task chooses the photographs worth looking at. Lists are indices into ps;
// equals keep their order.
type task struct {
	classes []string
	multi   bool
	ps      []plots.Prediction
}

// right reports whether photograph i got its class, or all of its labels: a
// label counts as predicted above a probability of one half.
func (t task) right(i int) bool {
	p := t.ps[i]
	if !t.multi {
		return p.Right()
	}
	for c := range t.classes {
		if p.Is(c, true) != p.Says(c) {
			return false
		}
	}
	return true
}

// truth names the true class or labels.
func (t task) truth(i int) string {
	return t.named(func(c int) bool { return t.ps[i].Is(c, t.multi) })
}

// said names what was predicted.
func (t task) said(i int) string {
	p := t.ps[i]
	if !t.multi {
		return t.name(p.Predicted())
	}
	return t.named(p.Says)
}

func (t task) named(has func(int) bool) string {
	var names []string
	for c := range t.classes {
		if has(c) {
			names = append(names, t.classes[c])
		}
	}
	if names == nil {
		return "none"
	}
	return strings.Join(names, ", ")
}

func (t task) name(c int) string {
	if c < 0 || c >= len(t.classes) {
		return "unknown"
	}
	return t.classes[c]
}

// sure is the probability of the predicted class; of labels, that of the least
// certain decision.
func (t task) sure(i int) float64 {
	p := t.ps[i]
	if !t.multi {
		return p.Probability(p.Predicted())
	}
	least := 1.0
	for c := range t.classes {
		q := p.Probability(c)
		least = min(least, max(q, 1-q))
	}
	return least
}

// which lists the photographs that keep says, in order of rank, at most n.
func (t task) which(n int, keep func(i int) bool, rank func(i int) float64) []int {
	var out []int
	for i := range t.ps {
		if keep(i) {
			out = append(out, i)
		}
	}
	ranks := make(map[int]float64, len(out))
	for _, i := range out {
		ranks[i] = rank(i)
	}
	slices.SortStableFunc(out, func(a, b int) int { return cmp.Compare(ranks[a], ranks[b]) })
	return out[:min(n, len(out))]
}

// mostCorrect are photographs of class c, called so, that it was surest of.
func (t task) mostCorrect(c, n int) []int {
	return t.which(n, func(i int) bool { return t.ps[i].Is(c, t.multi) && t.rightAbout(i, c) },
		func(i int) float64 { return -t.ps[i].Probability(c) })
}

// mostIncorrect are photographs of class c that it gave the least probability;
// of labels, also those wrongly given c, by the size of the error.
func (t task) mostIncorrect(c, n int) []int {
	return t.which(n, func(i int) bool { return (t.multi || t.ps[i].Label == c) && !t.rightAbout(i, c) },
		func(i int) float64 {
			if t.ps[i].Is(c, t.multi) {
				return t.ps[i].Probability(c)
			}
			return 1 - t.ps[i].Probability(c)
		})
}

func (t task) rightAbout(i, c int) bool {
	if !t.multi {
		return t.right(i)
	}
	return t.ps[i].Is(c, true) == t.ps[i].Says(c)
}

// mostUncertain are the photographs whose prediction was the least sure.
func (t task) mostUncertain(n int) []int {
	return t.which(n, func(int) bool { return true }, t.sure)
}

// odd are the photographs most unlike the training photographs, of those that are odd.
func (t task) odd(n int) []int {
	return t.which(n, func(i int) bool { return t.ps[i].Oddness > 1 },
		func(i int) float64 { return -float64(t.ps[i].Oddness) })
}

// atRandom draws n of the right or of the wrong photographs, by seed.
func (t task) atRandom(right bool, n int, seed uint64) []int {
	s := rng.New(seed, rng.Text("gallery"))
	return t.which(n, func(i int) bool { return t.right(i) == right }, func(int) float64 { return s.Float64() })
}

// worstFirst orders classes by F1, those without photographs last.
func worstFirst(scores []plots.ClassScore) []int {
	order := make([]int, len(scores))
	for c := range order {
		order[c] = c
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(f1Rank(scores[a]), f1Rank(scores[b])) })
	return order
}

func f1Rank(s plots.ClassScore) float64 {
	if s.True == 0 || math.IsNaN(s.F1) {
		return 2
	}
	return s.F1
}

// scores summarises every class.
func (t task) scores() []plots.ClassScore {
	if !t.multi {
		return plots.ClassScores(plots.Confusions(t.ps, len(t.classes)))
	}
	out := make([]plots.ClassScore, len(t.classes))
	for c := range out {
		isClass, called, both := 0, 0, 0
		for _, p := range t.ps {
			yes := p.Says(c)
			if p.Is(c, true) {
				isClass++
				if yes {
					both++
				}
			}
			if yes {
				called++
			}
		}
		out[c] = plots.NewClassScore(isClass, called, both)
	}
	return out
}

// mistakes are wrong photographs with neighbours, what looks like a fault of
// the data first, then by how little probability the truth got; at most n.
func (t task) mistakes(n int) []int {
	return t.which(n, func(i int) bool { return !t.right(i) && len(t.ps[i].Neighbours) > 0 }, func(i int) float64 {
		rank := t.ps[i].Probability(t.ps[i].Label)
		if t.multi {
			rank = t.sure(i)
		}
		if t.suspicion(i) != "" {
			rank -= 2
		}
		return rank
	})
}

// suspicion says what in the neighbours of mistake i points at the data rather
// than the model, "" if nothing does.
func (t task) suspicion(i int) string {
	p := t.ps[i]
	agree := 0
	for _, n := range p.Neighbours {
		if n.Duplicate && n.Label != p.Label && !t.multi {
			return "Exact duplicate of a training photograph with another label: one of the labels is wrong."
		}
		if n.Duplicate {
			return "Exact duplicate of a training photograph: it should be in only one of the two splits."
		}
		if n.Label == p.Predicted() {
			agree++
		}
	}
	if !t.multi && agree >= 3 && agree == len(p.Neighbours) {
		return "Look at its label: all its nearest training photographs have the predicted class."
	}
	return ""
}

// logLoss is the mean loss in nats: the cross-entropy of classes, or the mean
// binary cross-entropy of labels.
func (t task) logLoss() float64 {
	if !t.multi {
		return plots.LogLoss(t.ps)
	}
	loss := 0.0
	for _, p := range t.ps {
		for c := range t.classes {
			q := p.Probability(c)
			if !p.Is(c, true) {
				q = 1 - q
			}
			loss -= math.Log(max(q, 1e-7)) // float32 rounds to 1 beyond that
		}
	}
	return loss / float64(len(t.ps)*len(t.classes))
}

// honesty is how far probabilities are from the share of right predictions.
func (b *builder) honesty() tile {
	_, ece, chance := plots.Calibration(b.t.ps)
	note := fmt.Sprintf("between confidence and accuracy; %.1f by chance alone", 100*chance)
	if t := b.r.Temperature; t > 0 {
		_, raw, _ := plots.Calibration(plots.WithoutTemperature(b.t.ps, t))
		note += fmt.Sprintf(", %.1f without the temperature", 100*raw)
	}
	if e := b.r.CrossedError; e != nil {
		note += fmt.Sprintf(". The temperature was chosen on these photographs; %.1f on others, by folds", 100**e)
	}
	return tile{"Calibration error", fmt.Sprintf("%.1f points", 100*ece), note}
}

// final is the accuracy that a recipe did not choose by, where there is one.
func (b *builder) final() []tile {
	a := b.r.Aside
	if a == nil {
		return nil
	}
	return []tile{{"Final accuracy", fmt.Sprintf("%.1f %%", 100*a.Accuracy),
		fmt.Sprintf("of %s set aside, by which nothing was chosen; 95 %% interval %.1f to %.1f",
			plural.Count(a.Images, "photograph"), 100*a.Interval[0], 100*a.Interval[1])}}
}
