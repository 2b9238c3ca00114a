// Package config is everything that a run is made by: which photographs, which body,
// how it is trained and on what machine. Default holds what is trained where nothing
// else is said; Config.Validate refuses what cannot be. RUN/config.json is a Config.
package config

import (
	"cmp"
	"path/filepath"
	"strings"

	"finetune/augment/picture"
)

// Config is everything needed to repeat a run; RUN/config.json holds it.
type Config struct {
	Version string     `json:"version"`
	Command []string   `json:"command,omitempty"`
	Data    DataConfig `json:"data"`
	Body    BodyConfig `json:"body"`
	Images  Images     `json:"images"`
	Train   Training   `json:"train"`
	Machine Machine    `json:"machine"`
	Classes []string   `json:"classes,omitempty"`
	Multi   bool       `json:"multi_label,omitempty"`
	Recipe  *Recipe    `json:"recipe,omitempty"` // of `finetune recipe`, which made the rest
}

// DataConfig says which photographs and labels.
type DataConfig struct {
	Path     string  `json:"path"`
	Labels   string  `json:"labels,omitempty"`
	LabelSep string  `json:"label_sep,omitempty"`
	Exclude  string  `json:"exclude,omitempty"` // file with paths of photographs that are not used
	ValidPct float64 `json:"valid_pct,omitempty"`
	Group    string  `json:"group,omitempty"` // what the draw keeps together: GroupSequence, GroupCluster or a column of Labels
	MaxBad   float64 `json:"max_bad"`

	LabelsDigest  string `json:"labels_digest,omitempty"`  // SHA-256 of the file Labels
	ExcludeDigest string `json:"exclude_digest,omitempty"` // and of Exclude

	Job       string `json:"job,omitempty"`        // whose parts hold the features: a folder or a bucket
	JobID     string `json:"job_id,omitempty"`     // its digest
	SplitSeed uint64 `json:"split_seed,omitempty"` // that drew the job's validation photographs
}

// What a draw of the validation photographs keeps together, where it is no column of the labels file.
const (
	GroupSequence = "sequence" // photographs that follow each other by the numbers in their names
	GroupCluster  = "cluster"  // photographs whose features are alike
)

// Column is the column of Labels that groups are of, "" for none.
func (d DataConfig) Column() string {
	if d.Group == GroupSequence || d.Group == GroupCluster {
		return ""
	}
	return d.Group
}

// Name is what messages call the data.
func (d DataConfig) Name() string { return cmp.Or(d.Job, d.Path, d.Labels) }

// BodyConfig says which frozen network turns a photograph into features.
type BodyConfig struct {
	Name      string    `json:"name"`             // as asked for, or the default that was chosen
	File      string    `json:"file,omitempty"`   // the .onnx it was read from
	Digest    string    `json:"digest,omitempty"` // SHA-256 of that file
	Cut       string    `json:"cut,omitempty"`
	Split     string    `json:"split,omitempty"`
	Mean      Channels  `json:"mean,omitempty"`
	Std       Channels  `json:"std,omitempty"`
	Layout    Layout    `json:"layout,omitempty"`
	Licence   string    `json:"licence,omitempty"`
	Precision Precision `json:"precision"`
	Int8      string    `json:"int8,omitempty"` // SHA-256 of the int8 form, which the run keeps as body-int8.onnx
}

// Images says how a photograph becomes a tensor.
type Images struct {
	Size     int     `json:"size"`
	Resize   int     `json:"resize,omitempty"` // of the smaller side, before the centre crop; 0: to Size
	Resample string  `json:"resample"`
	Augment  string  `json:"augment"`
	MaxZoom  float64 `json:"max_zoom"`
	Pad      int     `json:"pad,omitempty"`
	Crop     string  `json:"crop"`
	Views    int     `json:"views,omitempty"`

	DepthRange picture.Depth `json:"depth_range,omitzero"` // of samples of more than 8 bits
}

// Training says how the head, or with Unfreeze the whole network, learns.
type Training struct {
	Seed      uint64    `json:"seed"`
	BatchSize int       `json:"batch_size"`
	LR        float64   `json:"lr"`
	LRs       []float64 `json:"lrs,omitempty"` // one a layer group, instead of LR
	// LayerDecay makes the rate of each layer group that of the next times this; 0 for other rates
	LayerDecay float64  `json:"layer_decay,omitempty"`
	Schedule   Schedule `json:"schedule"` // "": Constant where Epochs is given, else SGDR
	Epochs     int      `json:"epochs,omitempty"`
	Cycles     int      `json:"cycles,omitempty"`
	CycleLen   int      `json:"cycle_len,omitempty"`
	CycleMult  int      `json:"cycle_mult,omitempty"`
	CLR        OneCycle `json:"clr,omitzero"` // of CLR and CLRBeta; zero: the lesson's

	Optimiser   Optimiser `json:"optimiser"`
	Momentum    float64   `json:"momentum"`
	WeightDecay float64   `json:"weight_decay,omitempty"`
	Decoupled   bool      `json:"decoupled,omitempty"`
	NormDecay   bool      `json:"norm_decay,omitempty"`
	Clip        float64   `json:"clip,omitempty"`
	Smoothing   float64   `json:"label_smoothing,omitempty"`
	Balance     Balance   `json:"balance,omitempty"`

	Best      bool `json:"best,omitempty"`
	Patience  int  `json:"patience,omitempty"`
	SWA       int  `json:"swa,omitempty"` // first epoch averaged, from 1
	Snapshots bool `json:"snapshots,omitempty"`

	Unfreeze   bool    `json:"unfreeze,omitempty"`
	FreezeTo   int     `json:"freeze_to,omitempty"` // layer groups before this one stay as they are
	BNFreeze   bool    `json:"bn_freeze,omitempty"`
	BNMomentum float64 `json:"bn_momentum,omitempty"` // share of a batch in the running statistics
	MicroBatch int     `json:"micro_batch,omitempty"`
	// Mix is the share of the fine-tuned weights in those that are kept, the rest those that training began from;
	// 0 and 1 for the fine-tuned weights alone
	Mix float64 `json:"mix,omitempty"`
	// Trial says that training photographs left out decide on Mix, and on Unfreeze; TrialDone that they have
	Trial string `json:"trial,omitempty"`

	Precision Precision `json:"precision,omitempty"` // of the network's numbers between its layers; "": float32

	Head    string `json:"head,omitempty"` // HeadMLP (also ""), HeadLinear or HeadAuto
	Hidden  Widths `json:"hidden"`
	Dropout Shares `json:"dropout"`          // one a linear layer, or one for all; empty: the usual ones
	Window  int    `json:"window,omitempty"` // rows of a job that are shuffled at once; 0: about 256 MiB
	Load    string `json:"load,omitempty"`
	Save    string `json:"save,omitempty"`
	TTA     int    `json:"tta,omitempty"`
}

// What Training.Trial may be, besides "".
const (
	TrialAsked = "asked"
	TrialDone  = "done"
)

// Given is the configuration as flags gave it. A recipe's becomes that of the
// step it keeps, which sets some of them otherwise, and so does a trial's.
func (c Config) Given() Config {
	if c.Train.Trial != "" {
		c.Train.Unfreeze = true
	}
	if r := c.Recipe; r != nil {
		c.Images.Augment, c.Images.Views, c.Train.BatchSize = r.Augment, r.Views, r.Batch
		c.Train.BNFreeze, c.Train.MicroBatch, c.Train.Precision = r.BNFreeze, r.MicroBatch, r.Precision
	}
	return c
}

// StatMomentum is how much of a batch's statistics enters the running ones. A
// tenth is PyTorch's default; EfficientNet's own hundredth suits runs of many
// thousand steps, in a short one the running statistics would stay behind.
func (t Training) StatMomentum() float64 {
	if t.BNMomentum == 0 {
		return 0.1
	}
	return t.BNMomentum
}

// Mixes reports whether the weights that are kept lie between those that training began from and those it came to.
func (t Training) Mixes() bool { return t.Mix > 0 && t.Mix < 1 }

// MovesMomentum reports whether the schedule sets the momentum.
func (t Training) MovesMomentum() bool { return t.CLR.Moves }

// WithSlashes is c with / between folders, as every system reads it and all that is written has it.
func (c Config) WithSlashes() Config {
	for _, p := range []*string{&c.Data.Path, &c.Data.Labels, &c.Data.Exclude, &c.Body.Name, &c.Body.File, &c.Train.Load,
		&c.Machine.Cache} {
		*p = filepath.ToSlash(*p)
	}
	return c
}

// PlainName reports whether name is one of a file in a folder, on any system.
func PlainName(name string) bool {
	return name != "" && filepath.Base(name) == name && name[0] != '.' && !strings.ContainsAny(name, `/\:`) &&
		!strings.ContainsRune(name, 0)
}
