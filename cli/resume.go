package cli

import (
	"path/filepath"
	"reflect"
	"slices"

	"github.com/urfave/cli/v2"

	"finetune/activations"
	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/learner"
)

// reopen takes the run that --resume names, or nil where there is none yet, and
// with it the stored configuration. The summary is that of a finished run.
func (o *trainOptions) reopen(out *term.Console) (*learner.Run, *learner.Summary, error) {
	if !o.how.Resume {
		return nil, nil, nil
	}
	run, config, done, err := learner.OpenRun(o.run, o.how)
	if err != nil {
		return nil, nil, err
	}
	if run == nil {
		out.Say("run        %s does not exist yet; starting it", o.run)
		return nil, nil, nil
	}
	if waiting := run.Waiting(); waiting != "" {
		out.Warn("%s is an unfinished replacement of this run; `--resume --overwrite` continues it", waiting)
	}
	if err := o.sameRun(config); err != nil {
		run.Close()
		return nil, nil, err
	}
	o.config = o.onThisMachine(config, out)
	return run, done, nil
}

// sameRun refuses flags that ask for another run than the stored one. The flags
// that it began with may be repeated.
func (o *trainOptions) sameRun(stored learner.Config) error {
	for data, was := range map[string]string{o.config.Data.Path: stored.Data.Path, o.config.Data.Job: stored.Data.Job} {
		if data != "" && !sameFolder(data, was) {
			return usagef("%s was trained on %s, not on %s", o.run, stored.Data.Name(), data)
		}
	}
	if o.config.Recipe != nil && stored.Recipe == nil {
		return usagef("%s was started by `finetune train`, not by `finetune recipe`; continue with `finetune train "+
			"--run %s --resume`", o.run, o.run)
	}
	was := stored.Given()
	given, kept := o.settings(&o.config), o.settings(&was)
	for i, f := range given {
		a, b := shell.Destination(f), shell.Destination(kept[i])
		if slices.ContainsFunc(f.Names(), o.set) && !reflect.DeepEqual(a, b) && !samePath(a, b) {
			return usagef("--%s differs from the run that is resumed: %s began with %v, not with %v; leave the "+
				"flag out, or name another --run", f.Names()[0], o.run, b, a)
		}
	}
	return nil
}

// settings are the flags that a run's results depend on, as they write into c.
func (o *trainOptions) settings(c *learner.Config) []cli.Flag {
	flags := shell.Join(augmentFlags(c), dataFlags(c), bodyFlags(c), machineFlags(c))
	if o.config.Recipe == nil {
		flags = append(append(flags, trainingFlags(c)...), windowFlag(c)...)
	} else {
		flags = append(flags, recipeFlags(c.Recipe, &c.Train)...)
	}
	return slices.DeleteFunc(flags, func(f cli.Flag) bool { return slices.Contains(placeFlags, f.Names()[0]) })
}

// placeFlags say where and with how much of a machine a run goes on.
var placeFlags = []string{"device", "threads", "workers", "max-pixels", "cache"}

// samePath reports whether two texts name one file or folder.
func samePath(a, b any) bool {
	x, isText := a.(string)
	y, _ := b.(string)
	return isText && x != "" && y != "" && sameFolder(x, y)
}

func sameFolder(a, b string) bool {
	x, errX := filepath.Abs(a)
	y, errY := filepath.Abs(b)
	return errX == nil && errY == nil && x == y
}

// onThisMachine is the stored configuration with the machine that flags ask for.
// A cache that is not one here, as that of a run from elsewhere, is not written to.
func (o *trainOptions) onThisMachine(stored learner.Config, out *term.Console) learner.Config {
	m, here := &stored.Machine, o.config.Machine
	if o.set("device") {
		m.Device = here.Device
	}
	if o.set("threads") {
		m.Threads = here.Threads
	}
	if o.set("workers") {
		m.Workers = here.Workers
	}
	if o.set("max-pixels") {
		m.MaxPixels = here.MaxPixels
	}
	m.TensorBoard = m.TensorBoard && !o.set("tensorboard") || here.TensorBoard
	switch {
	case o.set("cache"):
		m.Cache = here.Cache
	case m.Cache != "" && m.Cache != learner.DefaultCache() && !activations.Holds(m.Cache):
		out.Say("cache      the run began with %s, which holds no features on this machine; using %s", m.Cache,
			learner.DefaultCache())
		m.Cache = ""
	}
	return stored
}

// finished tells again what a finished run came to.
func (o *trainOptions) finished(run *learner.Run, sum *learner.Summary, out *term.Console) error {
	defer run.Close()
	out.Say("run        %s is finished", o.run)
	if !o.noReport && !run.Reported() {
		if _, err := learner.WriteReport(run.Dir); err != nil {
			return err
		}
	}
	if err := run.Install(); err != nil {
		return err
	}
	printSummary(out, sum)
	return out.Object(sum)
}
