package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"finetune/internal/home"
)

// runner is a contestant that is ready to race.
type runner interface {
	turn(ctx context.Context) (float64, error) // seconds, or what the contestant reports
	close() (peak int64)                       // bytes resident at most
}

// command starts a process each turn.
type command struct {
	argv  func() ([]string, error)
	field string
	peak  int64
}

func (c *command) turn(ctx context.Context) (float64, error) {
	argv, err := c.argv()
	if err != nil {
		return 0, err
	}
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	start := time.Now()
	err = cmd.Run()
	seconds := time.Since(start).Seconds()
	if err != nil {
		return 0, fmt.Errorf("%w: %s", err, lastLine(errs.String()))
	}
	c.peak = max(c.peak, resident(cmd.ProcessState))
	if c.field == "" {
		return seconds, nil
	}
	return number(out.Bytes(), c.field)
}

func (c *command) close() int64 { return c.peak }

// served is a process that warms up, says what it is, and then takes a turn for
// each line it reads (bench/turns.py, takeTurns).
type served struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	errs   bytes.Buffer
	engine string
}

func serve(ctx context.Context, argv []string, patience time.Duration) (*served, error) {
	s := &served{cmd: exec.CommandContext(ctx, argv[0], argv[1:]...)}
	s.cmd.Stderr = &s.errs
	// a first torch.compile takes minutes
	s.cmd.Env = append(os.Environ(), "TORCHINDUCTOR_CACHE_DIR="+home.Path("bench", "inductor"))
	in, err := s.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.in, s.out = in, bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	late := time.AfterFunc(patience, func() { s.cmd.Process.Kill() })
	var about struct{ Engine string }
	line, err := s.line()
	if !late.Stop() {
		err = fmt.Errorf("not ready after %s", patience)
	}
	if err == nil {
		err = json.Unmarshal(line, &about)
	}
	if err != nil {
		s.close()
		return nil, err
	}
	s.engine = about.Engine
	return s, nil
}

// line reads the next line that is JSON; libraries print others.
func (s *served) line() ([]byte, error) {
	for {
		line, err := s.out.ReadBytes('\n')
		if err != nil {
			s.cmd.Wait()
			return nil, errors.New(lastLine(s.errs.String()))
		}
		if bytes.HasPrefix(line, []byte("{")) {
			return line, nil
		}
	}
}

func (s *served) turn(context.Context) (float64, error) {
	if _, err := io.WriteString(s.in, "\n"); err != nil {
		return 0, err
	}
	line, err := s.line()
	if err != nil {
		return 0, err
	}
	return number(line, "seconds")
}

func (s *served) close() int64 {
	peak := highWater(s.cmd.Process.Pid)
	s.in.Close()
	s.cmd.Wait()
	return peak
}

// highWater is what Linux says of a process that runs, 0 elsewhere.
func highWater(pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		if f := strings.Fields(line); len(f) == 3 && f[0] == "VmHWM:" {
			kb, _ := strconv.ParseInt(f[1], 10, 64)
			return kb << 10
		}
	}
	return 0
}

func number(out []byte, field string) (float64, error) {
	var all map[string]any
	if err := json.Unmarshal(bytes.TrimSpace(out), &all); err != nil {
		return 0, fmt.Errorf("%q is no JSON object: %w", out, err)
	}
	v, ok := all[field].(float64)
	if !ok {
		return 0, fmt.Errorf("no %q in %s", field, out)
	}
	return v, nil
}

// lastLine is what a program says at its end, cut to fit a table.
func lastLine(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	last := strings.NewReplacer("|", "/", "\t", " ").Replace(lines[len(lines)-1])
	if last == "" {
		return "it ended without a word"
	}
	return last[:min(len(last), 160)]
}
