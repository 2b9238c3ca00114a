//go:build !(linux && amd64)

package onednn

import (
	"errors"
	"unsafe"
)

// Supported reports whether the operators exist on this system.
const Supported = false

// Load always fails.
func Load(string) error { return errors.New("onednn: not on this system") }

// Loaded is "".
func Loaded() string { return "" }

// Register is not called.
func Register(unsafe.Pointer, unsafe.Pointer, int) unsafe.Pointer { return nil }

// Instructions is "".
func Instructions() string { return "" }
