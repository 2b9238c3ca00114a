package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"finetune/dataset"
	"finetune/internal/demo"
	"finetune/onnx"
)

// setup is what contestants' commands name, and how a command fails to be
// possible.
type setup struct {
	o      options
	dir    string // of all that the race writes
	words  map[string]string
	absent map[string]error // words that could not be had
	fresh  int
}

func newSetup(ctx context.Context, o options) (*setup, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if o.binary, err = filepath.Abs(o.binary); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "finetune-race-")
	if err != nil {
		return nil, err
	}
	s := &setup{o: o, dir: dir, absent: map[string]error{}}
	s.words = map[string]string{
		"self": self, "finetune": o.binary, "body": o.body, "step-body": o.stepBody,
		"step-batch": strconv.Itoa(o.batch), "threads": strconv.Itoa(o.threads),
		"rows": strconv.Itoa(o.rows),
		"data": s.path("photos"), "photos": s.path("photos"), "cache": s.path("cache"), "features": s.path("features.onnx"),
		"model": s.path("model.onnx"),
	}
	if err := s.prepare(ctx); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *setup) path(name string) string { return filepath.Join(s.dir, name) }
func (s *setup) close()                  { os.RemoveAll(s.dir) }

// prepare makes what the parts to race need, and no more.
func (s *setup) prepare(ctx context.Context) error {
	o := s.o
	for _, env := range environments {
		if o.needs(env.word) {
			python, err := env.python(ctx)
			if err != nil {
				s.absent[env.word] = err
				fmt.Fprintf(os.Stderr, "race: %s: %v; its contestants are left out\n", env.word, err)
			}
			s.words[env.word] = python
		}
	}
	if s.words["openvino"] = "openvino"; o.needs("openvino") && !onnx.HasOpenVINO() {
		s.absent["openvino"] = errors.New("not installed; run `finetune fetch openvino`")
		fmt.Fprintf(os.Stderr, "race: openvino: %v; its contestants are left out\n", s.absent["openvino"])
	}
	if o.needs("photos") || o.needs("data") || o.needs("photo") || o.needs("count") {
		if err := s.copyPhotos(ctx); err != nil {
			return err
		}
	}
	if o.needs("features") || o.needs("width") {
		m, spec, err := featureModel(o.body)
		if err != nil {
			return err
		}
		if err := m.Write(s.words["features"]); err != nil {
			return err
		}
		s.words["width"] = strconv.Itoa(spec.Features())
	}
	if o.needs("cache") || o.needs("model") {
		if err := s.finetune(ctx, "train", s.words["data"], "--body", o.body, "--cache", s.words["cache"], "--run",
			s.path("run"), "--no-report"); err != nil {
			return err
		}
	}
	if o.needs("model") {
		return s.finetune(ctx, "export", s.path("run"), "--cache", s.words["cache"], "-o", s.words["model"])
	}
	return nil
}

func (s *setup) finetune(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, s.o.binary, append(args, "--quiet")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w\n%s", s.o.binary, strings.Join(args, " "), err, out)
	}
	return nil
}

// copyPhotos spreads -n photographs over a folder of train and valid.
func (s *setup) copyPhotos(ctx context.Context) error {
	root := s.o.photos
	if root == "" {
		var err error
		if root, err = demo.Prepare(ctx,
			demo.Options{Log: func(format string, a ...any) { fmt.Fprintf(os.Stderr, format+"\n", a...) }}); err != nil {
			return err
		}
	}
	set, err := dataset.Open(root, dataset.Options{Fallback: 0.2})
	if err != nil {
		return err
	}
	all := append(set.Train, set.Valid...)
	if s.o.count > len(all) {
		s.o.count = len(all)
	}
	for i := range s.o.count {
		at := i * len(all) / s.o.count
		split := "train"
		if at >= len(set.Train) {
			split = "valid"
		}
		it := all[at]
		to := filepath.Join(s.words["photos"], split, it.Class, fmt.Sprintf("%05d%s", i, filepath.Ext(it.File)))
		if err := copyFile(to, it.File); err != nil {
			return err
		}
		s.words["photo"] = to
	}
	s.words["count"] = strconv.Itoa(s.o.count)
	return nil
}

func copyFile(to, from string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(to), 0o777); err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o666)
}

// argv fills in a contestant's command.
func (s *setup) argv(c contestant) ([]string, error) {
	argv := strings.Fields(c.command)
	for i, word := range argv {
		for name, err := range s.absent {
			if strings.Contains(word, "{"+name+"}") {
				return nil, err
			}
		}
		for name, value := range s.words {
			word = strings.ReplaceAll(word, "{"+name+"}", value)
		}
		if strings.Contains(word, "{fresh}") {
			s.fresh++
			fresh := s.path(fmt.Sprint("fresh", s.fresh))
			if err := os.Mkdir(fresh, 0o777); err != nil {
				return nil, err
			}
			word = strings.ReplaceAll(word, "{fresh}", fresh)
		}
		argv[i] = word
	}
	if argv[0] == s.words["self"] {
		own := []string{argv[0], "-threads", s.words["threads"], "-rows", s.words["rows"], "-body", s.o.body, "-step-body",
			s.o.stepBody, "-step-batch", strconv.Itoa(s.o.batch)}
		argv = append(own, argv[1:]...)
	}
	return argv, nil
}

// apart runs this program in another process.
func apart(args ...string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if out, err := exec.Command(self, args...).CombinedOutput(); err != nil {
		return errors.New(lastLine(string(out)))
	}
	return nil
}

// machine says where and with what the numbers came about.
func (s *setup) machine() string {
	version, err := exec.Command(s.o.binary, "--version").Output()
	if err != nil {
		version = []byte(s.o.binary)
	}
	return fmt.Sprintf("%s: %s, %d cores, %s/%s, %d threads each; %s, %s", time.Now().Format(time.DateOnly), processor(),
		runtime.NumCPU(), runtime.GOOS, runtime.GOARCH,
		s.o.threads, strings.TrimSpace(string(version)), runtime.Version())
}

func processor() string {
	data, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(data)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unnamed processor"
}
