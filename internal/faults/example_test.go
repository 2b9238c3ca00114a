package faults_test

import (
	"fmt"
	"os"

	"finetune/internal/durable"
	"finetune/internal/faults"
)

// The disk is full from the thirteenth step on.
func Example() {
	f := faults.Inject(faults.Full, 12)
	err := durable.WriteFile("result.txt", []byte("text"))
	steps := f.Restore()
	fmt.Fprintln(os.Stderr, err, len(steps))
}
