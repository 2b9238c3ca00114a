//go:build !linux

package onnx

func preload(dir string) {}
