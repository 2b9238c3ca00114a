package shell

import (
	"fmt"
	"slices"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/internal/failure"
	"finetune/learner/config"
)

// Limits are what the values of flags may be, by the flag's name.
type Limits struct {
	Bounds     map[string]config.Bound // of numbers; "command flag" where a flag means something else for one command
	Choices    map[string][]string     // the words that a flag takes, or "command flag"
	MayBeEmpty []string                // texts whose empty value says something; elsewhere it is mostly an unset variable
}

// CheckFlags looks at every flag that was given before the command does anything.
func (l Limits) CheckFlags(c *cli.Context) error {
	for _, f := range c.Command.Flags {
		name := f.Names()[0]
		if !c.IsSet(name) {
			continue
		}
		if err := l.CheckFlag(c.Command.Name, name, c.Value(name)); err != nil {
			return err
		}
	}
	return nil
}

// CheckFlag looks at the value of one flag of a command.
func (l Limits) CheckFlag(command, name string, value any) error {
	text, isText := value.(string)
	if isText && text == "" && !slices.Contains(l.MayBeEmpty, name) {
		return failure.Usagef("--%s is empty; give a value, or leave the flag out", name)
	}
	text = fmt.Sprint(value)
	words := l.Choices[command+" "+name]
	if words == nil {
		words = l.Choices[name]
	}
	if words != nil && !slices.Contains(words, text) {
		return failure.Usagef("--%s %s: use %s", name, text, config.Choice(words))
	}
	b, ok := l.Bounds[command+" "+name]
	if !ok {
		if b, ok = l.Bounds[name]; !ok {
			return nil
		}
	}
	numbers := config.Numbers(value)
	if d, ok := value.(time.Duration); ok {
		numbers = []float64{d.Seconds()}
	}
	for _, v := range numbers {
		if !b.Fits(v) {
			return failure.Usagef("--%s %v: must be %s", name, value, b)
		}
	}
	return nil
}
