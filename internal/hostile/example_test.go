//go:build unix

package hostile_test

import (
	"log"
	"os"

	"finetune/internal/hostile"
)

// Five thousand files that are broken in some way.
func Example() {
	seeds, err := hostile.Seeds("photos")
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range hostile.Images(seeds, 5000, 7) {
		if err := os.WriteFile(f.Name, f.Data, 0o666); err != nil {
			log.Fatal(err)
		}
	}
}
