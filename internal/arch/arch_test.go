// Package arch holds the project's code to its plan: which package may import
// which, how large files and packages may become, and what exported names owe
// those who use them.
package arch

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// floors are the packages from the ground up. Each may import what lies on a lower
// floor, nothing of its own floor or above.
var floors = [][]string{
	// words, bytes, files and numbers
	{"internal/buckettest", "internal/columns", "internal/plural"},
	{"internal/arch", "internal/bmp", "internal/colour", "internal/cubic", "internal/digest", "internal/dims",
		"internal/durable",
		"internal/failure", "internal/guard", "internal/half", "internal/heif", "internal/jpeg", "internal/licences",
		"internal/lock",
		"internal/parallel", "internal/rng", "internal/tiff", "internal/uitest", "internal/uitest/browser", "metrics",
		"onnx/batchnorm",
		"onnx/graph/onnxpb", "onnx/onednn", "schedule"},
	{"audit", "calibration", "cli/term", "dataset/exclude", "dataset/journal", "internal/sorting",
		"internal/tarshard"},
	{"dataset/draw"},
	{"internal/faults", "internal/fetch/notices", "internal/golden", "internal/home", "internal/hostile",
		"internal/modulepath", "internal/naming", "internal/photos", "internal/picturetest", "internal/reading",
		"internal/tfevents",
		"plots"},
	// photographs and networks as data
	{"internal/fetch", "internal/store"},
	{"dataset/kinds", "internal/libjpeg", "internal/remote"},
	{"augment/picture", "dataset", "internal/plotstest", "onnx/graph", "onnx/weights",
		"plots/page"},
	{"augment", "internal/graphtest", "onnx/hub", "onnx/shape"},
	{"onnx/forms", "onnx/plain", "onnx/surgery"},
	{"onnx/trainable"},
	{"activations", "internal/corpus", "internal/demo", "internal/fetch/sbom", "internal/fetch/setup", "onnx",
		"onnx/bodies", "logistic", "onnx/headgraph", "onnx/inspect", "scores", "serve", "studio/choose", "studio/page"},
	// networks that run and learn
	{"onnx/gradient/tape", "studio/session"},
	{"head", "internal/doctor", "internal/onnxtest", "job", "onnx/gradient", "onnx/quantize"},
	{"job/engine", "onnx/artifacts"},
	{"finetuning"},
	// the rooms behind the front door
	{"learner/config"},
	{"learner/runs"},
	{"learner/features", "learner/fit", "learner/report"},
	{"learner/batches", "learner/look"},
	{"learner/parts"},
	{"internal/jobtest"},
	{"learner/check", "learner/classify", "learner/compare", "learner/train"},
	{"internal/learnertest", "learner/export", "learner/tasks", "learner/trials", "studio"},
	{"learner/recipe"},
	{"learner", "cli/shell"},
	{"cli/finished", "cli/jobs", "cli/serving", "cli/studio"},
	{"cli"},
	{""}, // main
}

func TestImportsPointOneWay(t *testing.T) {
	floor := map[string]int{}
	for i, list := range floors {
		for _, p := range list {
			floor[p] = i
		}
	}
	for _, p := range list(t) {
		if strings.HasPrefix(p.path, "bench/") { // measures all of them
			continue
		}
		own, known := floor[p.path]
		if !known {
			t.Errorf("%s has no floor in this test; give it one", p.path)
			continue
		}
		for _, to := range p.imports {
			if other, known := floor[to]; known && other >= own {
				t.Errorf("%s imports %s, which is not on a lower floor", p.path, to)
			}
		}
	}
}

// pkg is a package of the module: paths are relative to it, "" for the module's own.
type pkg struct {
	path    string
	dir     string
	imports []string // of the module
}

// list asks Go for the packages of the module, whatever its name.
func list(t *testing.T) []pkg {
	t.Helper()
	command := exec.Command("go", "list", "-f", `{{.Module.Path}}|{{.ImportPath}}|{{.Dir}}|{{join .Imports " "}}`, "./...")
	command.Dir = filepath.Join("..", "..")
	out, err := command.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []pkg
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSpace(line), "|")
		within := func(path string) (string, bool) {
			if path == f[0] {
				return "", true
			}
			return strings.CutPrefix(path, f[0]+"/")
		}
		p := pkg{dir: f[2]}
		p.path, _ = within(f[1])
		for _, to := range strings.Fields(f[3]) {
			if rel, ours := within(to); ours {
				p.imports = append(p.imports, rel)
			}
		}
		all = append(all, p)
	}
	return all
}
