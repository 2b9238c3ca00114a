// Package arch holds the project's imports to one direction.
package arch

import (
	"os/exec"
	"path/filepath"
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
	list := exec.Command("go", "list", "-f", `{{.Module.Path}} {{.ImportPath}} {{join .Imports " "}}`, "./...")
	list.Dir = filepath.Join("..", "..")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		module, line, _ := strings.Cut(line, " ")
		from, imports, _ := strings.Cut(line, " ")
		top := func(path string) string { return first(module, path) }
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

// first is the first folder of an import path within the module, "" for others' paths.
func first(module, path string) string {
	rest, ours := strings.CutPrefix(path, module+"/")
	if !ours {
		return ""
	}
	folder, _, _ := strings.Cut(rest, "/")
	return folder
}
