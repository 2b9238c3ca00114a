package classify

import (
	"fmt"

	"finetune/augment"
	"finetune/onnx/headgraph"
)

// Keys of the metadata of an exported file.
const (
	MetaSize       = "finetune.size"        // pixels a side
	MetaPreprocess = "finetune.preprocess"  // JSON, exportedImages
	MetaBody       = "finetune.body"        // name, for people
	MetaBodyDigest = "finetune.body_digest" // SHA-256 of the body's file
	MetaTask       = "finetune.task"        // single-label or multi-label
	MetaSeparator  = "finetune.separator"   // between the names of several labels
	MetaPrecision  = "finetune.precision"   // float32, float16 or int8
	MetaSelfTest   = "finetune.selftest"    // JSON, selfTest
	MetaKnown      = "finetune.calibration" // JSON, runs.Calibration; the temperature is applied in the file
)

// Names of an exported file's tensors.
const (
	ImageInput = "image"
	ProbOutput = headgraph.Probabilities
	LogOutput  = headgraph.LogProbabilities
	OddOutput  = headgraph.Oddness
)

const MultiLabel = "multi-label"

// InputFormat is the JSON under finetune.preprocess: what to do to a
// photograph before it becomes the input, and what the file does itself.
type InputFormat struct {
	Input      string     `json:"input"` // "float32 [batch, 3, size, size] RGB 0..1" or "uint8 [1, height, width, 3] RGB"
	Whole      bool       `json:"whole"` // the file scales and crops, too
	Size       int        `json:"size"`
	Resize     int        `json:"resize,omitempty"` // before the crop, where that is not to size
	Floor      bool       `json:"crop_floor,omitempty"`
	Resample   string     `json:"resample"`
	Crop       string     `json:"crop"`
	Mean       [3]float32 `json:"mean"` // applied in the file
	Std        [3]float32 `json:"std"`
	Augment    string     `json:"augment"` // policy of test-time augmentation
	MaxZoom    float64    `json:"max_zoom"`
	Pad        int        `json:"pad"`
	RandomCrop string     `json:"random_crop"`
	DepthRange string     `json:"depth_range,omitempty"`
}

// InputFormat says what becomes of a photograph before it is a file's input, and in the file.
func (c *Classifier) InputFormat(whole bool) InputFormat {
	e := InputFormat{
		Input: fmt.Sprintf("float32 [batch, 3, %d, %d] RGB 0..1", c.Size, c.Size), Whole: whole, Size: c.Size,
		Resize: c.Preprocess.Resize, Floor: c.Preprocess.Floor, Resample: c.Preprocess.Resample, Crop: c.Preprocess.Crop,
		Mean: c.Preprocess.Mean, Std: c.Preprocess.Std,
		Augment: c.policy.Name, MaxZoom: c.policy.MaxZoom, Pad: c.policy.Pad, RandomCrop: c.policy.Crop,
		DepthRange: c.Preprocess.Depth.String(),
	}
	if whole {
		e.Input = "uint8 [1, height, width, 3] RGB"
	}
	return e
}

// Preprocess makes the input of a file from a photograph.
func (e InputFormat) Preprocess() augment.Preprocess {
	return augment.Preprocess{Size: e.Size, Resize: e.Resize, Floor: e.Floor, Std: [3]float32{1, 1, 1},
		Resample: e.Resample,
		Crop:     e.Crop}
}

// SelfTest is the JSON under finetune.selftest: inputs that a formula makes and
// what the file says of them. For channel c, row y, column x of seed s:
//
//	byte = (x*(s+2) + y*(2*s+3) + 85*c) mod 256
//
// as it is for a uint8 input [1, size, size, 3], else divided by 255.
type SelfTest struct {
	Formula       string      `json:"formula"`
	Seeds         []int       `json:"seeds"`
	Probabilities [][]float32 `json:"probabilities"` // of each seed
	Tolerance     float64     `json:"tolerance"`     // on any processor
}

const SelfTestFormula = "(x*(s+2) + y*(2*s+3) + 85*c) mod 256, /255 for float32 inputs"

// Tolerances of the self-test: other processors sum in another order, which an
// integer file can turn into another step.
var Tolerances = map[string]float64{"float32": 1e-4, "float16": 0.02, "int8": 0.1}
