package features

import (
	"fmt"

	"finetune/dataset"
	"finetune/dataset/exclude"
	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/learner/runs"
)

const defaultValidPct = 0.2 // held out where neither the data nor --valid-pct says

// List lists the data of a configuration, and completes it with the digests of the files
// that say which photographs and labels: labels, and what is excluded. take is dataset.Options.Take.
//
// Errors: where the configuration has digests already, as that of a run, files that are
// no longer the same are failure.Usage.
func List(c *runs.Config, take func(part string, it dataset.Item) error) (*dataset.Set, error) {
	seed := c.Train.Seed
	if c.Data.Job != "" { // which was planned before
		seed = c.Data.SplitSeed
	}
	options := dataset.Options{Labels: c.Data.Labels, LabelSep: c.Data.LabelSep, ValidPct: c.Data.ValidPct,
		Fallback: defaultValidPct, Seed: seed, Group: c.Data.Column(), Take: take}
	if c.Data.Exclude != "" {
		var err error
		if options.Exclude, err = exclude.Read(c.Data.Exclude, c.Data.Path); err != nil {
			return nil, failure.Data(err)
		}
		if err := unchanged("--exclude", c.Data.Exclude, &c.Data.ExcludeDigest, options.Exclude.Digest); err != nil {
			return nil, err
		}
	}
	set, err := dataset.Open(c.Data.Path, options) // which says what is wrong with a labels file that cannot be read
	if err != nil || c.Data.Labels == "" {
		return set, err
	}
	now, err := digest.File(c.Data.Labels)
	if err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	return set, unchanged("--labels", c.Data.Labels, &c.Data.LabelsDigest, now)
}

// unchanged notes the digest of a file, or compares it with the one that was noted.
func unchanged(flag, name string, was *string, now string) error {
	if *was != "" && *was != now {
		return failure.Usage(fmt.Errorf("learner: %s %s was changed: its digest is %.12s, this run began with %.12s; put "+
			"the file back, or train again with --overwrite", flag, name, now, *was))
	}
	*was = now
	return nil
}
