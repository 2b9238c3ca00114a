package golden_test

import (
	"testing"

	"finetune/internal/golden"
)

// A picture that must not change.
func Example() {
	var t *testing.T // of the test
	var picture []byte
	golden.PNG(t, "loss-by-step", picture) // testdata/plots/loss-by-step.png at the module root
}
