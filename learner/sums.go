package learner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/failure"
)

// sumsFile lists the SHA-256 of a run's files, as sha256sum does: of the
// configuration while the run goes on, of all once it is finished. What is
// written over and over has its checksum inside (writeTensors).
const sumsFile = "SHA256SUMS"

// writeSums lists the named files, those that are there.
func (r *Run) writeSums(names ...string) error {
	var b strings.Builder
	for _, name := range names {
		digest, err := digestOf(r.Path(name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s  %s\n", digest, name)
	}
	return durable.WriteFile(r.Path(sumsFile), []byte(b.String()))
}

// checkSums compares files of a run with its list. A run without a list passes,
// and while it goes on all but its configuration. Damage is failure.Data and names the file.
func checkSums(run string, names ...string) error {
	list, err := os.ReadFile(filepath.Join(run, sumsFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(list)) {
		digest, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			return failure.Data(fmt.Errorf("learner: %s: damaged: %q is no digest and name; compare the run with a backup, then delete this list", filepath.Join(run, sumsFile), line))
		}
		listed[name] = digest
	}
	for _, name := range names {
		want, ok := listed[name]
		path := filepath.Join(run, name)
		got, err := digestOf(path)
		if !ok && (len(listed) < 2 || errors.Is(err, os.ErrNotExist)) {
			continue
		}
		if err != nil || got != want {
			return failure.Data(fmt.Errorf("learner: %s: damaged: not what %s says (%s); %s", path, filepath.Join(run, sumsFile), cause(err), mend(run, name)))
		}
	}
	return nil
}

func cause(err error) string {
	if err != nil {
		return err.Error()
	}
	return "another SHA-256"
}

func mend(run, name string) string {
	if name == configFile {
		return "take it from a backup, or train again with --overwrite"
	}
	return fmt.Sprintf("take it from a backup, or write it again with `finetune train --run %s --resume`", run)
}
