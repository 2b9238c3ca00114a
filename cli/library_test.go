package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/failure"
	"finetune/internal/uitest"
	"finetune/learner"
	"finetune/learner/config"
)

// withField is the default configuration of photographs that there are not, with one
// field as config.json could have it.
func withField(t *testing.T, field, value string) learner.Config {
	t.Helper()
	c := learner.DefaultConfig()
	c.Data.Path = filepath.Join(t.TempDir(), "absent")
	part, name, _ := strings.Cut(field, ".")
	if err := json.Unmarshal(fmt.Appendf(nil, `{%q: {%q: %s}}`, part, name, value), &c); err != nil {
		t.Fatalf("%s %s: %v", field, value, err)
	}
	return c
}

// Who calls learner.Train is told what the command line tells, with fields for flags,
// before anything is read or written.
func TestLibraryIsToldTheSame(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	type wrong struct{ field, flag, json string } // what is wrong as a flag and in config.json
	cases := []wrong{{"train.hidden", "512,1000000000", `"512,1000000000"`}, {"train.dropout", "0.5,2", `"0.5,2"`},
		{"body.mean", "1,2,3000", `"1,2,3000"`}, {"body.std", "1,1,0", `"1,1,0"`}, {"train.clr", "-1,10", "[-1, 10]"},
		{"train.lrs", "1,-1", "[1, -1]"}, {"train.micro_batch", "1", "1"}, {"train.save", "../x", `"../x"`},
		{"train.epochs", "2000000", "2000000"}, {"train.freeze_to", "3", "3"}, {"train.bn_freeze", "true", "true"}}
	listed := map[string]bool{"train.seed": true, "data.split_seed": true} // which hold every number of their type
	for _, c := range cases {
		listed[c.field] = true
	}
	for field, b := range config.Bounds() {
		if most := fmt.Sprintf("%.0f", 4*max(b.Most, 1)); !listed[field] && !strings.HasPrefix(field, "recipe.") {
			cases = append(cases, wrong{field, most, most})
		}
	}
	for field := range config.Words() {
		if !strings.HasPrefix(field, "recipe.") {
			cases = append(cases, wrong{field, "magic", `"magic"`})
		}
	}
	for _, c := range cases {
		_, err := learner.Train(t.Context(), withField(t, c.field, c.json),
			learner.TrainOptions{Dir: filepath.Join(t.TempDir(), "run")}, uitest.Quiet{})
		var found *learner.FieldError
		if !errors.As(err, &found) || failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), c.field) {
			t.Errorf("%s %s: %v", c.field, c.json, err)
			continue
		}
		var text bytes.Buffer
		args := []string{"finetune", "train", "absent", flagOf(c.field) + "=" + c.flag, "--run",
			filepath.Join(t.TempDir(), "run")}
		code := Main(t.Context(), args, Streams{In: strings.NewReader(""), Out: io.Discard, Err: &text})
		if want := "finetune: " + inFlags(err).Error() + "\n"; code != int(failure.UsageKind) || text.String() != want {
			t.Errorf("%v: exit code %d, %q; the library says %q", args[3:], code, text.String(), want)
		}
	}
	if _, err := learner.Train(t.Context(), learner.Config{}, learner.TrainOptions{}, uitest.Quiet{}); err == nil ||
		!strings.Contains(err.Error(), "begin with DefaultConfig") {
		t.Errorf("a bare configuration: %v", err)
	}
	if _, err := learner.OpenClassifier("absent", learner.Machine{Threads: -1}, uitest.Quiet{}); err == nil ||
		!strings.Contains(err.Error(), "machine.threads -1: must be from 0 to 1024") {
		t.Errorf("a wrong machine: %v", err)
	}
}

// Every field that an error may name is a flag of train or recipe, and a stranger's
// config.json is held to the same rules.
func TestFieldsAreFlags(t *testing.T) {
	k := names(t)
	for field := range config.Bounds() {
		command := "train"
		if strings.HasPrefix(field, "recipe.") {
			command = "recipe"
		}
		if !k.commands[command][flagOf(field)] {
			t.Errorf("%s: %s has no flag %s", field, command, flagOf(field))
		}
	}
}
