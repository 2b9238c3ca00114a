// Package journal is labels.csv, the file that labelling by eye appends to: what was
// said of a photograph, by whom, when, and what for.
//
//	path,label,who,when,source
//
// A later row of a photograph takes the place of an earlier one; one whose source is undo
// takes the last one back. A row without a label gives none, as where a photograph was
// skipped. The file is only ever appended to, so that nothing that was said is lost.
package journal

import "slices"

// Header is the first line's cells.
var Header = []string{"path", "label", "who", "when", "source"}

// Sources of labels.
const (
	Folder = "folder" // by the name of its folder, or from a labels file
	Valid  = "valid"  // the same, of photographs held out for validation
	Aside  = "aside"  // drawn at random and kept aside, to measure by
	Chosen = "chosen" // asked for because it teaches most
	Random = "random" // drawn at random to learn from
	Grid   = "grid"   // one of several labelled at once
	Review = "review" // looked at again
	Skip   = "skip"   // looked at, and no label given
	Undo   = "undo"   // takes back the photograph's last row
)

var sources = []string{Folder, Valid, Aside, Chosen, Random, Grid, Review, Skip, Undo}

// HeldOut reports whether labels of a source are to measure by, and never to learn from.
func HeldOut(source string) bool { return source == Aside || source == Valid }

// Settle is what rows, in the order in which they were written, say in the end: at most one a
// photograph, in the order of their first rows. of tells a row's path and source.
func Settle[T any](rows []T, of func(T) (path, source string)) []T {
	said := map[string][]T{}
	var order []string
	for _, r := range rows {
		path, source := of(r)
		list, known := said[path]
		if !known {
			order = append(order, path)
		}
		if source != Undo {
			list = append(list, r)
		} else if len(list) > 0 {
			list = list[:len(list)-1]
		}
		said[path] = list
	}
	var out []T
	for _, path := range order {
		if list := said[path]; len(list) > 0 {
			out = append(out, list[len(list)-1])
		}
	}
	return slices.Clip(out)
}
