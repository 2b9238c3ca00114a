package runs

import (
	"encoding/json"
	"fmt"

	"finetune/head"
	"finetune/internal/failure"
	"finetune/onnx/weights"
)

// A run's tensor files:
//
//	head.safetensors        the trained head, tensors named as in PyTorch's
//	                        nn.Sequential of its layers
//	state.safetensors       what an interrupted run continues from: the same with
//	                        "model." before each name, the optimiser's buffers,
//	                        best.* and mean.* copies, each step's loss (float64
//	                        bits), the ensemble's votes
//	saved/NAME.safetensors  as head.safetensors, by --save and at cycle ends
//
// Metadata holds JSON: finetune.head (classes, layers, body, images) in all of
// them, finetune.state (step, history, smoothed loss) in the state.
// finetune.crc32c is the checksum of all else in the file.

// HeadInfo is what a head's file says about itself.
type HeadInfo struct {
	Head    head.Config `json:"head"`
	Classes []string    `json:"classes"`
	Multi   bool        `json:"multi_label,omitempty"`
	Body    BodyConfig  `json:"body"`
	Images  Images      `json:"images"`
	Mean    [3]float32  `json:"mean"` // of pixels from 0 to 1
	Std     [3]float32  `json:"std"`
}

const (
	metaHead = "finetune.head"
)

// SaveHead writes a head and what it says about itself.
func SaveHead(path string, h *head.Head, m HeadInfo) error {
	m.Head = h.Config
	m.Body.File = "" // it differs between machines; equal heads are equal files
	text, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("learner: %s: %w", path, err)
	}
	return WriteTensors(path, FileTensors(h.State()), map[string]string{metaHead: string(text)})
}

// ReadHead reads a head that saveHead wrote.
func ReadHead(path string) (*head.Head, HeadInfo, error) {
	var m HeadInfo
	tensors, meta, err := ReadTensors(path)
	if err != nil {
		return nil, m, err
	}
	if err := json.Unmarshal([]byte(meta[metaHead]), &m); err != nil {
		return nil, m, failure.Data(fmt.Errorf("learner: %s: not a trained head (%w); name a run, or what --save wrote", path,
			err))
	}
	h, err := head.New(m.Head)
	if err == nil {
		err = h.Restore(HeadTensors(tensors))
	}
	if err != nil {
		return nil, m, failure.Data(fmt.Errorf("learner: %s: %w", path, err))
	}
	return h, m, nil
}

// FileTensors turns a head's tensors into a file's.
func FileTensors(list []head.Tensor) []weights.Tensor {
	out := make([]weights.Tensor, len(list))
	for i, t := range list {
		out[i] = weights.Tensor{Name: t.Name, Shape: t.Shape, Data: t.Data}
	}
	return out
}

// HeadTensors turns a file's tensors of float32 into a head's.
func HeadTensors(list []weights.Tensor) []head.Tensor {
	var out []head.Tensor
	for _, t := range list {
		if t.Data != nil {
			out = append(out, head.Tensor{Name: t.Name, Shape: t.Shape, Data: t.Data})
		}
	}
	return out
}
