package cli

import (
	"bytes"
	"context"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

const referencePage = "../docs/reference/cli.md"

// docs/reference/cli.md says what --help says of every command. `make golden` writes it.
func TestHelpIsTheReferencePage(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	var commands [][]string
	var walk func(above []string, list []*cli.Command)
	walk = func(above []string, list []*cli.Command) {
		for _, c := range list {
			name := append(above[:len(above):len(above)], c.Name)
			commands = append(commands, name)
			walk(name, c.Subcommands)
		}
	}
	walk(nil, newApp(Streams{Out: io.Discard, Err: io.Discard}).Commands)

	page := newReference()
	for _, name := range commands {
		var out bytes.Buffer
		args := append(append([]string{"finetune"}, name...), "--help")
		if code := Main(context.Background(), args, Streams{Out: &out, Err: io.Discard}); code != 0 {
			t.Fatalf("%v: exit code %d", args, code)
		}
		page.command(name, out.String())
	}
	if os.Getenv("GOLDEN_UPDATE") != "" {
		if err := os.WriteFile(referencePage, []byte(page.text()), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(referencePage)
	if err != nil || string(have) != page.text() {
		t.Errorf("%s is not what the commands' --help says (%v); `make golden` writes it again", referencePage, err)
	}
}

// reference turns help texts into a page of Markdown.
type reference struct {
	list, body strings.Builder
}

func newReference() *reference { return &reference{} }

func (r *reference) text() string {
	return "# Commands\n\n" +
		"Made from the flags by `make golden`; a test compares it with `--help`. The words are explained in " +
		"[concepts](../concepts.md),\n" +
		"the files in [files of a run](files.md), the exit codes in [exit codes](exit-codes.md).\n\n" +
		"| command | what it does |\n|---|---|\n" + r.list.String() + r.body.String()
}

var (
	// helpSection is a heading of a help text and the indented lines below it.
	helpSection = regexp.MustCompile(`(?m)^([A-Z ]+):\n((?:(?:   .*)?\n)*)`)
	// helpFlag is a line of OPTIONS: the flag's names and value, then what it says.
	helpFlag = regexp.MustCompile(`^   (-\S.*?)(?:   *(.*))?$`)
)

// command adds one command, given what its --help prints.
func (r *reference) command(name []string, help string) {
	title := strings.Join(name, " ")
	parts := map[string]string{}
	for _, m := range helpSection.FindAllStringSubmatch(help, -1) {
		parts[m[1]] = strings.TrimRight(m[2], "\n")
	}
	_, about, _ := strings.Cut(strings.TrimSpace(parts["NAME"]), " - ")
	r.list.WriteString("| [`" + title + "`](#" + strings.ReplaceAll(title, " ", "-") + ") | " + cell(about) + " |\n")

	r.body.WriteString("\n## " + title + "\n\n" + cell(about) + "\n\n    " + strings.TrimSpace(parts["USAGE"]) + "\n")
	text, examples, _ := strings.Cut(parts["DESCRIPTION"], "   Examples:\n")
	if text = strings.ReplaceAll(strings.TrimSpace(text), "\n   ", "\n"); text != "" {
		r.body.WriteString("\n" + cell(text) + "\n")
	}
	if examples = strings.ReplaceAll("\n"+examples, "\n      ", "\n"); strings.TrimSpace(examples) != "" {
		r.body.WriteString("\n```sh\n" + strings.TrimSpace(examples) + "\n```\n")
	}
	heading := "flags"
	for _, line := range strings.Split(parts["OPTIONS"], "\n") {
		m := helpFlag.FindStringSubmatch(line)
		if m == nil {
			if group := strings.TrimSpace(line); group != "" {
				heading = "flags: " + strings.ToLower(group)
			}
			continue
		}
		if heading != "" {
			r.body.WriteString("\n| " + heading + " | |\n|---|---|\n")
			heading = ""
		}
		r.body.WriteString("| `" + strings.ReplaceAll(m[1], "|", "\\|") + "` | " + cell(m[2]) + " |\n")
	}
}

// cell is a text that may stand in a table's cell.
func cell(text string) string {
	return strings.NewReplacer("|", "\\|", "<", "&lt;", "*", "\\*").Replace(text)
}
