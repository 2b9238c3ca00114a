package cli

import (
	"bytes"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

// Flags that take one of a few words refuse others, in every command that has
// them, before anything is looked for or opened.
func TestUnknownWordsAreRefused(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	words := []string{"balance", "body-precision", "precision", "device", "layout", "optimiser", "schedule"}
	tried := map[string]int{}
	everyFlag(func(command []string, f cli.Flag, required []string) {
		for _, name := range words {
			if f.Names()[0] != name {
				continue
			}
			tried[name]++
			args := append(append([]string{"finetune"}, command...), "--"+name+"=magic")
			args = append(args, required...)
			absent := filepath.Join(t.TempDir(), "absent")
			if command[0] != "demo" {
				args = append(args, absent)
			}
			if command[0] == "score" {
				args = append(args, absent)
			}
			var text bytes.Buffer
			code := Main(t.Context(), args, Streams{In: strings.NewReader(""), Out: io.Discard, Err: &text})
			if code != 2 || !strings.Contains(text.String(), "--"+name+" magic: use ") {
				t.Errorf("%v: exit code %d: %s", args[1:], code, text.String())
			}
		}
	})
	for _, name := range words {
		if tried[name] == 0 {
			t.Errorf("no command has --%s", name)
		}
	}
}
