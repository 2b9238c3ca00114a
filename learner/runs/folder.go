package runs

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/lock"
	"finetune/internal/tfevents"
)

// Options say what may be done with a run that is there already.
type Options struct {
	Resume    bool // continue it
	Overwrite bool // train another one beside it, which takes its place when it is finished
	Number    bool // leave it, and give the new run's name a number
	NoLock    bool // do without a lock where the file system has none
}

// Run is a run folder that this process holds.
type Run struct {
	Dir  string // where its files are
	Name string // what it is called: Dir, but for a run that is to take the place of another

	place place
	made  bool // the folder, by this process
	locks []*lock.Lock

	events *tfevents.Log // nil until WriteEvents
}

// Replaces reports whether the run is still to take another one's place.
func (r *Run) Replaces() bool { return r.place.fresh != "" && r.Dir == r.place.fresh }

func there(path string) bool { _, err := os.Lstat(path); return err == nil }

// content is what a folder holds.
type content int

const (
	nothing content = iota // or what a run killed at its start leaves
	aRun
	others // something that finetune did not make
)

func look(dir string) (content, error) {
	entries, err := durable.Entries(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nothing, nil
	case err != nil:
		return others, failure.Usage(fmt.Errorf("learner: %w; name another --run", err))
	case isRun(dir):
		return aRun, nil
	}
	begun := func(name string) bool { return name == lockFile || name == newFile }
	half := func(name string) bool { return begun(name) || name == ConfigFile }
	for _, e := range entries {
		if !begun(e.Name()) && !durable.Temporary(e.Name(), half) {
			return others, nil
		}
	}
	return nothing, nil
}

// isRun tells a run from a folder that happens to have a config.json. One whose
// config.json is damaged is told by its list of checksums.
func isRun(dir string) bool {
	data, err := readBounded(filepath.Join(dir, ConfigFile), maxJSON, "")
	if err != nil {
		return false
	}
	var parts struct{ Data, Body, Images, Train, Machine map[string]any }
	if json.Unmarshal(data, &parts) == nil && parts.Data != nil && parts.Body != nil && parts.Images != nil &&
		parts.Train != nil && parts.Machine != nil {
		return true
	}
	sums, err := readBounded(filepath.Join(dir, sumsFile), maxSums, "")
	return err == nil && strings.Contains(string(sums), "  "+ConfigFile+"\n") &&
		(there(filepath.Join(dir, StateFile)) || there(filepath.Join(dir, HeadFile)))
}

// Create makes dir a new run of c. A run that is there is an error unless
// o.Overwrite, which leaves it as it is and usable until Install, or o.Number. A
// folder with anything else in it is always one.
func Create(dir string, o Options, c Config) (*Run, error) {
	r, err := beginRun(dir, o)
	if err != nil {
		return nil, err
	}
	if err := r.SetConfig(c); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	return r, nil
}

func beginRun(dir string, o Options) (r *Run, err error) {
	r = &Run{Dir: dir, Name: dir}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if o.Number {
		if err := r.number(dir); err != nil {
			return r, err
		}
	}
	if r.place, err = placeOf(r.Dir); err != nil {
		return r, err
	}
	what, err := r.allowed(o)
	if err != nil {
		return r, err
	}
	if what == aRun || !o.Overwrite || !o.Resume { // with both, the new run is always made beside
		if err := r.makeFolder(o); err != nil {
			return r, err
		}
		if what, err = r.allowed(o); err != nil { // it may be another process's by now
			return r, err
		}
	}
	if !o.Overwrite {
		return r, nil
	}
	if err := r.place.dropFresh(o); err != nil || what == nothing && !o.Resume {
		return r, err
	}
	return r, r.beside(o)
}

// allowed refuses a folder that must not become a new run.
func (r *Run) allowed(o Options) (content, error) {
	what, err := look(r.place.run)
	switch {
	case err != nil:
		return what, err
	case what == aRun && !o.Overwrite:
		return what, failure.Usage(fmt.Errorf("learner: %s: this run exists; add --resume to continue it, "+
			"--overwrite to replace it, or name another --run", r.Name))
	case what == others:
		return what, failure.Usage(fmt.Errorf("learner: %s: the folder is not empty and is not a run, so it is not "+
			"replaced; name another --run", r.Name))
	}
	return what, nil
}

// number takes the first of dir, dir-2, dir-3 … that is not there yet.
func (r *Run) number(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o777); err != nil {
		return failure.Usage(fmt.Errorf("learner: %w; name a writable folder with --run", err))
	}
	for n := 2; ; n++ {
		err := os.Mkdir(r.Dir, 0o777)
		if !errors.Is(err, fs.ErrExist) {
			r.Name, r.made = r.Dir, err == nil
			return err
		}
		r.Dir = dir + "-" + strconv.Itoa(n)
	}
}

// makeFolder makes the run's own folder, if there is none, and takes its lock.
func (r *Run) makeFolder(o Options) error {
	if err := r.makeAndHold(r.place.run, o); err != nil {
		return err
	}
	return r.place.settle()
}

// beside begins the run that is to take this one's place.
func (r *Run) beside(o Options) error {
	if err := r.place.replaceable(); err != nil {
		return failure.Usage(fmt.Errorf("learner: %s: %w; name another --run", r.Name, err))
	}
	if err := r.makeAndHold(r.place.fresh, o); err != nil {
		return err
	}
	r.Dir, r.made = r.place.fresh, true
	return durable.WriteFile(r.Path(newFile), []byte("This run is to take the place of "+filepath.Base(r.place.run)+
		" when it is finished; until then that one is whole.\n"))
}

// Open opens the run in dir to continue it, or with o.Overwrite the one
// that is to take its place. The summary is that of a run that is finished and
// whole, else nil. The run is nil where there is none yet.
func Open(dir string, o Options) (r *Run, c Config, done *Summary, err error) {
	r = &Run{Dir: dir, Name: dir}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	if r.place, err = placeOf(dir); err != nil {
		return r, c, nil, err
	}
	what, err := r.allowed(Options{Overwrite: true})
	if err != nil {
		return r, c, nil, err
	}
	if what == aRun {
		if err := r.hold(r.place.run, o); err != nil && !gone(r.place.run, err) {
			return r, c, nil, err
		}
	}
	if err := r.place.settle(); err != nil {
		return r, c, nil, err
	}
	if o.Overwrite {
		r.Dir = r.place.fresh
		what = nothing
		if there(filepath.Join(r.Dir, newFile)) && isRun(r.Dir) {
			if what, err = aRun, r.hold(r.Dir, o); err != nil {
				return r, c, nil, err
			}
		}
	} else if what, err = look(r.place.run); err != nil {
		return r, c, nil, err
	}
	if what != aRun {
		return nil, c, nil, r.Close()
	}
	if len(r.locks) == 0 { // settling brought it
		if err := r.hold(r.place.run, o); err != nil {
			return r, c, nil, err
		}
	}
	c, done, err = r.reopen()
	return r, c, done, err
}

// reopen reads what the run does, and if it is finished what came of it.
func (r *Run) reopen() (c Config, done *Summary, err error) {
	for _, name := range []string{SavedDir, ReportDir, ArtifactsDir, FeaturesDir, StepsDir} {
		if info, err := os.Lstat(r.Path(name)); err == nil && !info.IsDir() {
			return c, nil, failure.Data(fmt.Errorf("learner: %s: is a link or a file, not a folder; move it away",
				r.Path(name)))
		}
	}
	if c, err = ReadConfig(r.Dir); err != nil {
		return c, nil, err
	}
	if done := r.finished(c); done != nil {
		done.Run = r.Name
		return c, done, nil
	}
	return c, nil, r.WriteSums(ConfigFile, PhotographsFile) // the rest is about to change
}

// Waiting is the folder of an unfinished run that is to take this one's place, "" for none.
func (r *Run) Waiting() string {
	if r.Dir == r.place.fresh || !there(filepath.Join(r.place.fresh, newFile)) {
		return ""
	}
	return r.place.fresh
}

// makeAndHold makes a folder, if there is none, and takes its lock. Another process that made it
// and was refused may remove it in between; then it is made again.
func (r *Run) makeAndHold(dir string, o Options) error {
	for {
		if !there(dir) {
			if err := os.MkdirAll(dir, 0o777); err != nil {
				return fmt.Errorf("learner: %w; name another --run", err)
			}
			r.made = true
		}
		if err := r.hold(dir, o); err == nil || !gone(dir, err) {
			return err
		}
	}
}

// gone reports whether err came of a folder that another process has removed.
func gone(dir string, err error) bool { return errors.Is(err, fs.ErrNotExist) && !there(dir) }

// hold takes the lock of a folder and removes what a killed process left half written in it.
func (r *Run) hold(dir string, o Options) error {
	l, err := takeLock(dir, r.Name, o)
	if err != nil {
		return err
	}
	r.locks = append(r.locks, l)
	sweep(dir)
	return nil
}

// takeLock takes the lock of a run's folder, which errors call name.
func takeLock(dir, name string, o Options) (*lock.Lock, error) {
	l, err := lock.Take(filepath.Join(dir, lockFile), "a run", o.NoLock)
	switch {
	case errors.Is(err, lock.ErrBusy):
		return nil, failure.Usage(fmt.Errorf("learner: %s: another process is using this run; wait for it, or name "+
			"another --run", name))
	case lock.Unsupported(err):
		return nil, fmt.Errorf("learner: %w; or add --no-lock and make sure that no other process uses this run", err)
	case err != nil:
		return nil, fmt.Errorf("learner: %w", err)
	}
	return l, nil
}

// Close releases the run for other processes. Twice is fine.
func (r *Run) Close() error {
	if r == nil {
		return nil
	}
	var errs []error
	for _, l := range r.locks {
		errs = append(errs, l.Close())
	}
	r.locks = nil
	return errors.Join(errs...)
}

// Install puts a finished run that was made beside another in its place. What
// others had put into the old run's folder is then in the new one's.
func (r *Run) Install() error {
	if !r.Replaces() {
		return nil
	}
	if err := durable.Swap(r.place.run, r.Dir, r.place.aside, func() { r.Close() }); err != nil {
		return fmt.Errorf("learner: %w; the new run is complete in %s", err, r.Dir)
	}
	r.Dir = r.Name
	return r.place.settle()
}

// Discard removes a run in which nothing was trained yet, so that a mistaken
// flag does not leave a folder in the way of the next try. A run that it was to
// replace stays.
func (r *Run) Discard() {
	for _, trained := range []string{StateFile, SavedDir} {
		if there(r.Path(trained)) {
			return
		}
	}
	err := giveUp(r.Dir, r.Close)
	if err == nil && r.made {
		os.Remove(r.Dir) // fails, as it should, where something else is in it
	}
}
