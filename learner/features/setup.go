// Package features computes and caches the features of photographs. It finds the body,
// owns its ONNX Runtime session, and runs the body on photographs that the cache lacks.
package features

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"finetune/augment"
	"finetune/dataset"
	"finetune/internal/failure"
	"finetune/internal/libjpeg"
	"finetune/internal/plural"
	"finetune/learner/config"
	"finetune/learner/runs"
	"finetune/onnx"
	"finetune/onnx/bodies"
)

// Setup is a data set, a body and how to bring the two together, as Open found
// them. Nothing changes it afterwards, but that its body loads itself when it is
// first needed, and that Precompute draws the split where it depends on features.
// What trains otherwise works with another Setup made of it.
type Setup struct {
	Config  runs.Config // complete: with what was chosen where nothing was said
	Set     *dataset.Set
	Body    bodies.Body
	Runtime onnx.Runtime
	UI      runs.UI

	Preprocess augment.Preprocess
	Policy     augment.Policy // of augmented views
	Int8Path   string         // path of the int8 form of the body, where it is used
	Narrow     *NarrowPhotos
	Groups     *runs.Groups // that Precompute kept on one side; nil where it was not asked to
	Together   []string     // the group of each training photograph, where Groups were kept; "" for none
	Session    *SharedBody  // of this Setup and of those that With made of it

	Report bool // one is made of the run: it shows where the model looks

	part       bool // of the photographs alone: a class may be missing
	looked     bool // the photographs were looked at before: warnings are given
	cachedOnly bool // the body is not run: errNotCached instead
}

// Open finds the data, the body and the library, and completes config with what
// was chosen. Close frees what it holds.
func Open(ctx context.Context, config runs.Config, ui runs.UI) (*Setup, error) {
	s, err := OpenBody(config, ui)
	if err != nil {
		return nil, err
	}
	if s.Set, err = List(&s.Config, nil); err != nil {
		return nil, err
	}
	s.Config.Classes, s.Config.Multi = s.Set.Classes, s.Set.Multi
	Tell(ui, s.Config, s.Set)
	switch s.Config.Body.Precision {
	case runs.Int8:
		err = s.useInt8(ctx)
	case runs.AutoPrecision:
		err = s.choosePrecision(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// OpenBody starts ONNX Runtime and finds the body, and says which they are. The
// Setup has no data set.
func OpenBody(config runs.Config, ui runs.UI) (*Setup, error) {
	s := &Setup{Config: config.WithSlashes(), UI: ui, Narrow: &NarrowPhotos{}, Session: &SharedBody{}}
	c := &s.Config
	c.Machine.Device = openVINOAuto(*c)
	if err := bfloat16Runs(*c); err != nil {
		return nil, err
	}
	library, err := onnx.FindLibrary(c.Machine.Device)
	if err != nil {
		return nil, err
	}
	onnx.Prepare(library)
	// The body is read while the library is compared with its digest.
	body, failed := bodies.Resolve(c.Body.Name, bodyOverride(*c))
	if s.Runtime, err = onnx.Start(library); err != nil {
		return nil, err
	}
	if s.Body = body; failed != nil {
		return nil, failed
	}
	if _, err := libjpeg.Loaded(); err != nil {
		s.UI.Warn("JPEG files are decoded by Go, three times slower: %v", err)
	}
	if err := s.complete(); err != nil {
		return nil, err
	}
	s.UI.Say("body       %s, digest %.12s, %d px", body.Spec.Name, body.Spec.Digest, c.Images.Size)
	if file := body.Spec.Prepared; file != "" {
		s.UI.Say("prepared   %s, as %s says", s.Preprocess.Words(), file)
	}
	s.UI.Say("runtime    ONNX Runtime %s (API %d), device %s, %s", s.Runtime.Version, s.Runtime.API,
		chosenDevice(c.Machine.Device, ui), plural.Count(c.Machine.Threads, "thread"))
	return s, nil
}

// bfloat16Runs is an error where the body is to compute in bfloat16 and cannot.
func bfloat16Runs(c runs.Config) error {
	device := c.Machine.Device
	switch {
	case c.Body.Precision != runs.BFloat16:
		return nil
	case !strings.HasPrefix(device, "openvino"):
		return failure.Usage(fmt.Errorf("learner: the body computes in bfloat16, which OpenVINO alone does, not --device "+
			"%s; leave --device out, or use the float32 file that `finetune export RUN` writes", device))
	case device == "openvino" && !onnx.HasBFloat16():
		return failure.Usage(errors.New("learner: the body computes in bfloat16, which this processor lacks (AMX or " +
			"AVX512_BF16); train with --body-precision float32 or int8, or use the float32 file that `finetune export RUN` " +
			"writes elsewhere"))
	}
	return nil
}

// complete writes into the configuration what the body and the machine decide.
func (s *Setup) complete() (err error) {
	c, spec := &s.Config, s.Body.Spec
	if c.Body.Name == "" {
		c.Body.Name = spec.Name
	}
	if c.Body.Digest != "" && c.Body.Digest != spec.Digest {
		return failure.Usage(fmt.Errorf("learner: body %s is now %.12s, this run began with %.12s; put that body back, or "+
			"train again with --overwrite",
			s.Body.Path, spec.Digest, c.Body.Digest))
	}
	c.Body.File, c.Body.Digest, c.Body.Cut, c.Body.Licence = s.Body.Path, spec.Digest, spec.Cut, spec.Licence
	c.Machine.Runtime = s.Runtime.Version
	s.completeImages(&c.Images)
	c.Machine = c.Machine.WithDefaults()
	s.Preprocess = augment.Preprocess{Size: c.Images.Size, Resize: c.Images.Resize, Floor: spec.Floor,
		Mean: spec.Mean, Std: spec.Std, Resample: c.Images.Resample, Crop: c.Images.Crop, Depth: c.Images.DepthRange}
	s.Policy, err = policyOf(c.Images, c.Images.Augment)
	return err
}

// completeImages chooses what is not said as the body's description has it, else as the lesson does.
func (s *Setup) completeImages(im *config.Images) {
	spec := s.Body.Spec
	if im.Size == 0 {
		im.Size = spec.Size
	}
	if im.Crop == "" && spec.Squash {
		im.Crop = "no"
	}
	im.Crop, im.Resample = cmp.Or(im.Crop, "random"), cmp.Or(im.Resample, spec.Resample, augment.NFNT)
	if im.Resize == 0 && spec.Resize > im.Size && (im.Crop != "no" || spec.Squash) {
		im.Resize = spec.Resize
	}
}

// chosenDevice names a device and, of auto, what it chose; it warns where that is
// the processor although a GPU seems to be there.
func chosenDevice(device string, ui runs.UI) string {
	chosen, why := onnx.Chosen(device)
	if why != nil {
		ui.Warn("this machine seems to have a GPU, but the CPU is used: %v", why)
	}
	if device == "auto" {
		return chosen + " (auto)"
	}
	return chosen
}

// policyOf is the augmentation of a name. Where training has none, test-time
// augmentation still needs views that are worth averaging: side-on ones, where the
// original's differ by their crop alone.
func policyOf(im runs.Images, name string) (augment.Policy, error) {
	if name == "none" {
		name = "side-on"
	}
	policy, err := augment.ParsePolicy(name, im.MaxZoom, im.Pad, im.Crop)
	return policy, failure.Usage(err)
}

// With is s with other images and training. Its views, those of test-time
// augmentation too, are augmented as views says. The body's session is s's.
func (s *Setup) With(views string, change func(*runs.Images, *runs.Training)) (_ *Setup, err error) {
	w := *s
	change(&w.Config.Images, &w.Config.Train)
	w.Policy, err = policyOf(w.Config.Images, views)
	return &w, err
}

// Base is s with the configuration that all steps of a recipe share.
func (s *Setup) Base(r runs.Recipe) (_ *Setup, err error) {
	b := *s
	b.Config = r.StepConfig(s.Config)
	b.Policy, err = policyOf(b.Config.Images, r.Augment)
	return &b, err
}

// Part is s with a part of the photographs: of each split those in [lo, hi) of
// bounds, for a machine that computes a part of the features.
func (s *Setup) Part(bounds func(n int) (lo, hi int)) *Setup {
	p, set := *s, *s.Set
	for _, list := range []*[]dataset.Item{&set.Train, &set.Valid, &set.Test} {
		lo, hi := bounds(len(*list))
		*list = (*list)[lo:hi]
	}
	p.Set, p.part = &set, true
	return &p
}

// Tuned is s with a body of its own and a cache for that body's features. Close it.
func (s *Setup) Tuned(body bodies.Body, cache string) *Setup {
	t := *s
	t.Body, t.Session, t.looked = body, &SharedBody{}, true
	t.Config.Body.Name, t.Config.Body.Digest, t.Config.Body.File = body.Spec.Name, body.Spec.Digest, body.Path
	t.Config.Machine.Cache = cache
	return &t
}

// InFloat32 is s with the body's float32 features, as far as they are cached, and
// without test photographs. It says nothing. In OpenVINO's place it has ONNX Runtime's
// own: those are cached where somebody trained without it.
func (s *Setup) InFloat32() *Setup {
	f, set := *s, *s.Set
	set.Test = nil
	f.Set, f.UI, f.Int8Path, f.Session, f.cachedOnly, f.looked = &set, runs.Mute{UI: s.UI}, "", &SharedBody{}, true, true
	f.Config.Machine.Recompute = false
	f.Config.Machine.Device = onnx.ForTraining(f.Config.Machine.Device)
	f.Config.Body.Precision, f.Config.Body.Int8 = runs.Float32, ""
	return &f
}

// Close frees the body. Twice is fine.
func (s *Setup) Close() error { return s.Session.close() }

// bodyOverride is what the configuration says about the body, as bodies.Resolve takes it.
func bodyOverride(c runs.Config) bodies.Override {
	return bodies.Override{Cut: c.Body.Cut, Split: c.Body.Split, Layout: strings.ToUpper(string(c.Body.Layout)),
		Size: c.Images.Size, Mean: c.Body.Mean, Std: c.Body.Std}
}
