package learner

import (
	"context"

	"finetune/learner/check"
	"finetune/learner/classify"
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
	UI         = runs.UI

	Run        = runs.Run
	RunOptions = runs.Options
	Summary    = runs.Summary
	Majority   = runs.Majority

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

// Defaults is what is trained where nothing else is said.
func Defaults() Config { return runs.Defaults() }

// DefaultCache is where features are cached unless the configuration says.
func DefaultCache() string { return runs.DefaultCache() }

// DefaultDir is where a run goes unless something else is said: runs/DATA-TIME.
func DefaultDir(data, time string) string { return runs.DefaultDir(data, time) }

// PlainName reports whether name is one of a file in a folder, on any system.
func PlainName(name string) bool { return runs.PlainName(name) }

// OpenRun opens the run in dir to continue it: its configuration and, where it
// is finished, what came of it. The run is nil where there is none yet.
func OpenRun(dir string, o RunOptions) (*Run, Config, *Summary, error) { return runs.Open(dir, o) }

// WriteReport writes RUN/report from what the run left, and returns the page's path.
func WriteReport(run string) (string, error) { return report.Write(run) }

// OpenClassifier opens a run, or a file that Export wrote. Close it.
func OpenClassifier(path string, m Machine, ui UI) (*Classifier, error) {
	return classify.Open(path, m, ui)
}

// Export writes a run as one ONNX file, once it is proven to give the run's
// probabilities.
func Export(ctx context.Context, run string, m Machine, o ExportOptions, ui UI) (*ExportReport, error) {
	return export.Write(ctx, run, m, o, ui)
}

// GoldenFile is where the golden inputs of an exported file are kept, beside it.
func GoldenFile(output string) string { return export.GoldenFile(output) }

// AuditKinds are the kinds of faults that Result.Count counts.
func AuditKinds() []string { return check.FailKinds() }
