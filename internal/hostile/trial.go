//go:build unix

package hostile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unicode/utf8"

	"finetune/internal/plural"
)

// Trial runs a finetune program over hostile files.
type Trial struct {
	Program string   // finetune
	Env     []string // of the program; nil: this process's
	Dir     string   // an empty folder for everything
	Train   string   // photographs to train a head on
	Body    string   // --body
	Size    int      // --size; 0: the body's own
}

// Result is what came of a Trial.
type Result struct {
	Files, Bytes int64
	Status       map[string]int // rows of score by status
	Score, Cache time.Duration  // of score and precompute
	ScoreMB      int64          // largest resident set
	PrecomputeMB int64
	Complaints   []string // what went wrong; none is a success
}

// Run writes files as WriteTree does, scores them and precomputes them.
func (t Trial) Run(files []File, sound []byte) (Result, error) {
	r := Result{Status: map[string]int{}}
	data := filepath.Join(t.Dir, "data")
	paths, err := WriteTree(data, []string{"ants", "bees"}, files, sound)
	if err != nil {
		return r, err
	}
	r.Files = int64(len(paths))
	if r.Bytes, err = Size(data); err != nil {
		return r, err
	}
	run, cache := filepath.Join(t.Dir, "run"), filepath.Join(t.Dir, "cache")
	body := []string{"--body", t.Body, "--cache", cache}
	if t.Size > 0 {
		body = append(body, "--size", fmt.Sprint(t.Size))
	}
	if out, _, _, err := t.call(append([]string{"train", t.Train, "--run", run, "--epochs", "1", "--no-report"},
		body...)...); err != nil {
		return r, fmt.Errorf("hostile: train: %w\n%s", err, out)
	}
	table := filepath.Join(t.Dir, "scores.jsonl")
	out, took, mb, err := t.call("score", run, data, "-o", table, "--cache", cache, "--no-cache")
	r.Score, r.ScoreMB = took, mb
	r.complain("score", out, err)
	r.rows(table, paths)
	out, took, mb, err = t.call(append([]string{"precompute", data, "--max-bad", "1", "--json"}, body...)...)
	r.Cache, r.PrecomputeMB = took, mb
	r.complain("precompute", out, err)
	return r, nil
}

// call runs the program and returns what it said, its time and its largest resident set.
func (t Trial) call(args ...string) (out string, took time.Duration, mb int64, err error) {
	c := exec.Command(t.Program, args...)
	var b bytes.Buffer
	c.Dir, c.Env, c.Stdout, c.Stderr = t.Dir, t.Env, &b, &b
	start := time.Now()
	err = c.Run()
	if u, ok := c.ProcessState.SysUsage().(*syscall.Rusage); ok {
		mb = u.Maxrss >> 10
	}
	return b.String(), time.Since(start), mb, err
}

func (r *Result) complain(command, out string, err error) {
	if err != nil || strings.Contains(out, "panic") || strings.Contains(out, "goroutine") {
		r.Complaints = append(r.Complaints, fmt.Sprintf("%s: %v\n%s", command, err, out))
	}
	for _, c := range out {
		if c < ' ' && c != '\n' && c != '\t' && c != '\r' || c == '\u202e' {
			r.Complaints = append(r.Complaints, fmt.Sprintf("%s: control character %q reaches the terminal", command, c))
			return
		}
	}
}

// asText is a name as tables have it: \xHH for each byte that is no UTF-8.
func asText(name string) string {
	var b strings.Builder
	for len(name) > 0 {
		r, n := utf8.DecodeRuneInString(name)
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, name[0])
		} else {
			b.WriteString(name[:n])
		}
		name = name[n:]
	}
	return b.String()
}

// rows checks that the table has one row for each path and no other.
func (r *Result) rows(table string, paths []string) {
	want := map[string]int{}
	for _, p := range paths {
		want[asText(p)]++
	}
	f, err := os.Open(table)
	if err != nil {
		r.Complaints = append(r.Complaints, err.Error())
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var row struct{ Path, Status, Reason string }
		if err := json.Unmarshal(lines.Bytes(), &row); err != nil {
			r.Complaints = append(r.Complaints, fmt.Sprintf("%s: %v: %s", table, err, lines.Bytes()))
			continue
		}
		r.Status[row.Status]++
		want[row.Path]--
		if (row.Status == "ok") != (row.Reason == "") {
			r.Complaints = append(r.Complaints, fmt.Sprintf("%q: status %s, reason %q", row.Path, row.Status, row.Reason))
		}
	}
	for p, n := range want {
		if n != 0 {
			r.Complaints = append(r.Complaints, fmt.Sprintf("%q: %s too few", p, plural.Count(n, "row")))
		}
	}
}
