package tasks

import (
	"errors"
	"strings"

	"finetune/internal/failure"
	"finetune/internal/sorting"
	"finetune/scores"
)

// between stands between id and path, before any letter, so that ids are sorted as
// scores.SortByID does.
const between = "\x00"

// sortByID gives the paths the order of their ids, which Kaggle's form wants. Two paths with
// one id are failure.Data. Close the Sorter after the last use of the input.
func (in *input) sortByID() (*sorting.Sorter, error) {
	if in.ranges {
		return nil, failure.Usage(errors.New("tasks: --kaggle names files, and these are members of tar files; unpack them"))
	}
	s := new(sorting.Sorter)
	if err := in.each(func(path string) error { return s.Add(scores.ID(path) + between + path) }); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	in.each = func(yield func(string) error) error {
		first, before := true, ""
		_, err := s.Each(func(text string) error {
			_, path, _ := strings.Cut(text, between)
			if !first && scores.ID(path) == scores.ID(before) {
				return scores.OneID(before, path)
			}
			first, before = false, path
			return yield(path)
		})
		return err
	}
	return s, nil
}
