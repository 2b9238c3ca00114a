package runs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
)

// WriteSums lists the SHA-256 of the named files, those that are there, as sha256sum
// does: of the configuration while the run trains, of all once it is finished.
// What is written over and over has its checksum inside (writeTensors).
func (r *Run) WriteSums(names ...string) error {
	var b strings.Builder
	for _, name := range names {
		sum, err := digest.File(r.Path(name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("learner: %w", err)
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, name)
	}
	return durable.WriteFile(r.Path(sumsFile), []byte(b.String()))
}

// maxSums bounds a list, which has a line of 100 bytes for each file of a run.
const maxSums = 1 << 20

// CheckSums compares files of a run with its list. A run without a list passes,
// and while it trains all but its configuration. Damage is failure.Data and names the file.
func CheckSums(run string, names ...string) error {
	list, err := readBounded(filepath.Join(run, sumsFile), maxSums, "delete it")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(list)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			return failure.Data(fmt.Errorf("learner: %s: damaged: %q is no digest and name; compare the run with a backup, "+
				"then delete this list", filepath.Join(run, sumsFile), line))
		}
		listed[name] = sum
	}
	for _, name := range names {
		want, ok := listed[name]
		path := filepath.Join(run, name)
		got, err := digest.File(path)
		if !ok && (len(listed) < 2 || errors.Is(err, os.ErrNotExist)) {
			continue
		}
		if err != nil || got != want {
			return failure.Data(fmt.Errorf("learner: %s: damaged: not what %s says (%s); %s", path, filepath.Join(run, sumsFile),
				Cause(err), mend(run, name)))
		}
	}
	return nil
}

// Cause says why a file is not the one that its digest names.
func Cause(err error) string {
	if err != nil {
		return err.Error()
	}
	return "another SHA-256"
}

func mend(run, name string) string {
	if name == ConfigFile {
		return "take it from a backup, or train again with --overwrite"
	}
	return fmt.Sprintf("take it from a backup, or write it again with `finetune train --run %s --resume`", run)
}
