// Package term is what a command reads from and prints to: results on one stream, progress and warnings on the other.
package term

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"unicode"

	"golang.org/x/term"
)

// Streams are where a command reads and writes; tests pass buffers.
// Results go to Out, progress and warnings to Err.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// Checked remembers that writing results failed: a full disk behind `> FILE` is
// no success, whichever command printed.
type Checked struct {
	io.Writer
	mu  sync.Mutex
	err error
}

func (c *Checked) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	if err != nil {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
	}
	return n, err
}

// Failed is why results could not be written, nil where all were.
func (c *Checked) Failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return fmt.Errorf("the results could not be written to standard output: %w", c.err)
}

// Console is Streams as one invocation uses them: --quiet and --json applied. It
// is the learner's UI. Its lines may come from several goroutines.
type Console struct {
	Streams
	Quiet bool // no progress, only results, warnings and errors
	JSON  bool // Out is for one JSON object
	mu    sync.Mutex
}

// New is the console of one invocation.
func New(s Streams, quiet, json bool) *Console { return &Console{Streams: s, Quiet: quiet, JSON: json} }

// Say prints a line about what is going on, to Err unless quiet.
func (c *Console) Say(format string, args ...any) {
	if !c.Quiet {
		c.Tell(format, args...)
	}
}

// Warn prints a warning, even when quiet.
func (c *Console) Warn(format string, args ...any) {
	c.Tell("warning: %s", fmt.Sprintf(format, args...))
}

// Tell prints a line to Err, even when quiet.
func (c *Console) Tell(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(c.Err, Line(fmt.Sprintf(format, args...)))
}

// Print prints a result line to Out, unless --json keeps Out for one object.
func (c *Console) Print(format string, args ...any) {
	if !c.JSON {
		fmt.Fprintln(c.Out, Line(fmt.Sprintf(format, args...)))
	}
}

// Lines prints a text to Out whose line breaks are meant, unless --json keeps Out for one object.
func (c *Console) Lines(text string) {
	if !c.JSON {
		fmt.Fprintln(c.Out, Plain(text))
	}
}

// Line is a text as one line: names may hold line breaks, tabs, and control characters,
// which a terminal would obey. They are shown as Go writes them.
func Line(text string) string { return shown(text, unicode.IsControl) }

// Plain is a text whose line breaks and tabs are meant, without other control characters.
func Plain(text string) string {
	return shown(text, func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' })
}

// shown writes out the characters of text that steer a terminal.
func shown(text string, steers func(rune) bool) string {
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !steers(r):
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// Object prints v as the one JSON object of --json.
func (c *Console) Object(v any) error {
	if !c.JSON {
		return nil
	}
	e := json.NewEncoder(c.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Header prints the names of a table: cells left-aligned to 10, then a space.
func (c *Console) Header(names ...string) {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "%-10s ", n)
	}
	c.Print("%s", b.String())
}

// Row prints a line of it: the first cell centred in 10, the others left-aligned.
func (c *Console) Row(values ...string) {
	var b strings.Builder
	for i, v := range values {
		if i == 0 {
			left := (10 - len(v)) / 2
			fmt.Fprintf(&b, "%s%s%s ", strings.Repeat(" ", left), v, strings.Repeat(" ", max(0, 10-len(v)-left)))
			continue
		}
		fmt.Fprintf(&b, "%-10s ", v)
	}
	c.Print("%s", b.String())
}

// terminal reports whether w is a terminal that can redraw a line.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}
