package learner

import (
	"context"
	"fmt"

	"finetune/internal/failure"
)

// ExportOptions say how a run becomes one file.
type ExportOptions struct {
	Output string // .onnx
}

// Export writes the run as one ONNX file and proves that it gives the run's
// probabilities.
func (c *Classifier) Export(ctx context.Context, o ExportOptions, ui UI) error {
	if c.run == nil {
		return failure.Usage(fmt.Errorf("learner: %s: exported already; export the RUN it came from", c.Source))
	}
	body, err := c.bodyGraph()
	if err != nil {
		return err
	}
	m, err := c.assemble(body)
	if err != nil {
		return err
	}
	return m.Write(o.Output)
}
