package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/home"
)

// environment is a virtual environment of Python.
type environment struct {
	word     string     // by which commands name its interpreter
	variable string     // names an existing one
	pinned   string     // requirements file
	installs [][]string // arguments of pip install, in order
}

var environments = []environment{
	{"peers", "FINETUNE_PEERS", "bench/peers.txt", [][]string{{"-r", "bench/peers.txt"}}},
	{"openvino-python", "FINETUNE_OPENVINO_PYTHON", "bench/openvino.txt", [][]string{{"-r", "bench/openvino.txt"}}},
	// The training build asks for versions of others that are gone; its own list serves.
	{"ort-training", "FINETUNE_ORT_TRAINING", "bench/ort-training.txt",
		[][]string{{"-r", "bench/ort-training.txt"}, {"--no-deps", "onnxruntime-training==1.19.2"}}},
}

// python returns the interpreter of the environment, making it on first use and
// again when the pinned versions change.
func (e environment) python(ctx context.Context) (string, error) {
	if dir := os.Getenv(e.variable); dir != "" {
		python := filepath.Join(dir, "bin", "python")
		_, err := os.Stat(python)
		return python, err
	}
	sum, err := digest.File(e.pinned)
	if err != nil {
		return "", fmt.Errorf("%w; run from the repository", err)
	}
	dir := home.Path("bench", e.word)
	python, done := filepath.Join(dir, "bin", "python"), filepath.Join(dir, "pinned.sha256")
	if have, err := os.ReadFile(done); err == nil && string(have) == sum {
		return python, nil
	}
	steps := [][]string{{"python3", "-m", "venv", "--clear", dir}}
	for _, args := range e.installs {
		steps = append(steps, append([]string{python, "-m", "pip", "install", "--quiet"}, args...))
	}
	for _, argv := range steps {
		fmt.Fprintln(os.Stderr, "race:", argv)
		if out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput(); err != nil {
			return "", fmt.Errorf("%w: %s", err, lastLine(string(bytes.TrimSpace(out))))
		}
	}
	return python, durable.WriteFile(done, []byte(sum))
}
