package features

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/learner/runs"
)

const shownClasses = 16 // listed one by one

// Tell says what was found for a configuration: the parts, each class with its photographs,
// what was decided about the layout and what was left out.
func Tell(ui runs.UI, c runs.Config, set *dataset.Set) {
	TellOf(ui, c, set, set.Counts(), [3]int{len(set.Train), len(set.Valid), len(set.Test)})
}

// TellOf is Tell of a set that holds no photographs: so many of each class, and n to train, validate and test on.
func TellOf(ui runs.UI, c runs.Config, set *dataset.Set, counts []dataset.Count, n [3]int) {
	ui.Say("data       %s: %d train, %d valid, %s in %s", c.Data.Name(), n[0], n[1], plural.Count(n[2], "test photograph"),
		plural.Count(len(set.Classes), "class"))
	TellClasses(ui, counts)
	if set.Drawn && (c.Data.Group == "" || c.Data.Column() != "") { // else not drawn yet
		ui.Say("held out   %d of %s for validation, drawn by class with --seed %d", n[1],
			plural.Count(n[0]+n[1], "photograph"), c.Train.Seed)
	}
	if set.Excluded > 0 {
		ui.Say("excluded   %s that %s names", plural.Count(set.Excluded, "photograph"), c.Data.Exclude)
	}
	for _, n := range set.Notes {
		ui.Say("layout     %s", n)
	}
	for _, w := range set.Warnings {
		ui.Warn("%s", w)
	}
}

// TellClasses says how many photographs each class has.
func TellClasses(ui runs.UI, counts []dataset.Count) {
	for i, line := range classLines(counts) {
		head := ""
		if i == 0 {
			head = "classes"
		}
		ui.Say("%-10s %s", head, line)
	}
}

// classLines has a line a class, or where there are many, what they have in common.
func classLines(counts []dataset.Count) []string {
	if len(counts) > shownClasses {
		return manyClasses(counts)
	}
	width := 0
	test := slices.ContainsFunc(counts, func(c dataset.Count) bool { return c.Test > 0 })
	for _, c := range counts {
		width = max(width, len([]rune(plainName(c.Class))))
	}
	lines := make([]string, len(counts))
	for i, c := range counts {
		lines[i] = fmt.Sprintf("%-*s %6d train %6d valid", width, plainName(c.Class), c.Train, c.Valid)
		if test {
			lines[i] += fmt.Sprintf(" %6d test", c.Test)
		}
	}
	return lines
}

func manyClasses(counts []dataset.Count) []string {
	first, last := counts[:shownClasses/4], counts[len(counts)-shownClasses/4:]
	names := func(list []dataset.Count) string {
		words := make([]string, len(list))
		for i, c := range list {
			words[i] = plainName(c.Class)
		}
		return strings.Join(words, ", ")
	}
	byTrain := func(a, b dataset.Count) int { return a.Train - b.Train }
	least, most := slices.MinFunc(counts, byTrain), slices.MaxFunc(counts, byTrain)
	return []string{
		fmt.Sprintf("%s … %s", names(first), names(last)),
		fmt.Sprintf("fewest %s (%d train, %d valid), most %s (%d train, %d valid)",
			plainName(least.Class), least.Train, least.Valid, plainName(most.Class), most.Train, most.Valid),
	}
}

// plainName quotes a name that would disturb a terminal or the eye.
func plainName(name string) string {
	if name != strings.TrimSpace(name) || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return strconv.Quote(name)
	}
	return name
}

// Counts are the readable photographs of each class.
func (f *Features) Counts(classes []string) []dataset.Count {
	s := dataset.Set{Classes: classes, Train: f.Train.Items, Valid: f.Valid.Items, Test: f.Test.Items}
	return s.Counts()
}

// checkLeft asks of the photographs that could be read what dataset.Open asked
// of the list, and what only their content tells.
func (s *Setup) checkLeft(f *Features) error {
	if s.part || s.looked {
		return nil
	}
	before, left := s.Set.Counts(), f.Counts(s.Set.Classes)
	for i, c := range left {
		if c.Train == 0 && before[i].Train > 0 {
			return failure.Data(fmt.Errorf("learner: %s: class %q: none of its %s can be "+
				"read%s; repair them, or remove the class",
				s.Config.Data.Name(), c.Class, plural.Count(before[i].Train, "training photograph"), s.firstSkipped(f, i)))
		}
		if c.Valid == 0 && before[i].Valid > 0 {
			s.UI.Warn("class %q: none of its %s can be read, so its accuracy is not known",
				c.Class,
				plural.Count(before[i].Valid, "validation photograph"))
		}
		if c.Train == 1 && before[i].Train > 1 {
			s.UI.Warn("class %q: only one of its %s can be read; add more", c.Class,
				plural.Count(before[i].Train, "training photograph"))
		}
	}
	if !s.Set.Drawn {
		s.checkEqual(f)
	}
	return nil
}

// firstSkipped says what is wrong with the first unreadable training photograph of a class.
func (s *Setup) firstSkipped(f *Features, class int) string {
	bad := map[string]runs.Skipped{}
	for _, b := range f.Skipped {
		bad[b.Path] = b
	}
	for _, it := range s.Set.Train {
		if b, ok := bad[it.Path]; ok && (it.Label == class || slices.Contains(it.Labels, class)) {
			return fmt.Sprintf(" (%s: %s)", b.Path, b.Reason)
		}
	}
	return ""
}

// checkEqual warns about files that are in both parts, and about files with two
// labels. Where the validation part was drawn, neither can be new.
func (s *Setup) checkEqual(f *Features) {
	type place struct{ path, label string }
	first := map[string]place{} // by digest; training photographs come first
	var shared, labels []string
	note := func(items []dataset.Item, valid bool) {
		fresh := map[string]place{}
		for _, it := range items {
			here := place{it.Path, fmt.Sprint(it.Label, it.Labels)}
			seen, again := first[it.Digest]
			if again && valid {
				shared = append(shared, fmt.Sprintf("%s is %s", here.path, seen.path))
			} else if !again {
				seen, again = fresh[it.Digest]
			}
			switch {
			case it.Digest == "":
			case !again:
				fresh[it.Digest] = here
			case seen.label != here.label:
				labels = append(labels, fmt.Sprintf("%s and %s", seen.path, here.path))
			}
		}
		maps.Copy(first, fresh)
	}
	note(f.Train.Items, false)
	note(f.Valid.Items, true)
	if len(shared) > 0 {
		s.UI.Warn("%d of %s %s, so the accuracy is too "+
			"optimistic (%s)", len(shared),
			plural.Count(len(f.Valid.Items), "validation photograph"),
			plural.Form(len(shared), "is also a training photograph", "are also training photographs"), shared[0])
	}
	if len(labels) > 0 {
		s.UI.Warn("%s again with another label (%s)",
			plural.Of(len(labels), "photograph appears", "photographs appear"), labels[0])
	}
}
