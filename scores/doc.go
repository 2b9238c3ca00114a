// Package scores writes tables of predictions, one row for each file. If the process is
// killed, the next one continues the table.
//
// The ending of a name chooses the format: .csv, .jsonl or .parquet. Equal rows
// make equal bytes. Merge joins the parts that shards wrote into the file that
// one run would have written.
package scores
