// Package arch holds the project's imports to one direction.
package arch

import (
	"os/exec"
	"strings"
	"testing"
)

// level orders the packages: one may import only what has a lower level, or its
// own subfolders. Packages under internal may be used by all.
var level = map[string]int{
	"cli":     5,
	"learner": 4,
	"serve":   3, "scores": 3,
	"plots": 2, "activations": 2, "finetuning": 2,
	"dataset": 1, "augment": 1, "head": 1, "schedule": 1, "metrics": 1,
	"onnx": 0,
}

func TestImportsPointOneWay(t *testing.T) {
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "finetune/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		from, imports, _ := strings.Cut(line, " ")
		a, known := level[top(from)]
		if !known {
			continue
		}
		for _, to := range strings.Fields(imports) {
			b, ours := level[top(to)]
			if ours && top(from) != top(to) && a <= b {
				t.Errorf("%s imports %s: imports point from cli to learner to the packages below it to onnx", from, to)
			}
		}
	}
}

// top is the first folder of one of our import paths, "" for others'.
func top(path string) string {
	rest, ours := strings.CutPrefix(path, "finetune/")
	if !ours {
		return ""
	}
	first, _, _ := strings.Cut(rest, "/")
	return first
}
