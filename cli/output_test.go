//go:build unix

package cli

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"finetune/internal/durable"
)

// outputCases are the commands that take -o FILE, up to its name.
var outputCases = map[string][]string{
	".csv":    {"score", "run", "unlabelled", "--cache", "cache", "-o"},
	".onnx":   {"export", "run", "--cache", "cache", "-o"},
	".png":    {"preview", "data", "--body", "tiny.onnx", "-o"},
	".PNG":    {"lr-find", "data", "--body", "tiny.onnx", "--cache", "cache", "--hidden", "8", "--tries", "4", "-o"},
	".b.onnx": {"import", "resnet18", "--weights", "resnet18.safetensors", "-o"},
}

// A link is written through; a pipe, a device and a folder are not replaced.
func TestOutputs(t *testing.T) {
	b := newFaultBench(t)
	for ending, args := range outputCases {
		t.Run(args[0], func(t *testing.T) {
			b.start(t)
			check(t, durable.WriteFile("elsewhere/real"+ending, []byte("old")))
			check(t, os.Symlink("elsewhere/real"+ending, "link"+ending))
			b.run(t, append(args, "link"+ending)...)
			if info, err := os.Lstat("link" + ending); err != nil || info.Mode()&os.ModeSymlink == 0 {
				t.Errorf("the link is replaced: %v, %v", info.Mode(), err)
			}
			if got, err := os.ReadFile("elsewhere/real" + ending); err != nil || string(got) == "old" {
				t.Errorf("what the link leads to is not written: %v", err)
			}
			check(t, syscall.Mkfifo("pipe"+ending, 0o666))
			check(t, os.Mkdir("folder"+ending, 0o777))
			for _, name := range []string{"pipe" + ending, "folder" + ending} {
				before, err := os.Lstat(name)
				check(t, err)
				code, out := b.call(append(args, name)...)
				if after, err := os.Lstat(name); err != nil || code != 2 || !strings.Contains(out, name) ||
					after.Mode() != before.Mode() {
					t.Errorf("%s: exit code %d, %v\n%s", name, code, err, out)
				}
			}
		})
	}
}

// A file whose name nobody gave is not replaced unless it is of the same kind.
func TestFilesBesideOutputs(t *testing.T) {
	b := newFaultBench(t)
	for name, args := range map[string][]string{
		"labels.csv":               append(outputCases[".PNG"], "labels.png"),
		"net.json":                 append(outputCases[".b.onnx"], "net.onnx"),
		"golden.safetensors":       append(outputCases[".onnx"], "m.onnx", "--golden", "2"),
		"mine/eval_model.onnx":     {"artifacts", "tiny.onnx", "--classes", "2", "-o", "mine"},
		"run/report":               {"report", "run"},
		"scores.csv.journal/notes": append(outputCases[".csv"], "scores.csv"),
	} {
		t.Run(args[0], func(t *testing.T) {
			b.start(t)
			check(t, os.RemoveAll(name))
			check(t, durable.WriteFile(name, []byte("of mine")))
			code, out := b.call(args...)
			if got, err := os.ReadFile(name); err != nil || string(got) != "of mine" || code != 2 ||
				!strings.Contains(out, strings.TrimSuffix(name, "/notes")) {
				t.Errorf("exit code %d; %s holds %q, %v\n%s", code, name, got, err, out)
			}
			check(t, os.RemoveAll(name))
			for range 2 { // its own is replaced
				b.run(t, args...)
			}
		})
	}
}
