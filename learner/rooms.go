package learner

import (
	"context"
	"fmt"
	"path/filepath"

	"finetune/internal/failure"
	"finetune/learner/check"
	"finetune/learner/classify"
	"finetune/learner/config"
	"finetune/learner/export"
	"finetune/learner/features"
	"finetune/learner/report"
	"finetune/learner/runs"
	"finetune/learner/train"
)

// What the rooms call their own, under the names of the front door.
type (
	Config     = runs.Config
	DataConfig = runs.DataConfig
	BodyConfig = runs.BodyConfig
	Images     = runs.Images
	Training   = runs.Training
	Machine    = runs.Machine
	Recipe     = runs.Recipe
	FieldError = config.FieldError
	UI         = runs.UI

	Run        = runs.Run
	RunOptions = runs.Options
	Summary    = runs.Summary
	Majority   = runs.Majority
	Calibrated = runs.Calibrated

	Features = features.Features
	Search   = train.Search
	Curve    = train.Curve

	Classifier    = classify.Classifier
	ScoreOptions  = classify.ScoreOptions
	ScoreReport   = classify.ScoreReport
	Evaluation    = classify.Evaluation
	ExportOptions = export.Options
	AuditResult   = check.Result
	ExportReport  = export.Report
)

// StatusFailed is the status of a photograph of which the network makes no numbers.
const StatusFailed = features.StatusFailed

// What score does with photographs that are unlike the training photographs.
const (
	OddFlag   = classify.OddFlag
	OddReject = classify.OddReject
)

// TrialAsked asks for a trial of fine-tuning on training photographs left out.
const TrialAsked = config.TrialAsked

// Gentle makes t what fine-tunes the whole network where nothing else is said.
func Gentle(t *Training) { config.Gentle(t) }

// DefaultConfig is what is trained where nothing else is said; begin with it.
func DefaultConfig() Config { return config.DefaultConfig() }

// DefaultRecipe is the recipe where nothing else is said.
func DefaultRecipe() Recipe { return config.DefaultRecipe() }

// DefaultCache is where features are cached unless the configuration says.
func DefaultCache() string { return config.DefaultCache() }

// DefaultDir is where a run goes unless something else is said: runs/DATA-TIME.
func DefaultDir(data, time string) string { return runs.DefaultDir(data, time) }

// OpenRun opens the run in dir to continue it: its configuration and, where it
// is finished, what came of it. The run is nil where there is none yet.
// Its configuration may come from somebody else, and is held to the bounds of any other.
func OpenRun(dir string, o RunOptions) (*Run, Config, *Summary, error) {
	run, c, done, err := runs.Open(dir, o)
	if err != nil || run == nil {
		return run, c, done, err
	}
	if err := c.CheckBounds(); err != nil {
		run.Close()
		return nil, c, nil, failure.Data(fmt.Errorf("learner: %s: %w; train again with --overwrite",
			filepath.Join(dir, runs.ConfigFile), err))
	}
	return run, c, done, nil
}

// WriteReport writes RUN/report from what the run left, and returns the page's path.
func WriteReport(run string) (string, error) { return report.Write(run) }

// OpenClassifier opens a run, or a file that Export wrote. Close it.
func OpenClassifier(path string, m Machine, ui UI) (*Classifier, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return classify.Open(path, m, ui)
}

// Export writes a run as one ONNX file, once it is proven to give the run's
// probabilities.
func Export(ctx context.Context, run string, m Machine, o ExportOptions, ui UI) (*ExportReport, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	return export.Write(ctx, run, m, o, ui)
}

// GoldenFile is where the golden inputs of an exported file are kept, beside it.
func GoldenFile(output string) string { return export.GoldenFile(output) }

// AuditKinds are the kinds of faults that Result.Count counts.
func AuditKinds() []string { return check.FailKinds() }
