package train

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"finetune/audit"
	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/home"
	"finetune/learner/features"
	"finetune/learner/runs"
)

// planeRevision changes when the same features make another plane.
const planeRevision = "1"

// plane is that of the training photographs' features. It does not depend on the head, so
// it is kept in $FINETUNE_HOME/planes by the features that it was laid through: the next
// training on the same photographs has it at once.
func (tr *training) plane(ctx context.Context) (*audit.Plane, error) {
	path := tr.planeFile()
	if path != "" {
		kept, err := runs.CalibrationOf(path)
		if err == nil && kept.Plane != nil && len(kept.Plane.Mean) == tr.Body.Spec.Features() {
			return kept.Plane, nil // one that is absent or damaged is made again
		}
	}
	fast, err := features.NewProducts(tr.Config.Machine.Threads)
	if err != nil {
		return nil, err
	}
	defer fast.Close()
	p, err := audit.NewPlane(tr.features.Train.Rows, fast.Multiply)
	if err != nil {
		return nil, failure.Data(fmt.Errorf("learner: oddness: %w", err))
	}
	if p != nil && path != "" && os.MkdirAll(filepath.Dir(path), 0o777) == nil {
		_ = runs.WriteCalibration(path, runs.Calibration{Plane: p}) // where it cannot be kept it costs a second each time
	}
	return p, ctx.Err()
}

// planeFile is where the plane is kept; "" where a photograph has no digest.
func (tr *training) planeFile() string {
	id := []string{planeRevision, fmt.Sprintf("%+v", tr.Key(features.CentreView))}
	for _, it := range tr.features.Train.Items {
		if it.Digest == "" {
			return ""
		}
		id = append(id, it.Digest)
	}
	return home.Path("planes", digest.Of(id...)+".safetensors")
}
