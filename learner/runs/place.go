package runs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/failure"
)

// place is a run's folder and what stands beside it while it is replaced:
//
//	RUN.new       the run that is trained, with the file .new-run in it
//	RUN.replaced  the run that was, until what is not finetune's has moved
//
// RUN is the old run, whole, until the new one is finished. Then the two change
// names, in one step on Linux. A RUN with .new-run in it has just taken its
// place: what others had put into the old one moves over, and .new-run goes last.
type place struct{ run, fresh, aside string }

func placeOf(dir string) (place, error) {
	run := filepath.Clean(dir)
	// what it leads to is replaced, not the link
	if info, err := os.Lstat(run); err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if run, err = filepath.EvalSymlinks(run); err != nil {
			return place{}, failure.Usage(fmt.Errorf("learner: %w; name another --run", err))
		}
	}
	return place{run, run + ".new", run + ".replaced"}, nil
}

// replaceable refuses early what could not be renamed in the end.
func (p place) replaceable() error {
	run, err := filepath.Abs(p.run)
	if err != nil {
		return err
	}
	if here, err := os.Getwd(); err == nil && (here == run || strings.HasPrefix(here, run+string(filepath.Separator))) {
		return errors.New("the command runs inside this folder, which is to be replaced")
	}
	if durable.Mounted(run) {
		return errors.New("a disk is mounted here, so that the folder itself cannot be replaced")
	}
	if there(p.aside) {
		return fmt.Errorf("%s is in the way; move it", p.aside)
	}
	return nil
}

// dropFresh removes a run that was to take another one's place and was given up.
func (p place) dropFresh(o Options) error {
	if !there(p.fresh) {
		return nil
	}
	if what, err := look(p.fresh); err != nil {
		return err
	} else if what == others || what == aRun && !there(filepath.Join(p.fresh, newFile)) {
		return failure.Usage(fmt.Errorf("learner: %s: exists, but the new run is written there; move it, or name "+
			"another --run", p.fresh))
	}
	l, err := takeLock(p.fresh, p.fresh, o)
	if err != nil {
		return err
	}
	defer l.Close()
	if err := giveUp(p.fresh, l.Close); err != nil {
		return err
	}
	if entries, err := os.ReadDir(p.fresh); err == nil && len(entries) > 0 {
		return failure.Usage(fmt.Errorf("learner: %s: holds %s, which finetune did not make; move it, or name another --run",
			p.fresh, entries[0].Name()))
	}
	return nil
}

// settle ends a replacement that a kill cut short.
func (p place) settle() error {
	if !there(p.run) && there(p.aside) { // between the two renames of a system that cannot exchange names
		from := p.aside
		if there(filepath.Join(p.fresh, newFile)) {
			from = p.fresh
		}
		if err := durable.Move(p.run, from); err != nil {
			return fmt.Errorf("learner: %w", err)
		}
	}
	mark := filepath.Join(p.run, newFile)
	if !there(mark) {
		return nil
	}
	if there(p.fresh) && !there(filepath.Join(p.fresh, newFile)) {
		if err := durable.Move(p.aside, p.fresh); err != nil {
			return fmt.Errorf("learner: %w", err)
		}
	}
	if there(p.aside) {
		if err := carry(p.run, p.aside); err != nil {
			return fmt.Errorf("learner: what is not finetune's in %s: %w", p.aside, err)
		}
	}
	if err := durable.Remove(mark); err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	return nil
}
