package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"finetune/audit"
	"finetune/calibration"
	"finetune/internal/failure"
	"finetune/onnx/weights"
)

// Calibration is RUN/calibration.safetensors: what the training photographs taught besides
// the head. Its metadata holds JSON under finetune.calibration.
type Calibration struct {
	Temperature float64            `json:"temperature,omitempty"` // that logits are divided by; 0: not measured
	Limits      calibration.Limits `json:"limits,omitempty"`      // of prediction sets; not of several labels
	HeldOut     int                `json:"held_out,omitempty"`    // photographs that both are from
	Valid       bool               `json:"valid,omitempty"`       // which were the validation photographs

	OddBeyond float64      `json:"odd_beyond,omitempty"` // the plane's threshold
	Plane     *audit.Plane `json:"-"`                    // of the training photographs' features; nil: not measured
}

const (
	metaCalibration = "finetune.calibration"
	planeMean       = "plane.mean" // tensors
	planeAxes       = "plane.axes"
)

// Nothing reports whether c says nothing, as that of a run of an older program.
func (c Calibration) Nothing() bool { return c.Temperature == 0 && c.Plane == nil }

// WriteCalibration writes c to a file.
func WriteCalibration(path string, c Calibration) error {
	if c.Plane != nil {
		c.OddBeyond = c.Plane.Threshold
	}
	text, err := json.Marshal(c)
	if err != nil {
		return fmt.Errorf("learner: %s: %w", path, err)
	}
	var tensors []weights.Tensor
	if p := c.Plane; p != nil {
		features := int64(len(p.Mean))
		tensors = []weights.Tensor{{Name: planeMean, Shape: []int64{features}, Data: p.Mean},
			{Name: planeAxes, Shape: []int64{int64(len(p.Axes)) / features, features}, Data: p.Axes}}
	}
	return WriteTensors(path, tensors, map[string]string{metaCalibration: string(text)})
}

// ReadCalibration is the calibration of a run; that of an older one is zero.
func ReadCalibration(run string) (c Calibration, err error) {
	if err := CheckSums(run, CalibrationFile); err != nil {
		return c, err
	}
	c, err = CalibrationOf(filepath.Join(run, CalibrationFile))
	if errors.Is(err, os.ErrNotExist) {
		return c, nil
	}
	return c, err
}

// CalibrationOf reads a file that WriteCalibration wrote. Errors wrap os.ErrNotExist where
// there is none.
func CalibrationOf(path string) (c Calibration, err error) {
	tensors, meta, err := ReadTensors(path)
	if err != nil {
		return c, err
	}
	err = json.Unmarshal([]byte(meta[metaCalibration]), &c)
	if err == nil && len(tensors) > 0 {
		named := weights.ByName(tensors)
		c.Plane = &audit.Plane{Mean: named[planeMean].Data, Axes: named[planeAxes].Data, Threshold: c.OddBeyond}
		if n := len(c.Plane.Mean); n == 0 || len(c.Plane.Axes)%n != 0 {
			err = fmt.Errorf("a plane of sizes %d and %d", n, len(c.Plane.Axes))
		}
	}
	if err == nil {
		err = c.Check()
	}
	if err != nil {
		return c, failure.Data(fmt.Errorf("learner: %s: damaged: %w; train again with --overwrite", path, err))
	}
	return c, nil
}

// Check refuses numbers that no training makes.
func (c Calibration) Check() error {
	if !(c.Temperature >= 0 && c.Temperature <= 1e3) {
		return fmt.Errorf("a temperature of %g", c.Temperature)
	}
	if !(c.OddBeyond >= 0 && c.OddBeyond < 1e3) || c.Plane != nil && c.OddBeyond == 0 {
		return fmt.Errorf("a threshold of oddness of %g", c.OddBeyond)
	}
	return c.Limits.Check()
}

// Calibrated says in a summary how honest the probabilities of validation photographs are. Where the
// temperature is of these photographs, errors are with that of four fifths of them for each other fifth.
type Calibrated struct {
	Temperature float64  `json:"temperature"`
	HeldOut     int      `json:"held_out"`                // photographs that it was measured on
	Valid       bool     `json:"valid,omitempty"`         // the validation photographs; of a fine-tuned network
	ECE         *float64 `json:"ece,omitempty"`           // expected calibration error; not of several labels
	ByChance    *float64 `json:"ece_by_chance,omitempty"` // of a perfectly calibrated model
	Raw         RawScore `json:"raw"`                     // of temperature 1
}

// RawScore is what a temperature changes.
type RawScore struct {
	Loss float64  `json:"loss"`
	ECE  *float64 `json:"ece,omitempty"`
}
