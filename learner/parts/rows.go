package parts

import (
	"fmt"
	"strconv"

	"finetune/internal/failure"
	"finetune/internal/half"
	"finetune/scores"
)

// Columns are those of a part: of labelled photographs or others, with so many features.
func Columns(labelled bool, features int) []scores.Column {
	names := []string{"path", "status", "reason"}
	if labelled {
		names = append(names, "label", "split")
	}
	list := make([]scores.Column, 0, len(names)+features)
	for _, name := range names {
		list = append(list, scores.Column{Name: name})
	}
	for i := range features {
		list = append(list, scores.Column{Name: "f_" + strconv.Itoa(i), Number: true})
	}
	return list
}

// Cells are a row of a part. Only labelled photographs have what is known of them; otherwise
// in has a path alone, and label and split are left out.
func Cells(in *Input, status, reason string, features []float32) scores.Row {
	row := make(scores.Row, 0, 5+len(features))
	row = append(row, scores.Cell{Text: in.Path}, scores.Cell{Text: status}, scores.Cell{Text: reason})
	if in.Split != "" {
		row = append(row, scores.Cell{Text: in.Label}, scores.Cell{Text: in.Split})
	}
	for _, v := range features {
		row = append(row, scores.Cell{Number: v})
	}
	return row
}

// Round rounds features to float16, in place. What a float16 cannot hold is failure.Data.
func Round(features []float32) error {
	for i, v := range features {
		if !(v <= half.Max && v >= -half.Max) {
			return failure.Data(fmt.Errorf("the feature %g is more than float16 can hold; plan the job without --float16", v))
		}
		features[i] = half.Float32(half.From(v))
	}
	return nil
}
