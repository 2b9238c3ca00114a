package learner

import (
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"
	"strconv"

	"finetune/dataset"
	"finetune/internal/durable"
	"finetune/onnx/bodies"
	"finetune/scores"
)

// Names of what a run leaves (DESIGN.md, Files).
const (
	historyFile     = "history.csv"
	stepsFile       = "steps.csv"
	predictionsFile = "predictions.csv"
	summaryFile     = "summary.json"
	headFile        = "head.safetensors"
	stateFile       = "state.safetensors"
	savedDir        = "saved"
	skippedFile     = "skipped.csv"
	neighboursFile  = "neighbours.csv"
	rateFile        = "lr.csv" // the learning-rate finder's curve
	lockFile        = ".lock"
	newFile         = ".new-run" // in a run that is to take another's place, until it has
)

// Epoch is a row of the epoch table and of history.csv.
type Epoch struct {
	Epoch     int       `json:"epoch"`
	LR        []float64 `json:"lr"` // at the epoch's last step, one a layer group
	TrainLoss float64   `json:"trn_loss"`
	ValidLoss float64   `json:"val_loss"`
	Accuracy  float64   `json:"accuracy"`
	Seconds   float64   `json:"seconds"`
}

// Step is a row of steps.csv: the rates and momentum a step used, and its loss.
type Step struct {
	Step, Epoch int
	LR          []float64
	Momentum    float64
	Loss        float64
}

// Prediction is a row of predictions.csv.
type Prediction struct {
	Split, Path string
	Label       int   // -1 where unknown
	Labels      []int // multi-label
	Predicted   int
	LogProb     []float32 // [classes]
}

// Score is a loss and an accuracy with its 95 % Wilson interval.
type Score struct {
	Loss     float64    `json:"loss"`
	Accuracy float64    `json:"accuracy"`
	Interval [2]float64 `json:"interval"`
}

// Seconds are the timings of a run.
type Seconds struct {
	Precompute float64 `json:"precompute"`
	Train      float64 `json:"train"`
	Total      float64 `json:"total"`
}

// Summary is RUN/summary.json.
type Summary struct {
	Run         string   `json:"run"`
	Body        string   `json:"body"`
	Classes     []string `json:"classes"`
	TrainImages int      `json:"train_images"`
	ValidImages int      `json:"valid_images"`
	Skipped     int      `json:"skipped"`
	Valid       Score    `json:"valid"`
	TTA         *Score   `json:"tta"`
	Ensemble    *Score   `json:"ensemble,omitempty"` // of the cycles' snapshots
	Float32     *Score   `json:"float32,omitempty"`  // of an int8 run: the same head on float32 features
	Seconds     Seconds  `json:"seconds"`

	Counts   []dataset.Count `json:"counts,omitempty"`   // readable photographs of each class
	Majority *Majority       `json:"majority,omitempty"` // what the accuracy has to be compared with
}

// setConfig writes what the run does.
func (r *Run) setConfig(c Config) error {
	if err := writeJSON(r.Path(configFile), c.slashed()); err != nil {
		return err
	}
	return r.writeSums(configFile)
}

// adopt makes the run what a finished step of it is, with a configuration and
// timings of its own: copies of all that the step left but what only goes on training, the
// summary and the checksums last.
func (r *Run) adopt(step string, c Config, seconds Seconds) (*Summary, error) {
	sum, err := ReadSummary(step)
	if err != nil {
		return nil, err
	}
	files := []string{historyFile, stepsFile, predictionsFile, skippedFile, neighboursFile, headFile, checkpointFile, bodyFile, bodies.SpecPath(bodyFile)}
	for _, name := range files {
		if err := durable.Copy(r.Path(name), filepath.Join(step, name)); err != nil {
			return nil, fmt.Errorf("learner: %w", err)
		}
	}
	if err := r.setConfig(c); err != nil {
		return nil, err
	}
	sum.Run, sum.Seconds = filepath.ToSlash(r.Name), seconds
	if err := writeJSON(r.Path(summaryFile), sum); err != nil {
		return nil, err
	}
	return &sum, r.writeSums(append(files, configFile, photographsFile, summaryFile)...)
}

// Path joins a name to the run's folder.
func (r *Run) Path(name string) string { return filepath.Join(r.Dir, name) }

// saved is where weights are kept under a name.
func (r *Run) saved(name string) string { return filepath.Join(r.Dir, savedDir, name+".safetensors") }

// table writes rows as CSV under the run's folder.
func (r *Run) table(name string, header []string, n int, row func(i int) []string) error {
	return durable.Write(r.Path(name), func(w io.Writer) error {
		c := csv.NewWriter(w)
		if err := c.Write(header); err != nil {
			return err
		}
		for i := range n {
			if err := c.Write(row(i)); err != nil {
				return err
			}
		}
		c.Flush()
		return c.Error()
	})
}

func (r *Run) writeHistory(rows []Epoch) error {
	return r.table(historyFile, []string{"epoch", "lr", "trn_loss", "val_loss", "accuracy", "seconds"}, len(rows), func(i int) []string {
		e := rows[i]
		return []string{strconv.Itoa(e.Epoch), digits(e.LR[len(e.LR)-1]), digits(e.TrainLoss), digits(e.ValidLoss), digits(e.Accuracy), strconv.FormatFloat(e.Seconds, 'f', 3, 64)}
	})
}

// writeSteps has one lr column, or one lr_GROUP for each layer group.
func (r *Run) writeSteps(rows []Step, groups []string) error {
	header := []string{"step", "epoch"}
	if len(groups) < 2 {
		header = append(header, "lr")
	} else {
		for _, g := range groups {
			header = append(header, "lr_"+g)
		}
	}
	return r.table(stepsFile, append(header, "momentum", "loss"), len(rows), func(i int) []string {
		s := rows[i]
		out := []string{strconv.Itoa(s.Step), strconv.Itoa(s.Epoch)}
		for _, lr := range s.LR {
			out = append(out, digits(lr))
		}
		return append(out, digits(s.Momentum), digits(s.Loss))
	})
}

func (r *Run) writePredictions(rows []Prediction, classes []string, multi bool, sep string) error {
	header := []string{"split", "path", "label", "predicted"}
	for _, c := range classes {
		header = append(header, "logp_"+c)
	}
	return r.table(predictionsFile, header, len(rows), func(i int) []string {
		p := rows[i]
		label, predicted := className(classes, p.Label), className(classes, p.Predicted)
		if multi {
			label, predicted = classNames(classes, p.Labels, sep), classNames(classes, above(p.LogProb), sep)
		}
		out := []string{p.Split, scores.Disarm(p.Path), scores.Disarm(label), scores.Disarm(predicted)}
		for _, v := range p.LogProb {
			out = append(out, strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		return out
	})
}

func (r *Run) writeSkipped(rows []Skipped) error { return writeSkipped(r.Path(skippedFile), rows) }

func (r *Run) writeNeighbours(rows []Neighbour, classes []string) error {
	return r.table(neighboursFile, []string{"path", "rank", "neighbour", "label", "distance", "duplicate"}, len(rows), func(i int) []string {
		n, duplicate := rows[i], "no"
		if n.Duplicate {
			duplicate = "yes"
		}
		return []string{scores.Disarm(n.Path), strconv.Itoa(n.Rank), scores.Disarm(n.Neighbour), scores.Disarm(className(classes, n.Label)), digits(n.Distance), duplicate}
	})
}

func digits(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

func className(classes []string, i int) string {
	if i < 0 || i >= len(classes) {
		return ""
	}
	return classes[i]
}
