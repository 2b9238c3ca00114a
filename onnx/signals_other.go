//go:build !unix

package onnx

func keepSignals() (restore func()) { return func() {} }
