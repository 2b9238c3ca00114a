//go:build !linux

package durable

import "errors"

// exchange is one step on Linux alone.
var exchange = func(string, string) error { return errors.ErrUnsupported }
