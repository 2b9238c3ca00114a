package cli

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// full is a disk without room, as behind `> /dev/full`.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestResultsThatCannotBeWritten(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	for _, command := range []string{"cache ls", "cache ls --json", "cache prune --keep 1GB", "--help", "train --help",
		"--version", "fetch", "fetch --json"} {
		var said bytes.Buffer
		code := Main(t.Context(), append([]string{"finetune"}, strings.Fields(command)...), Streams{Out: full{}, Err: &said})
		if code != 1 || !strings.Contains(said.String(), "no space left") {
			t.Errorf("%s: exit %d, %q; want 1 and the cause", command, code, &said)
		}
		said.Reset()
		if code := Main(t.Context(), append([]string{"finetune"}, strings.Fields(command)...),
			Streams{Out: new(bytes.Buffer), Err: &said}); code != 0 {
			t.Errorf("%s: exit %d, %q", command, code, &said)
		}
	}
}
