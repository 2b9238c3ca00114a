package scores_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"finetune/scores"
)

// A table is written chunk by chunk into a journal, which a killed process finds
// again, and then whole.
func Example() {
	dir, err := os.MkdirTemp("", "scores")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "out.csv")

	table, err := scores.NewTable([]string{"ant", "bee"}, scores.Options{})
	if err != nil {
		log.Fatal(err)
	}
	j, err := scores.OpenJournal(out, table.Columns, "what the rows depend on", false)
	if err != nil {
		log.Fatal(err)
	}
	defer j.Close()
	row := table.Row(scores.Result{Path: "a.jpg", Status: scores.OK, LogProb: []float32{-1.3862944, -0.2876821}})
	if err := j.Append([]scores.Row{row}); err != nil { // whole or not at all
		log.Fatal(err)
	}
	fmt.Println("rows that are there already:", j.Len())
	if err := scores.Write(out, table.Columns, j.Rows, false); err != nil {
		log.Fatal(err)
	}
	if err := j.Remove(); err != nil {
		log.Fatal(err)
	}
	text, err := os.ReadFile(out)
	fmt.Print(string(text), err)
	// Output:
	// rows that are there already: 1
	// path,status,reason,predicted,probability,p_ant,p_bee
	// a.jpg,ok,,bee,0.75,0.25,0.75
	// <nil>
}
