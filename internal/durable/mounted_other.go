//go:build !linux

package durable

// Mounted is known on Linux alone; elsewhere the rename says so.
func Mounted(string) bool { return false }
