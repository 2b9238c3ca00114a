package lock_test

import (
	"log"

	"finetune/internal/lock"
)

// One process at a time.
func Example() {
	l, err := lock.Take("run/.lock", "a run", false)
	if err != nil {
		log.Fatal(err)
	}
	defer l.Close()
}
