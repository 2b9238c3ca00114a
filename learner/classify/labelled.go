package classify

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"finetune/dataset"
	"finetune/dataset/exclude"
	"finetune/internal/failure"
	"finetune/internal/naming"
	"finetune/internal/plural"
	"finetune/internal/remote"
	"finetune/learner/features"
	"finetune/learner/runs"
)

// labelled lists photographs with labels but those that data excludes, says where they are and what is odd
// about them.
func (c *Classifier) labelled(data runs.DataConfig) (items []dataset.Item, where string, warnings []string, err error) {
	root := data.Path
	if root == "" && c.Trained != nil {
		root = c.Trained.Config.Data.Path
	}
	var list *exclude.List
	if data.Exclude != "" {
		if list, err = exclude.Read(data.Exclude, root); err != nil {
			return nil, "", nil, failure.Data(err)
		}
	}
	items, where, warnings, err = c.labelledIn(data)
	if err != nil || list == nil {
		return items, where, warnings, err
	}
	below := ""
	if rel, err := filepath.Rel(root, where); err == nil && data.Path != "" && data.Labels == "" {
		below = filepath.ToSlash(rel) // DATA/valid
	}
	n := len(items)
	items = slices.DeleteFunc(items, func(it dataset.Item) bool { return list.Has(path.Join(below, it.Path)) })
	if n > 0 && len(items) == 0 {
		err = fmt.Errorf("learner: --exclude %s names each of %s of %s", data.Exclude,
			plural.Count(n, "labelled photograph"), where)
	}
	if n == len(items) { // it may name training photographs alone
		warnings = append(warnings, fmt.Sprintf("learner: --exclude %s names none of these photographs", data.Exclude))
	}
	return items, where, warnings, failure.Data(err)
}

func (c *Classifier) labelledIn(data runs.DataConfig) (items []dataset.Item, where string, warnings []string,
	err error) {
	switch {
	case data.Labels != "":
		return c.fromCSV(data)
	case data.Path != "":
		return c.fromFolders(data.Path)
	case c.Trained == nil:
		return nil, "", nil, failure.Usage(
			fmt.Errorf("learner: %s: an exported file has no photographs of its own; name DATA", c.Source))
	}
	set, err := c.OwnData()
	if err != nil {
		return nil, "", nil, err
	}
	return set.Valid, c.Trained.Config.Data.Name(), set.Warnings, nil
}

// OwnData lists the photographs that the run was trained and validated on. It warns where the files that
// name them, or their labels, are no longer those of the run.
func (c *Classifier) OwnData() (*dataset.Set, error) {
	now := c.Trained.Config
	now.Data.LabelsDigest, now.Data.ExcludeDigest = "", ""
	set, err := features.List(&now, nil)
	if err != nil {
		return nil, fmt.Errorf("%w (the data of %s; name DATA if it has moved)", err, c.Source)
	}
	if !slices.EqualFunc(set.Classes, c.Classes, naming.SameName) {
		return nil, failure.Data(fmt.Errorf("learner: %s: has the classes %s, but %s was trained on %s",
			c.Trained.Config.Data.Path, strings.Join(set.Classes, ", "), c.Source, strings.Join(c.Classes, ", ")))
	}
	if set.Drawn && now.Data.Group != "" { // by features, perhaps, which are not at hand
		if err := c.asTrained(set); err != nil {
			return nil, err
		}
	}
	was := c.Trained.Config.Data
	for _, f := range []struct{ name, was, now string }{{was.Labels, was.LabelsDigest, now.Data.LabelsDigest},
		{was.Exclude, was.ExcludeDigest, now.Data.ExcludeDigest}} {
		if f.was != "" && f.was != f.now {
			set.Warnings = append(set.Warnings, fmt.Sprintf("learner: %s was changed since %s was trained", f.name, c.Source))
		}
	}
	return set, nil
}

// asTrained puts the photographs of a set on the sides that the run wrote down.
func (c *Classifier) asTrained(set *dataset.Set) error {
	sides, err := runs.Sides(c.Source)
	if err != nil || sides == nil {
		return err
	}
	all := slices.Concat(set.Train, set.Valid)
	set.Train, set.Valid = nil, nil
	for _, it := range all {
		to := &set.Train
		if sides[it.Path] == "valid" {
			to = &set.Valid
		}
		*to = append(*to, it)
	}
	if len(set.Valid) == 0 {
		return failure.Data(fmt.Errorf("learner: %s: none of the validation photographs of %s is there; name DATA if it has "+
			"moved", c.Trained.Config.Data.Name(), c.Source))
	}
	return nil
}

// fromFolders reads ROOT/valid/CLASS/*, or that of another usual name, or ROOT/CLASS/*.
func (c *Classifier) fromFolders(root string) ([]dataset.Item, string, []string, error) {
	root, err := remote.Root(root)
	if err != nil {
		return nil, "", nil, err
	}
	if valid := dataset.ValidFolder(root); naming.ClassIndex(c.Classes, valid) < 0 {
		root = filepath.Join(root, valid)
	}
	items, warnings, err := dataset.Files(root)
	if err != nil {
		return nil, "", nil, err
	}
	for i, it := range items {
		class, _, _ := strings.Cut(it.Path, "/")
		if items[i].Label = naming.ClassIndex(c.Classes, class); items[i].Label < 0 {
			return nil, "", nil, failure.Data(fmt.Errorf("learner: %s: in the folder %q, which is no class of %s (%s); put "+
				"each photograph into the folder of its class",
				filepath.Join(root, it.Path), class, c.Source, strings.Join(c.Classes, ", ")))
		}
		if c.Multi {
			items[i].Labels = []int{items[i].Label}
		}
	}
	return items, root, warnings, nil
}

// fromCSV reads the rows of a labels file whose split is valid, or all of a
// file without that column.
func (c *Classifier) fromCSV(data runs.DataConfig) ([]dataset.Item, string, []string, error) {
	sep := data.LabelSep
	switch {
	case !c.Multi && sep != "":
		return nil, "", nil, failure.Usage(fmt.Errorf("learner: %s was trained with one label a photograph; leave "+
			"--label-sep out", c.Source))
	case c.Multi && sep == "":
		sep = c.Separator
	}
	set, err := dataset.Labelled(data.Path, dataset.Options{Labels: data.Labels, LabelSep: sep})
	if err != nil {
		return nil, "", nil, err
	}
	items := set.Valid
	index := make([]int, len(set.Classes))
	for i, name := range set.Classes {
		if index[i] = naming.ClassIndex(c.Classes, name); index[i] < 0 {
			return nil, "", nil, failure.Data(fmt.Errorf("learner: %s: %q is no class of %s (%s)", data.Labels, name, c.Source,
				strings.Join(c.Classes, ", ")))
		}
	}
	for i := range items {
		if items[i].Label >= 0 {
			items[i].Label = index[items[i].Label]
		}
		for k, l := range items[i].Labels {
			items[i].Labels[k] = index[l]
		}
	}
	return items, data.Labels, set.Warnings, nil
}
