package learner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"

	"finetune/head"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/onnx/weights"
)

// A run's tensor files:
//
//	head.safetensors        the trained head, tensors named as in PyTorch's
//	                        nn.Sequential of its layers
//	state.safetensors       what an interrupted run goes on from: the same with
//	                        "model." before each name, the optimiser's buffers,
//	                        best.* and mean.* copies, each step's loss (float64
//	                        bits), the ensemble's votes
//	saved/NAME.safetensors  as head.safetensors, by --save and at cycle ends
//
// Metadata holds JSON: finetune.head (classes, layers, body, images) in all of
// them, finetune.state (step, history, smoothed loss) in the state.
// finetune.crc32c is the checksum of all else in the file.

// headMeta is what a head's file says about itself.
type headMeta struct {
	Head    head.Config `json:"head"`
	Classes []string    `json:"classes"`
	Multi   bool        `json:"multi_label,omitempty"`
	Body    BodyConfig  `json:"body"`
	Images  Images      `json:"images"`
	Mean    [3]float32  `json:"mean"` // of pixels from 0 to 1
	Std     [3]float32  `json:"std"`
}

const (
	metaHead  = "finetune.head"
	metaState = "finetune.state"
	metaSum   = "finetune.crc32c"
)

func (l *Learner) headMeta(c head.Config) string {
	body := l.Config.Body
	body.File = "" // it differs between machines; equal heads are equal files
	m := headMeta{Head: c, Classes: l.Set.Classes, Multi: l.Set.Multi, Body: body, Images: l.Config.Images, Mean: l.Body.Spec.Mean, Std: l.Body.Spec.Std}
	text, err := json.Marshal(m)
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return string(text)
}

func (l *Learner) saveHead(path string, h *head.Head) error {
	return writeTensors(path, toFile(h.State()), map[string]string{metaHead: l.headMeta(h.Config)})
}

// readHead reads a head that saveHead wrote.
func readHead(path string) (*head.Head, headMeta, error) {
	var m headMeta
	tensors, meta, err := readTensors(path)
	if err != nil {
		return nil, m, err
	}
	if err := json.Unmarshal([]byte(meta[metaHead]), &m); err != nil {
		return nil, m, failure.Data(fmt.Errorf("learner: %s: not a trained head (%w); name a run, or what --save wrote", path, err))
	}
	h, err := head.New(m.Head)
	if err == nil {
		err = h.Restore(fromFile(tensors))
	}
	if err != nil {
		return nil, m, failure.Data(fmt.Errorf("learner: %s: %w", path, err))
	}
	return h, m, nil
}

// headPath finds what --load names: a RUN, a file, or a name saved in the
// current run or the one that it is to replace; nil for no run.
func headPath(load string, run *Run) (string, error) {
	tried := []string{filepath.Join(load, headFile)}
	if run != nil {
		tried = append(tried, run.saved(load))
		if run.replaces() {
			tried = append(tried, filepath.Join(run.Name, savedDir, load+".safetensors"))
		}
	}
	tried = append(tried, load)
	for _, p := range tried {
		if info, err := os.Stat(p); err == nil && info.Mode().IsRegular() {
			return p, nil
		}
	}
	return "", failure.Usage(fmt.Errorf("learner: --load %s: neither a finished run nor a name saved in this run; looked for %s", load, strings.Join(tried, ", ")))
}

// load puts a saved head's weights into h. The data's classes must be the
// head's; the body must be the one it was trained on, the image size need not.
func (l *Learner) load(h *head.Head, run *Run) error {
	path, err := headPath(l.Config.Train.Load, run)
	if err != nil {
		return err
	}
	from, m, err := readHead(path)
	if err != nil {
		return err
	}
	if strings.Join(m.Classes, "\x00") != strings.Join(l.Set.Classes, "\x00") {
		return failure.Data(fmt.Errorf("learner: %s: trained on the classes %s, the data has %s", path, strings.Join(m.Classes, ", "), strings.Join(l.Set.Classes, ", ")))
	}
	if m.Body.Digest != l.Config.Body.Digest {
		return failure.Usage(fmt.Errorf("learner: %s: trained on the body %s %.12s, this run has %s %.12s; add --body %s", path, m.Body.Name, m.Body.Digest, l.Config.Body.Name, l.Config.Body.Digest, m.Body.Name))
	}
	if err := h.Restore(from.State()); err != nil {
		return failure.Usage(fmt.Errorf("learner: %s: %w; give the same --hidden and --dropout", path, err))
	}
	l.ui.Say("loaded     %s, trained at %d px", path, m.Images.Size)
	return nil
}

// checkpoint writes the state and the tables that belong to it.
func (l *Learner) checkpoint(r *Run, f *fit) error {
	now, err := f.model.weights()
	if err != nil {
		return err
	}
	optimiser, err := f.model.optimiser()
	if err != nil {
		return err
	}
	tensors := append(prefixed("model.", now), optimiser...)
	tensors = append(tensors, prefixed("best.", f.best)...)
	tensors = append(tensors, prefixed("mean.", f.mean)...)
	tensors = append(tensors, weights.Tensor{Name: "losses", Shape: []int64{int64(len(f.losses))}, Ints: bits(f.losses)})
	if f.votes != nil {
		tensors = append(tensors, weights.Tensor{Name: "votes", Shape: []int64{int64(len(f.votes))}, Data: f.votes})
	}
	meta, err := json.Marshal(f.progress)
	if err != nil {
		return fmt.Errorf("learner: %s: %w", r.Path(stateFile), err)
	}
	if err := writeTensors(r.Path(stateFile), tensors, map[string]string{metaState: string(meta)}); err != nil {
		return err
	}
	return errors.Join(r.writeHistory(f.History), r.writeSteps(f.steps(), f.model.groups()))
}

// resume puts f where the run's saved state left off; without one it stays at step 0.
func (l *Learner) resume(r *Run, f *fit) error {
	path := r.Path(stateFile)
	tensors, meta, err := readTensors(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.restore(tensors, meta[metaState]); err != nil {
		return failure.Data(fmt.Errorf("learner: %s: %w; train again with --overwrite", path, err))
	}
	l.ui.Say("resuming   at step %d of %d", f.Step, f.sched.Steps())
	return nil
}

func (f *fit) restore(tensors []weights.Tensor, meta string) error {
	var p progress
	if err := json.Unmarshal([]byte(meta), &p); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	byName := weights.ByName(tensors)
	losses := byName["losses"].Ints
	if p.Step < 0 || p.Step > f.sched.Steps() || len(losses) != p.Step {
		return fmt.Errorf("damaged: %d losses at step %d of %d", len(losses), p.Step, f.sched.Steps())
	}
	if err := errors.Join(f.model.set(within("model.", tensors)), f.model.setOptimiser(tensors)); err != nil {
		return err
	}
	f.progress, f.losses = p, floats(losses)
	f.best, f.mean, f.votes = within("best.", tensors), within("mean.", tensors), byName["votes"].Data
	return nil
}

// steps lists every step so far with the rates it used.
func (f *fit) steps() []Step {
	rows := make([]Step, len(f.losses))
	for i, loss := range f.losses {
		r := f.rates(i)
		rows[i] = Step{Step: i, Epoch: i / f.batches, LR: r.LR, Momentum: r.Momentum, Loss: loss}
	}
	return rows
}

// writeTensors adds a checksum of all that the file says to its metadata.
func writeTensors(path string, tensors []weights.Tensor, meta map[string]string) error {
	meta = maps.Clone(meta)
	meta[metaSum] = tensorSum(tensors, meta)
	return durable.Write(path, func(w io.Writer) error { return weights.WriteSafetensors(w, tensors, meta) })
}

// readTensors reads what writeTensors wrote; other bytes are failure.Data.
func readTensors(path string) ([]weights.Tensor, map[string]string, error) {
	tensors, meta, err := weights.ReadSafetensors(path)
	if err != nil {
		return nil, nil, err
	}
	want := meta[metaSum]
	delete(meta, metaSum)
	if got := tensorSum(tensors, meta); got != want {
		return nil, nil, failure.Data(fmt.Errorf("learner: %s: damaged: checksum %s, its metadata has %q; take it from a backup, or train again with --overwrite", path, got, want))
	}
	return tensors, meta, nil
}

// prefixed puts prefix before each name; within takes those that have it, without it.
func prefixed(prefix string, list []weights.Tensor) []weights.Tensor {
	out := make([]weights.Tensor, len(list))
	for i, t := range list {
		t.Name = prefix + t.Name
		out[i] = t
	}
	return out
}

func within(prefix string, list []weights.Tensor) []weights.Tensor {
	var out []weights.Tensor
	for _, t := range list {
		if name, ok := strings.CutPrefix(t.Name, prefix); ok {
			t.Name = name
			out = append(out, t)
		}
	}
	return out
}

func bits(v []float64) []int64 {
	out := make([]int64, len(v))
	for i, x := range v {
		out[i] = int64(math.Float64bits(x))
	}
	return out
}

func floats(v []int64) []float64 {
	out := make([]float64, len(v))
	for i, x := range v {
		out[i] = math.Float64frombits(uint64(x))
	}
	return out
}
