package features

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/cpu"

	"finetune/dataset"
	"finetune/internal/digest"
	"finetune/internal/home"
	"finetune/internal/plural"
	"finetune/internal/rng"
	"finetune/learner/config"
	"finetune/learner/runs"
	"finetune/logistic"
	"finetune/onnx"
)

// What --body-precision auto looks at, and what it lets fewer bits cost.
const (
	precisionPhotos = 2000  // of the training photographs, at most
	precisionCost   = 0.003 // of the accuracy on those left out
	precisionLoss   = 1.01  // of the log loss on them, which tells more than the accuracy of a few hundred
	precisionFolds  = 5
)

// PrecisionTrial is what was measured of one precision.
type PrecisionTrial struct {
	Precision    config.Precision `json:"precision"`
	Milliseconds float64          `json:"milliseconds"`       // of the body, for an image in a batch on one thread
	Accuracy     float64          `json:"accuracy,omitempty"` // of photographs left out of training; 0: not measured
	Loss         float64          `json:"loss,omitempty"`     // log loss on the same
}

// precisionChoice is what --body-precision auto came to, kept in
// $FINETUNE_HOME/precisions, so that the same data always have the same.
type precisionChoice struct {
	Precision   config.Precision `json:"precision"`
	Photographs int              `json:"photographs"`
	Trials      []PrecisionTrial `json:"trials"`
}

// openVINOAuto is "openvino" where that is installed and this processor has
// bfloat16, so that `auto` can try it; else the device as it is.
func openVINOAuto(c runs.Config) string {
	if c.Body.Precision != runs.AutoPrecision || cmp.Or(c.Machine.Device, "auto") != "auto" || !onnx.HasBFloat16() ||
		onnx.NVIDIADriver() || !onnx.HasOpenVINO() {
		return c.Device()
	}
	return "openvino"
}

// choosePrecision puts in the place of "auto" the precision in which the body is
// fastest, of those that cost less than 0.3 points of accuracy and 1 % of log loss. The validation
// photographs have no part in it: training photographs are predicted that a linear
// head has not seen.
func (s *Setup) choosePrecision(ctx context.Context) error {
	var all []*Setup
	for _, p := range precisions(s.Config.Machine.Device) {
		v, err := s.inPrecision(ctx, p)
		if err != nil {
			return err
		}
		defer v.Close()
		all = append(all, v)
	}
	choice, err := s.choice(ctx, all)
	if err != nil {
		return err
	}
	for _, v := range all {
		if v.Config.Body.Precision == choice.Precision {
			s.Config.Body, s.Config.Machine, s.Int8Path = v.Config.Body, v.Config.Machine, v.Int8Path
		}
	}
	s.UI.Say("precision  %s: %s", choice.Precision, choice)
	return nil
}

// precisions are those that a device may compute faster in than in float32, which is the last.
func precisions(device string) (list []config.Precision) {
	switch {
	case onnx.Accelerated(device):
		list = append(list, runs.Float16)
	case onnx.IsOpenVINO(device) && onnx.HasBFloat16():
		list = append(list, runs.BFloat16)
	}
	if !onnx.Accelerated(device) && hasInt8() {
		list = append(list, runs.Int8)
	}
	return append(list, runs.Float32)
}

// hasInt8 reports whether the processor multiplies 8-bit integers faster than floating-point numbers.
func hasInt8() bool {
	if runtime.GOARCH == "arm64" {
		return cpu.ARM64.HasASIMDDP
	}
	return cpu.X86.HasAVX512VNNI || cpu.X86.HasAVXVNNI
}

// inPrecision is s in one precision, with a session of its own: bfloat16 on OpenVINO,
// the others on ONNX Runtime's own kernels where OpenVINO is loaded.
func (s *Setup) inPrecision(ctx context.Context, p config.Precision) (*Setup, error) {
	v := *s
	v.UI, v.Session, v.looked = runs.Mute{UI: s.UI}, &SharedBody{}, true
	v.Config.Body.Precision = p
	if p != runs.BFloat16 {
		v.Config.Machine.Device = onnx.ForTraining(s.Config.Machine.Device)
	}
	if p != runs.Int8 {
		return &v, nil
	}
	return &v, v.useInt8(ctx)
}

// choice is the one that was kept, or else measured and kept.
func (s *Setup) choice(ctx context.Context, all []*Setup) (*precisionChoice, error) {
	items := Evenly(s.Set.Train, precisionPhotos)
	id := []string{"2", s.Runtime.Version, fmt.Sprint(s.Set.Multi, len(s.Set.Classes))}
	for _, v := range all {
		k := v.Key(CentreView)
		id = append(id, k.Body, k.Cut, k.Preprocess, k.Precision)
	}
	for _, it := range items {
		sum, _ := digest.File(it.File) // one that cannot be read has no part in it
		id = append(id, sum, fmt.Sprint(it.Label, it.Labels))
	}
	path := home.Path("precisions", digest.Of(id...)+".json")
	var kept precisionChoice
	if data, err := os.ReadFile(path); err == nil && json.Unmarshal(data, &kept) == nil && kept.known(all) {
		return &kept, nil
	}
	made, err := s.measurePrecisions(ctx, all, items)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err == nil {
		_ = runs.WriteJSON(path, made) // where it cannot be kept it is measured again
	}
	return made, nil
}

func (c *precisionChoice) known(all []*Setup) bool {
	return slices.ContainsFunc(all, func(v *Setup) bool { return v.Config.Body.Precision == c.Precision })
}

// measurePrecisions times every body and takes the fastest that costs little.
func (s *Setup) measurePrecisions(ctx context.Context, all []*Setup, items []dataset.Item) (*precisionChoice, error) {
	c := &precisionChoice{}
	for _, v := range all {
		ms, err := v.bodyTime(ctx)
		if err != nil {
			return nil, err
		}
		c.Trials = append(c.Trials, PrecisionTrial{Precision: v.Config.Body.Precision, Milliseconds: ms})
	}
	plain := len(all) - 1
	order := runs.Indices(len(all))
	slices.SortStableFunc(order, func(a, b int) int {
		return cmp.Compare(c.Trials[a].Milliseconds, c.Trials[b].Milliseconds)
	})
	c.Precision = all[plain].Config.Body.Precision
	if order[0] == plain {
		return c, nil
	}
	var err error
	c.Photographs, err = all[plain].outOfFold(ctx, items, &c.Trials[plain])
	if errors.Is(err, errTooFew) {
		return c, nil
	}
	if err != nil {
		return nil, err
	}
	for _, i := range order {
		if i == plain {
			break // the others are slower
		}
		if _, err = all[i].outOfFold(ctx, items, &c.Trials[i]); err != nil {
			return nil, err
		}
		if c.Trials[plain].Accuracy-c.Trials[i].Accuracy < precisionCost &&
			c.Trials[i].Loss < precisionLoss*c.Trials[plain].Loss {
			c.Precision = c.Trials[i].Precision
			break
		}
	}
	return c, nil
}

// bodyTime is how long the body takes for a photograph: the shortest of some runs of
// a batch, in milliseconds.
func (s *Setup) bodyTime(ctx context.Context) (float64, error) {
	b, err := s.lazy().open()
	if err != nil {
		return 0, err
	}
	batch := config.BatchPhotos
	images := make([]float32, batch*s.Preprocess.Len())
	stream := rng.New(1)
	for i := range images {
		images[i] = float32(2*stream.Float64() - 1)
	}
	rows := make([]float32, batch*b.features)
	var best time.Duration
	for i := range 6 {
		start := time.Now()
		if err := b.Run(ctx, images, batch, rows); err != nil {
			return 0, err
		}
		if took := time.Since(start); i == 1 || i > 1 && took < best { // the first prepares
			best = took
		}
	}
	return float64(best.Microseconds()) / 1000 / float64(batch), nil
}

// errTooFew says that there are too few photographs to compare precisions on.
var errTooFew = errors.New("too few photographs")

// outOfFold puts into t the accuracy and loss of a linear head on the photographs left
// out of its training, and returns how many there are.
func (s *Setup) outOfFold(ctx context.Context, items []dataset.Item, t *PrecisionTrial) (int, error) {
	items = slices.Clone(items)
	rows, _, err := s.view(ctx, items, CentreView, nil)
	if err != nil {
		return 0, err
	}
	var read Split
	for i, row := range rows {
		if row != nil {
			read.Rows, read.Items = append(read.Rows, row), append(read.Items, items[i])
		}
	}
	if read.Len() < 10*precisionFolds {
		return 0, errTooFew
	}
	d := read.Data(len(s.Set.Classes), s.Set.Multi)
	folds := logistic.Folds(read.Len(), d.Labels, precisionFolds, s.Config.Train.Seed)
	logp, err := logistic.OutOfFold(ctx, d, logistic.Strengths[logistic.Usual:logistic.Usual+1], folds)
	if err != nil {
		return 0, err
	}
	score := runs.Measure(logp[0], read.Items, d.Classes, d.Multi)
	t.Accuracy, t.Loss = score.Accuracy, score.Loss
	return read.Len(), nil
}

// String tells the trials: "int8 3.1 ms an image, 94.3 % right, log loss 0.1432; float32 8.2 ms an image, …".
func (c *precisionChoice) String() string {
	var parts []string
	for _, t := range c.Trials {
		part := fmt.Sprintf("%s %.1f ms an image", t.Precision, t.Milliseconds)
		if t.Accuracy > 0 {
			part += fmt.Sprintf(", %.1f %% right, log loss %.4f", 100*t.Accuracy, t.Loss)
		}
		parts = append(parts, part)
	}
	text := strings.Join(parts, "; ")
	if c.Photographs > 0 {
		text += fmt.Sprintf(" (%s, by heads trained without them)", plural.Count(c.Photographs, "training photograph"))
	}
	return text
}
