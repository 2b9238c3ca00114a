package onnx

import (
	"fmt"
	"slices"
	"strings"

	"finetune/internal/failure"
	"finetune/onnx/graph"
	"finetune/onnx/surgery"
)

// faults are what old versions of ONNX Runtime do to a whole process where newer
// ones run a model or refuse it. What a check cannot tell is refused with them.
var faults = []struct {
	before string // the first version without the fault
	check  func(*graph.Model) error
	does   string
}{
	{"1.25", func(m *graph.Model) error { return surgery.CheckDivisors(m) },
		"crashes where an integer is divided by zero"},
}

// withstands is an error of kind failure.Data where this version of ONNX Runtime
// may crash on the model called name, which read reads; newer versions read nothing.
func withstands(name, version string, read func() (*graph.Model, error)) error {
	for _, f := range faults {
		if slices.Compare(numbers(version), numbers(f.before)) >= 0 {
			continue
		}
		m, err := read()
		if err != nil {
			return fmt.Errorf("onnx: %s: %w", name, err)
		}
		if err := f.check(m); err != nil {
			return failure.Data(fmt.Errorf("onnx: %s: %w: ONNX Runtime %s %s; "+
				"use %s or newer (`finetune fetch runtime`)", name, err, version, f.does, f.before))
		}
	}
	return nil
}

// cannotLoad is err, with which ONNX Runtime refused the model called name. Of a model
// from the future, whose text says so, it is of kind failure.Data and has a way out.
func cannotLoad(name, version string, err error) error {
	text := err.Error()
	err = fmt.Errorf("onnx: %s: ONNX Runtime %s cannot load it: %w", name, version, err)
	if strings.Contains(text, "Unsupported model IR version") || strings.Contains(text, "is till opset") {
		err = failure.Data(fmt.Errorf("%w; export the network again for an older operator set "+
			"(torch.onnx.export: opset_version), or use a newer ONNX Runtime", err))
	}
	return err
}
