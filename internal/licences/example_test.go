package licences_test

import (
	"fmt"
	"log"

	"finetune/internal/licences"
)

// The licences of all that is linked in.
func Example() {
	list, err := licences.Linked("nodynamic")
	if err != nil {
		log.Fatal(err)
	}
	for _, m := range list {
		fmt.Println(m.Path, m.Version, m.IDs())
	}
}
