package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// verdict is what the tests said of a mutant.
type verdict string

const (
	killed   verdict = "killed"
	survived verdict = "SURVIVED"
	hung     verdict = "hung"    // noticed: the tests did not end
	invalid  verdict = "invalid" // does not compile
)

// flags of every test run: short, no vet, stop at the first failure.
var flags = []string{"test", "-short", "-count=1", "-vet=off", "-failfast"}

// test runs the package's tests with the mutant in its file's place.
func (m *mutant) test(limit time.Duration) {
	m.verdict = invalid
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return
	}
	defer os.RemoveAll(dir)
	changed := slices.Concat(m.source[:m.from], []byte(m.text), m.source[m.to:])
	file, overlay := filepath.Join(dir, path.Base(m.file)), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(m.file)
	if err != nil {
		return
	}
	list, _ := json.Marshal(map[string]any{"Replace": map[string]string{original: file}})
	if errors.Join(os.WriteFile(file, changed, 0o644), os.WriteFile(overlay, list, 0o644)) != nil {
		return
	}
	m.verdict = tested(dir, limit, append(slices.Clone(flags), "-overlay", overlay, m.pkg))
}

// tested runs go in a process group of its own, which ends with it, so that a hanging test leaves nothing behind.
func tested(dir string, limit time.Duration, args []string) verdict {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	c := exec.CommandContext(ctx, "go", args...)
	alone(c)
	c.Env = append(os.Environ(), "TMPDIR="+dir)
	out, err := c.CombinedOutput()
	switch text := string(out); {
	case err == nil:
		return survived
	case ctx.Err() != nil:
		return hung
	case strings.Contains(text, "[build failed]") || strings.Contains(text, "[setup failed]"):
		return invalid
	default:
		return killed
	}
}

var block = regexp.MustCompile(`^(\S+):(\d+)\.\d+,(\d+)\.\d+ \d+ (\d+)$`)

// coverage tells which lines of each of a package's files its short tests run.
func coverage(pkg string) (map[string]map[int]bool, error) {
	dir, err := os.MkdirTemp("", "cover")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	profile := filepath.Join(dir, "profile")
	if out, err := exec.Command("go", "test", "-short", "-count=1", "-coverprofile="+profile,
		pkg).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: its tests fail without a mutant: %w\n%s", pkg, err, out)
	}
	file, err := os.Open(profile)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	covered := map[string]map[int]bool{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		b := block.FindStringSubmatch(lines.Text())
		if b == nil || b[4] == "0" {
			continue
		}
		name := path.Base(b[1])
		if covered[name] == nil {
			covered[name] = map[int]bool{}
		}
		first, _ := strconv.Atoi(b[2])
		last, _ := strconv.Atoi(b[3])
		for n := first; n <= last; n++ {
			covered[name][n] = true
		}
	}
	return covered, lines.Err()
}

// readEquivalent reads the keys of mutants that change nothing: a line each, as the survivors are printed, and lines
// that begin with #, which say why.
func readEquivalent(name string) (map[string]bool, error) {
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, " \n"); line != "" && line[0] != '#' {
			known[line] = true
		}
	}
	return known, nil
}
