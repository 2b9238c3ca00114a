package config

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"finetune/internal/failure"
	"finetune/schedule"
)

// FieldError is a value that a configuration cannot have.
type FieldError struct {
	Field string // that is wrong, or the first of those that contradict each other: "train.batch_size"
	text  string // what is wrong, where {train.lr} stands for a field's name
}

var fieldIn = regexp.MustCompile(`\{((?:data|body|images|train|machine|recipe)\.[a-z_]+)\}`)

// Error calls fields as config.json does.
func (e *FieldError) Error() string { return e.In(func(field string) string { return field }) }

// In is the error's text with fields under the names that others know them by, such as flags.
func (e *FieldError) In(name func(field string) string) string {
	return fieldIn.ReplaceAllStringFunc(e.text, func(s string) string { return name(strings.Trim(s, "{}")) })
}

// wrong is a FieldError, a usage error.
func wrong(field, format string, args ...any) error {
	return failure.Usage(&FieldError{field, fmt.Sprintf(format, args...)})
}

// Validate refuses what cannot be trained: numbers out of bounds, unknown words, fields
// that contradict each other. Errors are usage errors and hold a FieldError.
func (c Config) Validate() error {
	if reflect.ValueOf(c.Train).IsZero() {
		return wrong("train", "a configuration without a training: begin with DefaultConfig, and change what differs")
	}
	if c.Data.Path == "" && c.Data.Labels == "" && c.Data.Job == "" {
		return wrong("data.path", "{data.path} or {data.labels} is needed: a folder of photographs, or a table of them")
	}
	return c.check()
}

// ValidateBody is Validate for work without a data set.
func (c Config) ValidateBody() error { return c.check() }

// Validate refuses numbers out of bounds and unknown words.
func (m Machine) Validate() error { return checkFields("machine.", reflect.ValueOf(m)) }

// CheckBounds is the part of Validate that looks at each field for itself.
func (c Config) CheckBounds() error { return checkFields("", reflect.ValueOf(c)) }

func checkFields(prefix string, v reflect.Value) (err error) {
	eachField(prefix, v, func(field string, v reflect.Value) {
		if err == nil {
			err = checkField(field, v)
		}
	})
	return err
}

func (c Config) check() error {
	if err := c.CheckBounds(); err != nil {
		return err
	}
	if c.Data.Column() != "" && c.Data.Labels == "" {
		return wrong("data.group", "{data.group} %s is a column of a labels file: add {data.labels}, or use sequence or "+
			"cluster", c.Data.Group)
	}
	if z := c.Images.MaxZoom; z > 0 && z < 1 {
		return wrong("images.max_zoom", "{images.max_zoom} %g: must be 1 or more, or 0 for none", z)
	}
	if err := c.checkPrecision(); err != nil {
		return err
	}
	return c.checkTraining(c.Train.Completed())
}

// contradiction is a rule that several fields share.
type contradiction struct {
	wrong bool
	field string // the one to change first
	text  string
}

// checkTraining refuses what no network can be trained by.
func (c Config) checkTraining(t Training) error {
	cycles, oneCycle := t.Schedule != Constant, t.Schedule == CLR || t.Schedule == CLRBeta
	for _, r := range []contradiction{
		{!cycles && t.Epochs < 1, "train.epochs", "{train.schedule} constant needs {train.epochs}, 1 or more"},
		{t.Schedule == SGDR && t.epochs() > mostEpochs, "train.cycles", fmt.Sprintf("{train.cycles} %d, {train.cycle_len} "+
			"%d and {train.cycle_mult} %d make more than %.0e epochs", t.Cycles, t.CycleLen, t.CycleMult,
			float64(mostEpochs))},
		{cycles && (t.Epochs != 0 || t.Cycles < 1 || t.CycleLen < 1 || t.CycleMult < 1), "train.cycles",
			"{train.cycles}, {train.cycle_len} and {train.cycle_mult} must be 1 or more, and {train.epochs} needs " +
				"{train.schedule} constant"},
		{oneCycle && t.CycleMult != 1, "train.cycle_mult",
			fmt.Sprintf("{train.schedule} %s takes no {train.cycle_mult}", t.Schedule)},
		{t.HeadKind() == HeadAuto && t.Unfreeze, "train.head", "{train.head} auto cannot be combined with " +
			"{train.unfreeze}; {train.head} linear can"},
		{t.HeadKind() != HeadMLP && t.Load != "", "train.head", fmt.Sprintf("{train.head} %s cannot be combined with "+
			"{train.load}", t.Head)},
		{t.HeadKind() != HeadMLP && !t.Unfreeze && (t.SWA > 0 || t.Snapshots || t.Smoothing > 0 || t.Balance == Sampling),
			"train.head", fmt.Sprintf("{train.head} %s cannot be combined with {train.swa}, {train.snapshots}, "+
				"{train.label_smoothing} or {train.balance} sampling", t.Head)},
		{t.MicroBatch == 1, "train.micro_batch", "{train.micro_batch} must be 2 or more, or 0 for the whole batch"},
		{!t.Unfreeze && c.Recipe == nil && (t.FreezeTo != 0 || t.BNFreeze || t.MicroBatch != 0 || len(t.LRs) > 0 ||
			t.LayerDecay != 0 || t.Mix != 0), "train.unfreeze", "{train.lrs}, {train.layer_decay}, {train.freeze_to}, " +
			"{train.bn_freeze}, {train.mix} and {train.micro_batch} need {train.unfreeze}"},
		{t.LayerDecay != 0 && len(t.LRs) > 0, "train.layer_decay",
			"{train.layer_decay} makes the rates that {train.lrs} gives: leave one of them out"},
		{!t.Unfreeze && c.Recipe == nil && t.Precision != "" && t.Precision != Float32, "train.precision",
			"{train.precision} is that of the whole network and needs {train.unfreeze}; {body.precision} is that of a frozen " +
				"body"},
		{t.Precision == BFloat16 && c.Machine.Device == "cuda", "train.precision", "{train.precision} bfloat16 is for " +
			"processors; leave it out, or use {machine.device} cpu"},
		{c.Data.Job != "" && t.Unfreeze, "train.unfreeze", "a job holds the features of photographs, on which a head alone " +
			"can be trained: leave out {train.unfreeze}, or train on the photographs"},
		{c.Data.Job != "" && t.HeadKind() != HeadMLP, "train.head", fmt.Sprintf("{train.head} %s needs all rows in memory, "+
			"and those of a job are read in windows; leave it out, or train on the photographs", t.Head)},
		{c.Data.Job != "" && t.Balance == Sampling, "train.balance", "{train.balance} sampling draws from all rows, and " +
			"those of a job are read in windows; {train.balance} weights has the same aim"},
		{c.Data.Job != "" && t.Snapshots, "train.snapshots", "{train.snapshots} holds the predictions of all validation " +
			"photographs, which a job may have too many of; leave it out, or train on the photographs"},
		{c.Data.Job != "" && t.TTA > 0, "train.tta", "{train.tta} needs views of the photographs, and a job holds the " +
			"features of centre views alone; leave it out"},
		{c.Data.Job != "" && c.Images.Augment != "none", "images.augment", "{images.augment} needs views of the " +
			"photographs, and a job holds the features of centre views alone; leave it out"},
		{c.Data.Job == "" && t.Window > 0, "train.window", "{train.window} is for training on a job; leave it out"},
		{t.Save != "" && !PlainName(t.Save), "train.save",
			fmt.Sprintf("{train.save} %s: must be a name without folders", t.Save)},
		{t.SWA > 0 && (t.Best || t.Patience > 0), "train.swa",
			"{train.swa} cannot be combined with {train.best} or {train.patience}; leave one out"},
	} {
		if r.wrong {
			return wrong(r.field, "%s", r.text)
		}
	}
	var err error
	switch t.Schedule {
	case CLR:
		err = schedule.CLR{Div: t.CLR.Div, CutDiv: t.CLR.Cut}.Check()
	case CLRBeta:
		err = schedule.CLRBeta{Div: t.CLR.Div, Tail: t.CLR.Cut}.Check()
	}
	if err != nil {
		return wrong("train.clr", "{train.clr} %s: %v", t.CLR, err)
	}
	return nil
}

// checkPrecision refuses what a body of fewer bits cannot do.
func (c Config) checkPrecision() error {
	p := c.Body.Precision
	switch {
	case p == "" || p == Float32:
		return nil
	case c.Train.Unfreeze || c.Recipe != nil:
		return wrong("body.precision", "{body.precision} %s needs a frozen body, but {train.unfreeze} and recipe train the "+
			"body in float32; leave one of them out", p)
	case p == Int8 && c.Machine.Device == "cuda":
		return wrong("body.precision", "{body.precision} int8 runs on CPUs only; leave it out, or leave out "+
			"{machine.device} cuda")
	case p == BFloat16 && (c.Machine.Device == "cpu" || c.Machine.Device == "cuda"):
		return wrong("body.precision", "{body.precision} bfloat16 runs on OpenVINO only; leave it out, or give "+
			"{machine.device} openvino")
	}
	return nil
}
