package config

import (
	"context"
	"runtime"

	"finetune/activations"
	"finetune/augment/picture"
	"finetune/internal/home"
	"finetune/onnx"
)

// Machine says where and with how much of it; results do not depend on it
// beyond the device.
type Machine struct {
	Device  string `json:"device"`
	Threads int    `json:"threads"`
	Workers int    `json:"workers"`
	Cache   string `json:"cache"`
	Runtime string `json:"runtime"` // version of ONNX Runtime
	NoTF32  bool   `json:"no_tf32,omitempty"`

	MaxPixels int64 `json:"max_pixels,omitempty"` // of a photograph; 0: picture.DefaultMaxPixels

	TensorBoard bool `json:"tensorboard,omitempty"` // event files beside the tables of a run

	// OneRun has the body run a batch at a time on all threads, for answers that
	// somebody waits for, and not several at once on one thread each.
	OneRun bool `json:"-"`

	Recompute bool `json:"-"` // forget cached features before computing them
	AsDevice  bool `json:"-"` // a processor is fed as a GPU is; for tests
}

// WithDefaults fills empty fields.
func (m Machine) WithDefaults() Machine {
	if m.Device == "" {
		m.Device = "auto"
	}
	if m.Threads == 0 {
		m.Threads = runtime.NumCPU()
	}
	if m.Workers == 0 {
		m.Workers = runtime.NumCPU()
	}
	if m.Cache == "" {
		m.Cache = DefaultCache()
	}
	return m
}

// DefaultCache is where features are cached unless --cache says.
func DefaultCache() string { return home.Path("cache") }

// DeviceRuns is how many runs a device has at once: one computes, one is copied.
const DeviceRuns = 2

// HasDevice reports whether the body computes beside the processors.
func (m Machine) HasDevice() bool { return m.AsDevice || onnx.Accelerated(m.Device) }

// A processor is used best by several runs of a few photographs, each on one
// thread: none waits for another at the end of an operator, and decoding beside
// them does not hold all of them up.
const BatchPhotos = 4

// ConcurrentRuns is how many batches a body computes at once.
func (m Machine) ConcurrentRuns() int {
	if m.OneRun || onnx.Accelerated(m.Device) {
		return 1
	}
	return m.Threads
}

// Session is the options of a session for such runs.
func (m Machine) Session() onnx.Options {
	runs := m.ConcurrentRuns()
	return onnx.Options{Threads: max(m.Threads/runs, 1), Runs: runs, Device: m.Device, NoTF32: m.NoTF32}
}

// Fill is the options of filling a cache, or a stream, by such runs.
func (m Machine) Fill() activations.FillOptions {
	o := activations.FillOptions{Workers: m.Workers, Runs: m.ConcurrentRuns()}
	switch {
	case m.HasDevice():
		o.Runs = DeviceRuns
	case o.Runs > 1:
		o.Batch = BatchPhotos
	}
	return o
}

// Limits is what a decode may take, and what ends it.
func (m Machine) Limits(ctx context.Context) picture.Limits {
	return picture.Limits{MaxPixels: m.MaxPixels, Context: ctx}
}
