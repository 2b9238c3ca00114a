// Package learner is the plot of the story: photographs go in, a trained
// classifier and the truth about it come out.
//
// It joins the packages below it.
package learner

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/onnx"
	"finetune/onnx/bodies"
)

// UI is how the learner speaks to the person while it works.
type UI interface {
	Say(format string, args ...any)  // news
	Warn(format string, args ...any) // something to look at
	Progress(what, unit string) (report func(done, total int), end func())
	Header(names ...string) // the epoch table
	Row(values ...string)
}

// Learner is a data set, a body and how to bring the two together.
type Learner struct {
	Config  Config
	Set     *dataset.Set
	Body    bodies.Body
	Runtime onnx.Runtime

	Recompute bool // forget cached features before computing them

	partial    bool   // Keep was called
	told       bool   // checkLeft has spoken
	cachedOnly bool   // the body is not run: errNotCached instead
	int8       string // path of the int8 form of the body, where it is used
	pre        augment.Preprocess
	narrow     *narrowPhotos
	policy     augment.Policy // of augmented views
	ui         UI
	frozen     *sharedBody // nil until something asks for the body
}

// Open finds the data, the body and the library, and completes config with what
// was chosen. Close frees what it holds.
func Open(ctx context.Context, config Config, ui UI) (*Learner, error) {
	l := &Learner{Config: config.slashed(), ui: ui}
	if err := l.openBody(); err != nil {
		return nil, err
	}
	set, err := dataset.Open(config.Data.Path, datasetOptions(config))
	if err != nil {
		return nil, err
	}
	l.Set = set
	l.Config.Classes, l.Config.Multi = set.Classes, set.Multi
	l.tellData()
	if l.Config.Body.Precision != int8Precision {
		return l, nil
	}
	if err := l.useInt8(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

// openBody starts ONNX Runtime and finds the body, and says which they are.
func (l *Learner) openBody() (err error) {
	c := &l.Config
	if err := c.checkPrecision(); err != nil {
		return err
	}
	library, err := onnx.FindLibrary(c.Machine.Device)
	if err != nil {
		return err
	}
	onnx.Prepare(library)
	override, err := bodyOverride(*c)
	if err != nil {
		return err
	}
	body, failed := bodies.Resolve(c.Body.Name, override) // reads the body while the library is compared with its digest
	if l.Runtime, err = onnx.Start(library); err != nil {
		return err
	}
	if l.Body = body; failed != nil {
		return failed
	}
	spec := l.Body.Spec
	if c.Body.Name == "" {
		c.Body.Name = spec.Name
	}
	if c.Body.Digest != "" && c.Body.Digest != spec.Digest {
		return failure.Usage(fmt.Errorf("learner: body %s is now %.12s, this run began with %.12s; put that body back, or train again with --overwrite", l.Body.Path, spec.Digest, c.Body.Digest))
	}
	c.Body.File, c.Body.Digest, c.Body.Cut, c.Body.Licence = l.Body.Path, spec.Digest, spec.Cut, spec.Licence
	c.Machine.Runtime = l.Runtime.Version
	if c.Images.Size == 0 {
		c.Images.Size = spec.Size
	}
	c.Machine = c.Machine.withDefaults()
	l.pre = augment.Preprocess{Size: c.Images.Size, Mean: spec.Mean, Std: spec.Std, Resample: c.Images.Resample, Crop: c.Images.Crop}
	l.narrow, l.frozen = &narrowPhotos{}, &sharedBody{}
	if l.pre.Depth, err = augment.ParseDepth(c.Images.DepthRange); err != nil {
		return failure.Usage(err)
	}
	if err := l.usePolicy(); err != nil {
		return err
	}
	l.ui.Say("body       %s, digest %.12s, %d px", spec.Name, spec.Digest, c.Images.Size)
	l.ui.Say("runtime    ONNX Runtime %s (API %d), device %s, %d threads", l.Runtime.Version, l.Runtime.API, chosenDevice(c.Machine.Device, l.ui), c.Machine.Threads)
	return nil
}

// chosenDevice names a device and, of auto, what it chose; it warns where that is
// the processor although a GPU seems to be there.
func chosenDevice(device string, ui UI) string {
	chosen, why := onnx.Chosen(device)
	if why != nil {
		ui.Warn("a GPU seems to be here, but the CPU is used: %v", why)
	}
	if device == "auto" {
		return chosen + " (auto)"
	}
	return chosen
}

// usePolicy makes the augmentation that the configuration names the learner's.
// Where training has none, test-time augmentation still needs views that are
// worth averaging: side-on ones, where the original's differ by their crop alone.
func (l *Learner) usePolicy() (err error) {
	im := l.Config.Images
	name := im.Augment
	if name == "none" {
		name = "side-on"
	}
	l.policy, err = augment.ParsePolicy(name, im.MaxZoom, im.Pad, im.Crop)
	return failure.Usage(err)
}

// Close frees the body. Twice is fine.
func (l *Learner) Close() error {
	body := l.frozen.opened()
	if body == nil {
		return nil
	}
	l.frozen = nil
	return body.Close()
}

// defaultValidPct is held out where neither the data nor --valid-pct says.
const defaultValidPct = 0.2

func datasetOptions(c Config) dataset.Options {
	return dataset.Options{Labels: c.Data.Labels, LabelSep: c.Data.LabelSep, ValidPct: c.Data.ValidPct, Fallback: defaultValidPct, Seed: c.Train.Seed}
}

// bodyOverride turns --cut, --size, --mean, --std, --layout and --split into
// what bodies.Resolve takes.
func bodyOverride(c Config) (o bodies.Override, err error) {
	o.Cut, o.Split, o.Layout, o.Size = c.Body.Cut, c.Body.Split, strings.ToUpper(c.Body.Layout), c.Images.Size
	var errMean, errStd error
	o.Mean, errMean = channels("--mean", c.Body.Mean)
	o.Std, errStd = channels("--std", c.Body.Std)
	return o, failure.Usage(errors.Join(errMean, errStd))
}

func channels(flag, text string) ([]float32, error) {
	if text == "" {
		return nil, nil
	}
	out := make([]float32, 3)
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return nil, fmt.Errorf("%s %s: three numbers are needed, as in 0.485,0.456,0.406", flag, text)
	}
	for i, p := range parts {
		v, err := strconv.ParseFloat(strings.TrimSpace(p), 32)
		if err != nil {
			return nil, fmt.Errorf("%s %s: %q is not a number", flag, text, p)
		}
		out[i] = float32(v)
	}
	return out, nil
}

// DefaultRun is where a run goes when --run does not say: runs/DATA-TIME.
func DefaultRun(data, time string) string {
	abs, err := filepath.Abs(data)
	if err != nil {
		abs = data
	}
	return filepath.Join("runs", filepath.Base(abs)+"-"+time)
}
