// Package onnxtest starts ONNX Runtime in tests that need it.
package onnxtest

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"finetune/onnx"
)

// Device is where tests run that care: FINETUNE_TEST_DEVICE, or the processor.
func Device() string { return cmp.Or(os.Getenv("FINETUNE_TEST_DEVICE"), "cpu") }

// Start loads the library for Device or skips the test, saying how to get it.
func Start(t testing.TB) {
	t.Helper()
	path, err := onnx.FindLibrary(cmp.Or(os.Getenv("FINETUNE_TEST_DEVICE"), "auto"))
	if err == nil {
		_, err = onnx.Start(path)
	}
	if errors.Is(err, onnx.ErrNoLibrary) {
		t.Skipf("skipped: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Home makes dir the home of the test and of the programs it starts, with the libraries that were found elsewhere:
// the ONNX Runtime for device, without which the test is skipped, and oneDNN, without which they do without.
func Home(t testing.TB, device, dir string) {
	t.Helper()
	for name, value := range Libraries(t, device) {
		t.Setenv(name, value)
	}
	t.Setenv("FINETUNE_HOME", dir)
}

// Libraries are the variables that name the libraries found here to a program with another home.
func Libraries(t testing.TB, device string) map[string]string {
	t.Helper()
	lib, err := onnx.FindLibrary(device)
	if err != nil {
		t.Skipf("skipped: %v", err)
	}
	operators, err := onnx.OneDNN()
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{"ONNXRUNTIME_LIB": lib, "FINETUNE_ONEDNN": cmp.Or(operators, "off")}
}

// Data is the path of a file in testdata, from a package's folder or, for a test
// binary that is run elsewhere, from one that lies a level deeper.
func Data(t testing.TB, name string) string {
	t.Helper()
	for _, up := range []string{"..", "../.."} {
		if path := filepath.Join(up, "testdata", name); exists(path) {
			return path
		}
	}
	t.Fatalf("no testdata/%s in the folders above", name)
	return ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
