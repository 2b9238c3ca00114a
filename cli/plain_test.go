package cli

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/learner"
	"finetune/metrics"
)

// What names of files and classes hold is shown, never obeyed by the terminal.
func TestNamesCannotSteerTheTerminal(t *testing.T) {
	const name = "a\x1b[2J\x07\r\u009b31m\x7fé\nwarning:\tall is well"
	const shown = `a\x1b[2J\x07\x0d\u009b31m\x7fé\nwarning:\tall is well`
	var out, text bytes.Buffer
	c := term.New(Streams{Out: &out, Err: &text}, false, false)
	c.Say("data       %s", name)
	c.Warn("%s: unreadable", name)
	c.Print("run        %s", name)
	shell.Finish(&text, errors.Join(errors.New(name+": gone"), errors.New("and a second line")))
	printEvaluation(c, &learner.Evaluation{Classes: []string{name, "b"}, PerClass: map[string]metrics.Score{},
		Confusion: [][]int{{1, 0}, {0, 1}}})
	want := []string{"data       " + shown, "warning: " + shown + ": unreadable",
		"finetune: " + strings.ReplaceAll(shown, `\t`, "\t") + ": gone", "and a second line", ""}
	if got := strings.Split(text.String(), "\n"); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	if all := text.String() + out.String(); strings.ContainsAny(all, "\x1b\x07\r\u009b\x7f") ||
		strings.Count(out.String(), shown) != 4 || strings.Count(out.String(), "\nwarning") != 0 {
		t.Errorf("%q", all)
	}
}
