package cli

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"

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
		fmt.Fprintf(c.Err, format+"\n", args...)
	}
}

// warn prints a warning, even when quiet.
func (c *console) warn(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fmt.Fprintf(c.Err, "warning: "+format+"\n", args...)
}

// print prints a result line to Out, unless --json keeps Out for one object.
func (c *console) print(format string, args ...any) {
	if !c.json {
		fmt.Fprintf(c.Out, format+"\n", args...)
	}
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
