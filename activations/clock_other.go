//go:build !linux

package activations

import "time"

var began = time.Now()

// threadTime is wall time where the system has no clock for one thread.
func threadTime() time.Duration { return time.Since(began) }
