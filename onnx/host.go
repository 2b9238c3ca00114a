package onnx

import (
	"fmt"

	"finetune/internal/plural"
)

// Host is memory outside Go's heap. Owned by who asked for it, freed by Close.
type Host struct {
	Data []float32 // not to be touched after Close
	free func()
}

// Floats returns n zeros in host memory that the session's device copies from
// and to by itself: for a GPU page-locked ("pinned"), so that a copy neither
// takes a processor's time nor waits for one, and goes on while the device
// computes another run. For a CPU it is ONNX Runtime's own. Tensors may view it.
// Close it before the session.
func (s *Session) Floats(n int) (*Host, error) {
	if n < 1 {
		return nil, fmt.Errorf("onnx: %s: memory for %s", s.name, plural.Count(n, "number"))
	}
	h, err := s.floats(n)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %d MB of memory that the device reads: %w", s.name, 4*n>>20, err)
	}
	return h, nil
}

// Close frees the memory. Twice is fine.
func (h *Host) Close() {
	if h == nil {
		return
	}
	if h.free != nil {
		h.free()
	}
	h.Data, h.free = nil, nil
}
