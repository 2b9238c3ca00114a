package cli

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

// checked remembers that writing results failed: a full disk behind `> FILE` is
// no success, whichever command printed.
type checked struct {
	io.Writer
	mu  sync.Mutex
	err error
}

func (c *checked) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	if err != nil {
		c.mu.Lock()
		c.err = err
		c.mu.Unlock()
	}
	return n, err
}

func (c *checked) failed() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return fmt.Errorf("the results could not be written to standard output: %w", c.err)
}

// console is Streams as one invocation uses them: --quiet and --json applied.
type console struct {
	Streams
	quiet, json bool
	mu          sync.Mutex
}

// say prints a line about what is going on, to Err unless quiet.
func (c *console) say(format string, args ...any) {
	if !c.quiet {
		c.mu.Lock()
		defer c.mu.Unlock()
		fmt.Fprintln(c.Err, plain(fmt.Sprintf(format, args...)))
	}
}

// warn prints a warning, even when quiet.
func (c *console) warn(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintln(c.Err, plain("warning: "+fmt.Sprintf(format, args...)))
}

// print prints a result line to Out, unless --json keeps Out for one object.
func (c *console) print(format string, args ...any) {
	if !c.json {
		fmt.Fprintln(c.Out, plain(fmt.Sprintf(format, args...)))
	}
}

// plain shows control characters that names may hold: a terminal would obey them.
func plain(text string) string {
	steers := func(r rune) bool { return unicode.IsControl(r) && r != '\n' && r != '\t' }
	if !strings.ContainsFunc(text, steers) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !steers(r):
			b.WriteRune(r)
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// object prints v as the one JSON object of --json.
func (c *console) object(v any) error {
	if !c.json {
		return nil
	}
	e := json.NewEncoder(c.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// terminal reports whether w is a terminal that can redraw a line.
func terminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}
