package term

import (
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
