package runs

import (
	"os"
	"path/filepath"
	"strings"

	"finetune/internal/digest"
	"finetune/onnx/bodies"
)

// finished returns the summary of a run that has come to its end and whose
// files are all whole, else nil: then there is something to do again.
func (r *Run) finished(c Config) *Summary {
	list, err := readBounded(r.Path(sumsFile), maxSums, "")
	if err != nil || !strings.Contains(string(list), "  "+SummaryFile+"\n") {
		return nil
	}
	for line := range strings.Lines(string(list)) {
		sum, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if got, err := digest.File(r.Path(filepath.Base(name))); err != nil || got != sum {
			return nil
		}
	}
	if c.Recipe != nil && !there(r.Path(ModelFile)) || c.Train.Unfreeze && !r.ownBodyWhole() {
		return nil
	}
	sum, err := ReadSummary(r.Dir)
	if err != nil {
		return nil
	}
	return &sum
}

// ownBodyWhole reports whether the fine-tuned body is the one its description names.
func (r *Run) ownBodyWhole() bool {
	spec, err := bodies.ReadSpec(r.Path(bodies.SpecPath(BodyFile)))
	if err != nil {
		return false
	}
	got, err := digest.File(r.Path(BodyFile))
	return err == nil && got == spec.Digest && there(r.Path(CheckpointFile))
}

// Reported reports whether the run has its report.
func (r *Run) Reported() bool {
	_, err := os.Stat(r.Path(filepath.Join(ReportDir, "index.html")))
	return err == nil
}
