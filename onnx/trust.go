package onnx

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"finetune/internal/fetch"
)

var trusting sync.Map // path -> *func() error

// trusted begins to compare the library at path with its digest and returns what
// waits for the outcome; the same for each call. Libraries are 30 MB, so it goes
// on beside whatever else a command opens.
func trusted(path string) func() error {
	made := sync.OnceValue(func() error {
		if Named(path) {
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

// Named reports whether path is the library that ONNXRUNTIME_LIB names.
func Named(path string) bool {
	own := os.Getenv("ONNXRUNTIME_LIB")
	abs, err := filepath.Abs(own)
	return own != "" && (own == path || err == nil && abs == path)
}

// Prepare begins the checks that Start makes of the library at path.
func Prepare(path string) { trusted(path) }
