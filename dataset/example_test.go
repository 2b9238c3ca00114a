package dataset_test

import (
	"fmt"
	"log"

	"finetune/dataset"
)

// A folder of photographs, a fifth of them held out.
func Example() {
	set, err := dataset.Open("photos", dataset.Options{ValidPct: 0.2, Seed: 7})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(set.Classes, len(set.Train), len(set.Valid))
}
