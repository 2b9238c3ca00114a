//go:build !linux

package onnx

func driverVersion() int { return 0 }
