package train

import (
	"errors"
	"fmt"
	"os"

	"finetune/head"
	"finetune/internal/failure"
	"finetune/learner/fit"
	"finetune/learner/runs"
)

// checkpoint writes the state and the tables that belong to it.
func (tr *training) checkpoint(f *fit.Fit) error {
	path := tr.run.Path(runs.StateFile)
	tensors, meta, err := f.State()
	if err != nil {
		return fmt.Errorf("learner: %s: %w", path, err)
	}
	if err := runs.WriteTensors(path, tensors, meta); err != nil {
		return err
	}
	steps, groups := f.Steps(), f.Model.Groups()
	if err := errors.Join(tr.run.WriteHistory(f.History), tr.run.WriteSteps(steps, groups)); err != nil ||
		!tr.Config.Machine.TensorBoard {
		return err
	}
	return tr.run.WriteEvents(steps, f.History, f.Batches, groups)
}

// resume puts f where the run's saved state left off; without one it stays at step 0.
func (tr *training) resume(f *fit.Fit) error {
	path := tr.run.Path(runs.StateFile)
	tensors, meta, err := runs.ReadTensors(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := f.Restore(tensors, meta); err != nil {
		return failure.Data(fmt.Errorf("learner: %s: %w; train again with --overwrite", path, err))
	}
	tr.UI.Say("resuming   at step %d of %d", f.Step, f.Schedule.Steps())
	return nil
}

// saveHeads writes a trained head into the run, and under the name of --save.
func (tr *training) saveHeads(h *head.Head) error {
	err := tr.saveHead(tr.run.Path(runs.HeadFile), h)
	if name := tr.Config.Train.Save; err == nil && name != "" {
		err = tr.saveHead(tr.run.Saved(name), h)
	}
	return err
}

// saveHead writes a head with what it needs to be used.
func (tr *training) saveHead(path string, h *head.Head) error {
	return runs.SaveHead(path, h, runs.HeadInfo{
		Classes: tr.Set.Classes, Multi: tr.Set.Multi, Body: tr.Config.Body, Images: tr.Config.Images, Mean: tr.Body.Spec.Mean,
		Std: tr.Body.Spec.Std,
	})
}
