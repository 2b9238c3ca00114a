package learner

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"finetune/head"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/onnx/weights"
)

// A run's two tensor files:
//
//	head.safetensors   the trained head, named as PyTorch's nn.Sequential, with
//	                   the classes, the body and the preprocessing in its metadata
//	state.safetensors  what an interrupted run goes on from: head.*, the
//	                   optimiser's buffers, best.* and swa.* copies, each step's
//	                   loss, and the rest as JSON in the metadata

// headMeta is what head.safetensors says about itself.
type headMeta struct {
	Head    head.Config `json:"head"`
	Classes []string    `json:"classes"`
	Body    BodyConfig  `json:"body"`
	Images  Images      `json:"images"`
}

const (
	metaHead  = "finetune.head"
	metaState = "finetune.state"
)

func (l *Learner) saveHead(path string, h *head.Head) error {
	meta, err := json.Marshal(headMeta{Head: h.Config, Classes: l.Set.Classes, Body: portable(l.Config.Body), Images: l.Config.Images})
	if err != nil {
		return fmt.Errorf("learner: %s: %w", path, err)
	}
	return writeTensors(path, named("", h.State()), map[string]string{metaHead: string(meta)})
}

// portable leaves out what differs between machines, so that equal heads are equal files.
func portable(b BodyConfig) BodyConfig {
	b.File = ""
	return b
}

// readHead reads a head that saveHead wrote.
func readHead(path string) (*head.Head, headMeta, error) {
	var m headMeta
	tensors, meta, err := weights.ReadSafetensors(path)
	if err != nil {
		return nil, m, err
	}
	if err := json.Unmarshal([]byte(meta[metaHead]), &m); err != nil {
		return nil, m, failure.Data(fmt.Errorf("learner: %s: not a trained head (%w); name a run, or what --save wrote", path, err))
	}
	h, err := head.New(m.Head)
	if err == nil {
		err = h.Restore(unnamed("", tensors))
	}
	if err != nil {
		return nil, m, failure.Data(fmt.Errorf("learner: %s: %w", path, err))
	}
	return h, m, nil
}

// checkpoint writes the state, and the tables that belong to it.
func (l *Learner) checkpoint(r *Run, t *fitState) error {
	tensors := named("head.", t.head.State())
	tensors = append(tensors, named("", t.trainer.State())...)
	tensors = append(tensors, named("best.", t.best)...)
	tensors = append(tensors, named("swa.", t.swa)...)
	tensors = append(tensors, weights.Tensor{Name: "losses", Shape: []int64{int64(len(t.losses))}, Ints: bits(t.losses)})
	meta, err := json.Marshal(t.progress)
	if err != nil {
		return fmt.Errorf("learner: %s: %w", r.Path(stateFile), err)
	}
	if err := writeTensors(r.Path(stateFile), tensors, map[string]string{metaState: string(meta)}); err != nil {
		return err
	}
	return errors.Join(r.writeHistory(t.History), r.writeSteps(t.steps(), nil))
}

// resume puts t where the run's saved state left off; without one it stays at step 0.
func (l *Learner) resume(r *Run, t *fitState) error {
	path := r.Path(stateFile)
	tensors, meta, err := weights.ReadSafetensors(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := t.restore(tensors, meta[metaState]); err != nil {
		return failure.Data(fmt.Errorf("learner: %s: %w; train again with --overwrite", path, err))
	}
	l.ui.Say("resuming   at step %d of %d", t.Step, t.sched.Steps())
	return nil
}

func (t *fitState) restore(tensors []weights.Tensor, meta string) error {
	var p progress
	if err := json.Unmarshal([]byte(meta), &p); err != nil {
		return fmt.Errorf("damaged: %w", err)
	}
	losses := weights.ByName(tensors)["losses"].Ints
	if p.Step < 0 || p.Step > t.sched.Steps() || len(losses) != p.Step {
		return fmt.Errorf("damaged: %d losses at step %d of %d", len(losses), p.Step, t.sched.Steps())
	}
	all := unnamed("", tensors)
	if err := errors.Join(t.head.Restore(unnamed("head.", tensors)), t.trainer.Restore(all)); err != nil {
		return err
	}
	t.progress, t.losses = p, floats(losses)
	t.best, t.swa = unnamed("best.", tensors), unnamed("swa.", tensors)
	return nil
}

// steps lists every step so far with the rates it used.
func (t *fitState) steps() []Step {
	rows := make([]Step, len(t.losses))
	for i, loss := range t.losses {
		r := t.rates(i)
		rows[i] = Step{Step: i, Epoch: i / t.batches, LR: []float64{r.LR}, Momentum: r.Momentum, Loss: loss}
	}
	return rows
}

func writeTensors(path string, tensors []weights.Tensor, meta map[string]string) error {
	return durable.Write(path, func(w io.Writer) error { return weights.WriteSafetensors(w, tensors, meta) })
}

// named turns a head's tensors into a file's, with a prefix before each name.
func named(prefix string, list []head.Tensor) []weights.Tensor {
	out := make([]weights.Tensor, len(list))
	for i, t := range list {
		out[i] = weights.Tensor{Name: prefix + t.Name, Shape: t.Shape, Data: t.Data}
	}
	return out
}

// unnamed is the reverse: the tensors that have the prefix, without it.
func unnamed(prefix string, list []weights.Tensor) []head.Tensor {
	var out []head.Tensor
	for _, t := range list {
		if name, ok := strings.CutPrefix(t.Name, prefix); ok && t.Data != nil {
			out = append(out, head.Tensor{Name: name, Shape: t.Shape, Data: t.Data})
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
