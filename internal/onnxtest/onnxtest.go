// Package onnxtest starts ONNX Runtime in tests that need it.
package onnxtest

import (
	"errors"
	"testing"

	"finetune/onnx"
)

// Start loads the library or skips the test, saying how to get it.
func Start(t testing.TB) {
	t.Helper()
	_, err := onnx.Start("")
	if errors.Is(err, onnx.ErrNoLibrary) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}
