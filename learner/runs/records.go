// Package runs reads and writes the files of a run: configuration, tables, tensors with
// checksums. It locks the folder of a run, and knows which files in it belong to the run.
// It decodes no photographs and runs no network.
package runs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"finetune/audit"
	"finetune/dataset"
	"finetune/internal/failure"
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
	Time        time.Time // when it was taken; zero where another process took it
}

// Prediction is a row of predictions.csv.
type Prediction struct {
	Split, Path string
	Label       int   // -1 where unknown
	Labels      []int // multi-label
	Predicted   int
	LogProb     []float32 // [classes]
	Odd         float32   // how unlike the training photographs; 0: not known
}

// Score is a loss and an accuracy with its 95 % Wilson interval.
type Score struct {
	Loss     float64    `json:"loss"`
	Accuracy float64    `json:"accuracy"`
	Interval [2]float64 `json:"interval"`
}

// Aside is the score of photographs by which nothing was chosen.
type Aside struct {
	Images int `json:"images"`
	Score
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
	Head     *HeadChoice     `json:"head,omitempty"`     // where --head asked for another than mlp
	Majority *Majority       `json:"majority,omitempty"` // what the accuracy has to be compared with
	Groups   *Groups         `json:"groups,omitempty"`   // that the draw of the validation photographs kept together

	Aside *Aside `json:"aside,omitempty"` // of a recipe: photographs that it did not choose by

	Calibration *Calibrated `json:"calibration,omitempty"` // where a temperature was measured

	Curve *audit.LabelCurve `json:"label_curve,omitempty"` // accuracy by number of labels, and what more of them may give

	Findings []Finding `json:"-"` // of the data, of this command: not part of the run
}

// Groups are photographs that belong together: the draw of the validation photographs keeps each on one side.
type Groups struct {
	By    string `json:"by"`     // sequence, cluster or a column
	N     int    `json:"groups"` // of two photographs or more
	Train int    `json:"train"`  // groups with a photograph to train on
	Valid int    `json:"valid"`  // and to validate on
	Torn  int    `json:"torn"`   // groups on both sides, where the data's own split was kept
}

// Finding is what an audit has to say of one kind of fault, in a line.
type Finding struct {
	Kind    string `json:"kind"`    // label, copy, sequence, metadata, odd, basic, balance
	Flagged int    `json:"flagged"` // rows of audit.csv
	Text    string `json:"text"`
}

// HeadChoice is the kind of head that was trained.
type HeadChoice struct {
	Kind      string     `json:"kind"`                  // mlp or linear
	C         float64    `json:"c,omitempty"`           // inverse strength of a linear head's penalty
	OutOfFold *OutOfFold `json:"out_of_fold,omitempty"` // what --head auto compared
}

// OutOfFold are log losses on training photographs by heads trained without them.
type OutOfFold struct {
	Folds  int     `json:"folds"`
	MLP    float64 `json:"mlp"`
	Linear float64 `json:"linear"`
}

// Skipped is a photograph that could not be used.
type Skipped struct{ Split, Path, Status, Reason string }

// Neighbour is a training photograph near a mistaken one in feature space. It
// shows mislabelled and duplicated photographs at a glance.
type Neighbour struct {
	Path      string // of the mistaken photograph
	Rank      int    // from 1, nearest first
	Neighbour string // path of the training photograph
	Label     int    // of the training photograph
	Distance  float64
	Duplicate bool // the two files are equal
}

// Map is where a head looks on a photograph: how much each place speaks for a class, row by row, the
// strongest 255.
type Map struct {
	Path          string
	Class         int
	Rows, Columns int // of places
	Levels        []uint8
}

// ReadSummary reads RUN/summary.json, which only a finished run has.
func ReadSummary(run string) (Summary, error) {
	var s Summary
	path := TableOf(run, SummaryFile)
	_, err := os.Stat(path)
	if err != nil && !there(filepath.Join(run, ConfigFile)) {
		return s, failure.Usage(notARun(run, err))
	}
	if errors.Is(err, os.ErrNotExist) {
		return s, failure.Usage(fmt.Errorf("learner: %s: this run is not finished; continue with `finetune train "+
			"--run %s --resume`", run, run))
	}
	if err := CheckSums(run, SummaryFile); err != nil {
		return s, err
	}
	return s, readJSON(path, &s)
}
