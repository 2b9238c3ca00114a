package runs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"finetune/internal/failure"
	"finetune/learner/config"
)

// The configuration of a run, as package config has it.
type (
	Config     = config.Config
	DataConfig = config.DataConfig
	BodyConfig = config.BodyConfig
	Images     = config.Images
	Training   = config.Training
	Machine    = config.Machine
	Recipe     = config.Recipe
)

// Precisions of a frozen body.
const (
	Float32  = config.Float32
	Float16  = config.Float16
	BFloat16 = config.BFloat16
	Int8     = config.Int8

	AutoPrecision = config.AutoPrecision
)

// Kinds of head.
const (
	HeadMLP    = config.HeadMLP
	HeadLinear = config.HeadLinear
	HeadAuto   = config.HeadAuto
)

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
	return c, checkNames(c, path)
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
func checkNames(c Config, path string) error {
	if save := c.Train.Save; save != "" && !config.PlainName(save) {
		return failure.Data(fmt.Errorf("learner: %s: train.save is %q, which is not a name without folders; take "+
			"the run from a backup, or train again", path, save))
	}
	return nil
}
