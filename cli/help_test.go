package cli

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"finetune/internal/golden"
)

// Each command's help is the text on file, and says things once.
func TestHelp(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	app := newApp(Streams{Out: io.Discard, Err: io.Discard})
	helpOf(t, nil)
	var walk func(above []string, list []*cli.Command)
	walk = func(above []string, list []*cli.Command) {
		for _, c := range list {
			name := append(above[:len(above):len(above)], c.Name)
			helpOf(t, name)
			walk(name, c.Subcommands)
		}
	}
	walk(nil, app.Commands)
}

func helpOf(t *testing.T, command []string) {
	t.Helper()
	var out bytes.Buffer
	args := append(append([]string{"finetune"}, command...), "--help")
	if code := Main(context.Background(), args, Streams{Out: &out, Err: io.Discard}); code != 0 {
		t.Fatalf("%v: exit code %d", args, code)
	}
	text := strings.ReplaceAll(out.String(), "\n   "+Version+"\n", "\n   VERSION\n")
	for _, line := range strings.Split(text, "\n") {
		if strings.Count(line, "(default") > 1 || strings.Contains(line, " value  ") || strings.Contains(line, "CATEGORY") {
			t.Errorf("%v: %s", args, line)
		}
	}
	golden.Text(t, "help/"+strings.Join(append([]string{"finetune"}, command...), "-"), text)
}

// Each command has a group and examples, whose commands and flags exist.
func TestExamples(t *testing.T) {
	k := names(t)
	commands := newApp(Streams{Out: io.Discard, Err: io.Discard}).Commands
	for _, c := range commands {
		m := manual[c.Name]
		if m.group == "" || len(m.examples) == 0 {
			t.Errorf("%s: group %q, %d examples", c.Name, m.group, len(m.examples))
		}
		for _, e := range m.examples {
			from := max(0, strings.Index(e, "finetune "))
			if strings.HasPrefix(e[from:], "finetune ") {
				k.check(t, c.Name, "`"+e[from:]+"`")
			}
		}
	}
	if len(manual) != len(commands) {
		t.Errorf("the manual has %d commands, the tool %d", len(manual), len(commands))
	}
}
