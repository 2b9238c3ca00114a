package features

import (
	"fmt"
	"os"
	"path/filepath"

	"finetune/audit"
	"finetune/dataset"
	"finetune/internal/digest"
	"finetune/internal/home"
	"finetune/learner/runs"
)

// planeRevision changes when the same features make another plane.
const planeRevision = "1"

// KeptPlane is the plane of the photographs' features that KeepPlane kept; nil if none did.
func (s *Setup) KeptPlane(train []dataset.Item) *audit.Plane {
	path := s.planeFile(train)
	if path == "" {
		return nil
	}
	kept, err := runs.CalibrationOf(path)
	if err != nil || kept.Plane == nil || len(kept.Plane.Mean) != s.Body.Spec.Features() {
		return nil // one that is absent or damaged is made again
	}
	return kept.Plane
}

// KeepPlane keeps the plane of the photographs' features in $FINETUNE_HOME/planes by the features that it was laid
// through.
func (s *Setup) KeepPlane(train []dataset.Item, p *audit.Plane) error {
	path := s.planeFile(train)
	if p == nil || path == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("learner: oddness: %w", err)
	}
	return runs.WriteCalibration(path, runs.Calibration{Plane: p})
}

// planeFile is where the plane is kept; "" where a photograph has no digest.
func (s *Setup) planeFile(train []dataset.Item) string {
	id := []string{planeRevision, fmt.Sprintf("%+v", s.Key(CentreView))}
	for _, it := range train {
		if it.Digest == "" {
			return ""
		}
		id = append(id, it.Digest)
	}
	return home.Path("planes", digest.Of(id...)+".safetensors")
}
