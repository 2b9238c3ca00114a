package rng_test

import (
	"fmt"

	"finetune/internal/rng"
)

// Numbers named by counters: the same whatever was drawn before.
func Example() {
	epoch, image := uint64(3), uint64(41)
	s := rng.New(7, epoch, image)
	angle := -10 + 20*s.Float64()
	again := -10 + 20*rng.New(7, epoch, image).Float64()
	fmt.Println(angle == again)
	// Output: true
}
