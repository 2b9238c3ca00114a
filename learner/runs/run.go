package runs

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"finetune/internal/durable"
	"finetune/onnx/bodies"
)

// SetConfig writes what the run does.
func (r *Run) SetConfig(c Config) error {
	if err := WriteJSON(r.Path(ConfigFile), c.WithSlashes()); err != nil {
		return err
	}
	return r.WriteSums(ConfigFile)
}

// Adopt makes the run what a finished step of it is, with a configuration and
// timings of its own: copies of all that the step left but what only serves to continue training, the
// summary and the checksums last.
func (r *Run) Adopt(step string, c Config, seconds Seconds) (*Summary, error) {
	sum, err := ReadSummary(step)
	if err != nil {
		return nil, err
	}
	files := []string{HistoryFile, StepsFile, PredictionsFile, SkippedFile, NeighboursFile, MapsFile, HeadFile,
		CheckpointFile,
		CalibrationFile, BodyFile, bodies.SpecPath(BodyFile)}
	for _, name := range files {
		if err := durable.Copy(r.Path(name), filepath.Join(step, name)); err != nil {
			return nil, fmt.Errorf("learner: %w", err)
		}
	}
	if err := r.SetConfig(c); err != nil {
		return nil, err
	}
	found, err := ReadAudit(r.Dir)
	if err != nil {
		return nil, err
	}
	sum.Curve = found.Curve
	sum.Run, sum.Seconds = filepath.ToSlash(r.Name), seconds
	if err := WriteJSON(r.Path(SummaryFile), sum); err != nil {
		return nil, err
	}
	return &sum, r.WriteSums(append(files, ConfigFile, PhotographsFile, AuditFile, SummaryFile)...)
}

// DefaultDir is where a run goes when --run does not say: runs/DATA-TIME.
func DefaultDir(data, time string) string {
	if at, _, isURL := strings.Cut(data, "?"); isURL || strings.Contains(data, "://") {
		data = at
	}
	abs, err := filepath.Abs(data)
	if err != nil {
		abs = data
	}
	return filepath.Join("runs", filepath.Base(abs)+"-"+time)
}

// Path joins a name to the run's folder.
func (r *Run) Path(name string) string { return filepath.Join(r.Dir, name) }

// Saved is where weights are kept under a name.
func (r *Run) Saved(name string) string { return filepath.Join(r.Dir, SavedDir, name+".safetensors") }

// TunedBody is the path of a run's own body, "" if it kept the one it was given.
func TunedBody(run string) string {
	path := filepath.Join(run, BodyFile)
	if _, err := os.Stat(path); err != nil {
		return ""
	}
	return path
}
