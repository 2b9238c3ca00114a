package term

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"finetune/internal/failure"
)

// A line break of a name is shown; those between joined errors, and of a fault's
// stack, stay.
func TestErrorText(t *testing.T) {
	name := errors.New("learner: a\nb: no such folder")
	for want, err := range map[string]error{
		`learner: a\nb: no such folder`:             name,
		`train: learner: a\nb: no such folder; try`: fmt.Errorf("train: %w; try", failure.Usage(name)),
		"train: learner: a\\nb: no such folder\nfull; free some": fmt.Errorf("train: %w; free some",
			errors.Join(name, errors.New("full"))),
		`learner: a\nb: no such folder and x\ny`: fmt.Errorf("%w and %w", name, errors.New("x\ny")),
	} {
		if got := ErrorText(err); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	if got := ErrorText(failure.Fault("x")); strings.Contains(got, `\n`) || strings.Count(got, "\n") < 3 {
		t.Errorf("a fault: %q", got)
	}
}

// What is said in one call is one line, whatever names hold; a text of several lines keeps them.
func TestOneCallIsOneLine(t *testing.T) {
	var out, said bytes.Buffer
	c := New(Streams{Out: &out, Err: &said}, false, false)
	const name, shown = "a\nb\tc\x1b", `a\nb\tc\x1b`
	c.Say("%s", name)
	c.Warn("%q: %v", name, errors.New(name))
	c.Tell("%v", []string{name})
	c.Print("run %s", name)
	c.Row("1", name)
	if want := shown + "\nwarning: \"" + shown + "\": " + shown + "\n[" + shown + "]\n"; said.String() != want {
		t.Errorf("%q, want %q", said.String(), want)
	}
	if want := "run " + shown + "\n    1      " + shown + "     \n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
	out.Reset()
	if c.Lines("a\n\tb\x1b"); out.String() != "a\n\tb\\x1b\n" {
		t.Errorf("%q", out.String())
	}
}
