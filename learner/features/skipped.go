package features

import (
	"fmt"
	"path/filepath"

	"finetune/internal/digest"
	"finetune/internal/home"
	"finetune/learner/runs"
)

// listSkipped keeps the list of a data set's unreadable photographs where it is
// found without a run too, and says where.
func (s *Setup) listSkipped(rows []runs.Skipped) string {
	data := s.Config.Data.Path
	if data == "" {
		data = s.Config.Data.Labels
	}
	if abs, err := filepath.Abs(data); err == nil {
		data = abs
	}
	path := home.Path("skipped", fmt.Sprintf("%s-%.8s.csv", filepath.Base(data), digest.Of(data)))
	if err := runs.WriteSkipped(path, rows); err != nil {
		return fmt.Sprintf("skipped.csv of a run (%v)", err)
	}
	return path
}
