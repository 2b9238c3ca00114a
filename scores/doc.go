// Package scores writes tables of predictions, one row a file, and survives
// being killed while it does.
//
//	s := scores.Schema(classes, scores.Options{})
//	j, err := scores.OpenJournal("out.csv", key) // j.Len() rows are there already
//	err = j.Append(rows)                         // a chunk, whole or not at all
//	err = scores.Write("out.csv", s, j.Rows, false)
//	err = j.Remove()
//
// The ending of a name chooses the format: .csv, .jsonl or .parquet. Equal rows
// make equal bytes. Merge joins the parts that shards wrote into the file that
// one run would have written.
package scores
