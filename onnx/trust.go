package onnx

import (
	"fmt"
	"os"
	"sync"

	"finetune/internal/fetch"
)

var trusting sync.Map // path -> *func() error

// trusted begins to compare the library at path with its digest and returns what
// waits for the outcome; the same for each call. Libraries are 30 MB, so it goes
// on beside whatever else a command opens.
func trusted(path string) func() error {
	made := sync.OnceValue(func() error {
		if path == os.Getenv("ONNXRUNTIME_LIB") {
			return nil // the user's own choice
		}
		if _, err := fetch.CheckLibrary(path); err != nil {
			return fmt.Errorf("onnx: %w", err)
		}
		return nil
	})
	check, known := trusting.LoadOrStore(path, made)
	if !known {
		go made()
	}
	return check.(func() error)
}

// Prepare begins the checks that Start makes of the library at path.
func Prepare(path string) { trusted(path) }
