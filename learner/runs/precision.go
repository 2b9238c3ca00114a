package runs

import (
	"errors"
	"fmt"

	"finetune/internal/failure"
)

// Precisions of a frozen body.
const (
	Float32 = "float32"
	Float16 = "float16"
	Int8    = "int8"
)

// Arithmetic names the body's arithmetic in the key of the cache.
func (b BodyConfig) Arithmetic() string {
	if b.Int8 != "" {
		return b.Precision + " " + b.Int8
	}
	return b.Precision
}

// CheckPrecision refuses what a body of fewer bits cannot do.
func (c Config) CheckPrecision() error {
	p := c.Body.Precision
	switch p {
	case "", Float32:
		return nil
	case Float16, Int8:
	default:
		return failure.Usage(fmt.Errorf("--body-precision %s: use float32, float16 or int8", p))
	}
	if c.Train.Unfreeze || c.Recipe != nil {
		return failure.Usage(fmt.Errorf("--body-precision %s needs a frozen body, but --unfreeze and recipe train "+
			"the body in float32; leave one of them out", p))
	}
	if p == Int8 && c.Machine.Device == "cuda" {
		return failure.Usage(errors.New("--body-precision int8 runs on CPUs only; leave it out, or leave out " +
			"--device cuda"))
	}
	return nil
}

// Device is where the body runs: an 8-bit one takes the processor, whose kernels it is for.
func (c Config) Device() string {
	if c.Body.Precision == Int8 {
		return "cpu"
	}
	return c.Machine.Device
}
