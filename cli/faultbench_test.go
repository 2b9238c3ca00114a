package cli

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"finetune/internal/durable"
	"finetune/internal/faults"
	"finetune/onnx/weights"
)

// whole runs the command undisturbed and returns the steps it took.
func (b *faultBench) whole(t *testing.T, c faultCase) []faults.Step {
	t.Helper()
	f := faults.Inject(faults.None, 0)
	code, out := b.call(c.args...)
	steps := f.Restore()
	if code != 0 {
		t.Fatalf("finetune %v: exit code %d\n%s", c.args, code, out)
	}
	return steps
}

// disturb runs the command with a fault: it must fail and name the file and the cause.
func (b *faultBench) disturb(t *testing.T, c faultCase, kind faults.Kind, at int, what string) {
	t.Helper()
	if kind == faults.Kill {
		p := exec.Command("finetune", append(c.args, "--quiet")...)
		p.Dir, p.Env = b.dir, append(os.Environ(), faults.Env(kind, at))
		if out, err := p.CombinedOutput(); p.ProcessState == nil || p.ProcessState.ExitCode() != -1 {
			t.Errorf("%s: not killed: %v\n%s", what, err, out)
		}
		return
	}
	f := faults.Inject(kind, at)
	code, out := b.call(c.args...)
	steps := f.Restore()
	cause := map[faults.Kind]string{faults.Full: "no space left on device", faults.Error: "input/output error"}[kind]
	named := slices.ContainsFunc(steps[min(at, len(steps)-1):],
		func(s faults.Step) bool { return strings.Contains(out, filepath.Base(s.Path)) })
	switch {
	case kind == faults.Full && code == 0 && !slices.ContainsFunc(steps[at:], func(s faults.Step) bool {
		return s.Step != durable.Rename && s.Step != durable.SyncFolder && s.Step != durable.Delete
	}):
		// nothing was written after the disk was full
	case code == 0:
		t.Errorf("%s: exit code 0", what)
	case !named || !strings.Contains(out, cause) || strings.Contains(out, "panic"):
		t.Errorf("%s: the message does not name the file and %q:\n%s", what, cause, out)
	}
}

// onlyWhole checks that every visible file is as before or as after an
// undisturbed run; files that differ between runs must at least be well-formed.
func (b *faultBench) onlyWhole(t *testing.T, before, after map[string]string, what string) {
	t.Helper()
	for name, content := range b.files(t) {
		if temporary(name) || content == before[name] || content == after[name] {
			continue
		}
		if folder, inner, ok := strings.Cut(name, "/"); ok { // of a run that is being replaced
			was := strings.TrimSuffix(strings.TrimSuffix(folder, ".replaced"), ".new") + "/" + inner
			if was != name && (content == before[was] || content == after[was]) {
				continue
			}
		}
		if err := wellFormed(filepath.Join(b.dir, name), content); err != nil {
			t.Errorf("%s: %s is neither as before nor as after, and not whole: %v", what, name, err)
		}
	}
}

func wellFormed(path, content string) error {
	if filepath.Base(path) == ".new-run" {
		return nil
	}
	switch filepath.Ext(path) {
	case ".json":
		if !json.Valid([]byte(content)) {
			return fmt.Errorf("no JSON")
		}
	case ".safetensors":
		_, _, err := weights.ReadSafetensors(path)
		return err
	case ".csv":
		if !strings.HasSuffix(content, "\n") {
			return fmt.Errorf("cut short")
		}
	case ".arrow": // the features of a fine-tuned body, until its run is finished
		if !strings.HasSuffix(path,
			fmt.Sprintf("-%08x.arrow", crc32.Checksum([]byte(content), crc32.MakeTable(crc32.Castagnoli)))) {
			return fmt.Errorf("not the checksum in its name")
		}
	case "":
		n := len(content) - 4
		rows := strings.HasPrefix(filepath.Base(path), "rows-") && n > 0 &&
			binary.LittleEndian.Uint32([]byte(content[n:])) == crc32.Checksum([]byte(content[:n]),
				crc32.MakeTable(crc32.Castagnoli))
		if !rows && filepath.Base(path) != "SHA256SUMS" {
			return fmt.Errorf("no checksum")
		}
	default:
		return fmt.Errorf("unexpected")
	}
	return nil
}

// mend goes on as a user would.
func (b *faultBench) mend(t *testing.T, c faultCase, what string) {
	t.Helper()
	args := c.args
	if c.again != nil {
		if again := c.again(b.dir); again != nil {
			args = again
		}
	}
	if code, out := b.call(args...); code != 0 {
		t.Errorf("%s: then finetune %v: exit code %d\n%s", what, args, code, out)
	}
}

// files reads the folder, but not locks.
func (b *faultBench) files(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	check(t, filepath.WalkDir(b.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.Contains(d.Name(), "lock") || strings.HasPrefix(d.Name(), "resnet18") {
			return err
		}
		data, err := os.ReadFile(path)
		out[rel(b.dir, path)] = string(data)
		return err
	}))
	return out
}

func outputs(files map[string]string, names []string) map[string]string {
	out := map[string]string{}
	for name, content := range files {
		for _, n := range names {
			if name == n || strings.HasPrefix(name, n+"/") {
				out[name] = content
			}
		}
	}
	return out
}

var temporaryName = regexp.MustCompile(`^\..*[0-9]{10,}$`)

// temporary tells what durable writes to before it renames.
func temporary(name string) bool { return temporaryName.MatchString(filepath.Base(name)) }

func rel(dir, path string) string {
	if r, err := filepath.Rel(dir, path); err == nil && filepath.IsAbs(path) {
		return r
	}
	return path
}
