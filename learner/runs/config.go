package runs

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"finetune/internal/failure"
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
	ValidPct float64 `json:"valid_pct,omitempty"`
	MaxBad   float64 `json:"max_bad"`
}

// Name is what messages call the data.
func (d DataConfig) Name() string { return cmp.Or(d.Path, d.Labels) }

// BodyConfig says which frozen network turns a photograph into features.
type BodyConfig struct {
	Name      string `json:"name"`             // as asked for, or the default that was chosen
	File      string `json:"file,omitempty"`   // the .onnx it was read from
	Digest    string `json:"digest,omitempty"` // SHA-256 of that file
	Cut       string `json:"cut,omitempty"`
	Split     string `json:"split,omitempty"`
	Mean      string `json:"mean,omitempty"`
	Std       string `json:"std,omitempty"`
	Layout    string `json:"layout,omitempty"`
	Licence   string `json:"licence,omitempty"`
	Precision string `json:"precision"`      // float32 or int8
	Int8      string `json:"int8,omitempty"` // SHA-256 of the int8 form, which the run keeps as body-int8.onnx
}

// Images says how a photograph becomes a tensor.
type Images struct {
	Size     int     `json:"size"`
	Resample string  `json:"resample"`
	Augment  string  `json:"augment"`
	MaxZoom  float64 `json:"max_zoom"`
	Pad      int     `json:"pad,omitempty"`
	Crop     string  `json:"crop"`
	Views    int     `json:"views,omitempty"`

	DepthRange string `json:"depth_range,omitempty"` // of samples of more than 8 bits, as picture.ParseDepth reads it
}

// Training says how the head, or with Unfreeze the whole network, learns.
type Training struct {
	Seed      uint64    `json:"seed"`
	BatchSize int       `json:"batch_size"`
	LR        float64   `json:"lr"`
	LRs       []float64 `json:"lrs,omitempty"` // one a layer group, instead of LR
	Schedule  string    `json:"schedule"`      // sgdr, constant, clr, clr-beta or warm-up
	Epochs    int       `json:"epochs,omitempty"`
	Cycles    int       `json:"cycles,omitempty"`
	CycleLen  int       `json:"cycle_len,omitempty"`
	CycleMult int       `json:"cycle_mult,omitempty"`
	CLR       []float64 `json:"clr,omitempty"` // division, cut or tail[, largest and least momentum]

	Optimiser   string  `json:"optimiser"`
	Momentum    float64 `json:"momentum"`
	WeightDecay float64 `json:"weight_decay,omitempty"`
	Decoupled   bool    `json:"decoupled,omitempty"`
	NormDecay   bool    `json:"norm_decay,omitempty"`
	Clip        float64 `json:"clip,omitempty"`
	Smoothing   float64 `json:"label_smoothing,omitempty"`
	Balance     string  `json:"balance,omitempty"`

	Best      bool `json:"best,omitempty"`
	Patience  int  `json:"patience,omitempty"`
	SWA       int  `json:"swa,omitempty"` // first epoch averaged, from 1
	Snapshots bool `json:"snapshots,omitempty"`

	Unfreeze   bool    `json:"unfreeze,omitempty"`
	FreezeTo   int     `json:"freeze_to,omitempty"` // layer groups before this one stay as they are
	BNFreeze   bool    `json:"bn_freeze,omitempty"`
	BNMomentum float64 `json:"bn_momentum,omitempty"` // share of a batch in the running statistics
	MicroBatch int     `json:"micro_batch,omitempty"`

	Head    string `json:"head,omitempty"` // mlp (also ""), linear or auto
	Hidden  string `json:"hidden"`
	Dropout string `json:"dropout"`
	Load    string `json:"load,omitempty"`
	Save    string `json:"save,omitempty"`
	TTA     int    `json:"tta,omitempty"`
}

// Given is the configuration as flags gave it. A recipe's becomes that of the
// step it keeps, which sets some of them otherwise.
func (c Config) Given() Config {
	if r := c.Recipe; r != nil {
		c.Images.Augment, c.Images.Views, c.Train.BatchSize = r.Augment, r.Views, r.Batch
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

// MovesMomentum reports whether the schedule sets the momentum.
func (t Training) MovesMomentum() bool { return len(t.CLR) == 4 }

// WithSlashes is c with / between folders, as every system reads it and all that is written has it.
func (c Config) WithSlashes() Config {
	for _, p := range []*string{&c.Data.Path, &c.Data.Labels, &c.Body.Name, &c.Body.File, &c.Train.Load,
		&c.Machine.Cache} {
		*p = filepath.ToSlash(*p)
	}
	return c
}

// ReadConfig reads RUN/config.json.
func ReadConfig(run string) (Config, error) {
	path := filepath.Join(run, ConfigFile)
	if _, err := os.Stat(path); err != nil {
		return Config{}, failure.Usage(notARun(run, err))
	}
	if err := CheckSums(run, ConfigFile); err != nil {
		return Config{}, err
	}
	var c Config
	if err := readJSON(path, &c); err != nil {
		return c, err
	}
	return c, c.checkNames(path)
}

// notARun says why no run can be read at run, where err is of looking for its configuration.
func notARun(run string, err error) error {
	info, missing := os.Stat(run)
	switch {
	case there(run + ".replaced"):
		return fmt.Errorf("learner: %s: the command was killed while it replaced this run; `finetune train --run "+
			"%s --resume` completes the replacement", run, run)
	case errors.Is(missing, os.ErrNotExist):
		return fmt.Errorf("learner: %s: there is no such folder; check the path, or make a run there with `finetune train "+
			"DATA --run %s`", run, run)
	case missing != nil:
		return fmt.Errorf("learner: %w", missing)
	case !info.IsDir():
		return fmt.Errorf("learner: %s is not a run but a file; name the folder that `finetune train` made", run)
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("learner: %s is not a run (it has no %s); name a folder that `finetune train` made",
			run, ConfigFile)
	}
	return fmt.Errorf("learner: %w", err)
}

// checkNames refuses names that would lead out of the run, as those of a run
// that a stranger made may.
func (c Config) checkNames(path string) error {
	if save := c.Train.Save; save != "" && !PlainName(save) {
		return failure.Data(fmt.Errorf("learner: %s: train.save is %q, which is not a name without folders; take "+
			"the run from a backup, or train again", path, save))
	}
	return nil
}

// PlainName reports whether name is one of a file in a folder, on any system.
func PlainName(name string) bool {
	return name != "" && filepath.Base(name) == name && name[0] != '.' && !strings.ContainsAny(name, `/\:`) &&
		!strings.ContainsRune(name, 0)
}
