// Package scores writes tables of predictions, one row a file, and survives
// being killed while it does.
//
// The ending of a name chooses the format: .csv, .jsonl or .parquet. Equal rows
// make equal bytes. Merge joins the parts that shards wrote into the file that
// one run would have written.
package scores
