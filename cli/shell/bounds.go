package shell

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/internal/failure"
)

// Bound is what the numbers of a flag lie between, both included.
type Bound struct {
	Least, Most float64
	Above       bool // Least itself is too small
	List        bool // of a text: numbers with commas between
}

// Fits reports whether v lies within.
func (b Bound) Fits(v float64) bool {
	return v <= b.Most && (v > b.Least || v == b.Least && !b.Above)
}

func (b Bound) String() string {
	from := fmt.Sprintf("from %.10g", b.Least)
	if b.Above {
		from = fmt.Sprintf("above %.10g", b.Least)
	}
	return fmt.Sprintf("%s to %.10g", from, b.Most)
}

// Limits are what the values of flags may be, by the flag's name.
type Limits struct {
	Bounds     map[string]Bound    // of numbers; "command flag" where a flag means something else for one command
	Choices    map[string][]string // the words that a flag takes
	MayBeEmpty []string            // texts whose empty value says something; elsewhere it is mostly an unset variable
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
	switch words := l.Choices[name]; {
	case isText && text == "" && !slices.Contains(l.MayBeEmpty, name):
		return failure.Usagef("--%s is empty; give a value, or leave the flag out", name)
	case words != nil && !slices.Contains(words, text) &&
		(name != "layout" || !slices.Contains(words, strings.ToLower(text))):
		last := len(words) - 1
		return failure.Usagef("--%s %s: use %s or %s", name, text, strings.Join(words[:last], ", "), words[last])
	}
	b, ok := l.Bounds[command+" "+name]
	if !ok {
		if b, ok = l.Bounds[name]; !ok {
			return nil
		}
	}
	numbers, err := NumbersIn(value, b.List)
	if err != nil {
		return failure.Usagef("--%s %v: %w", name, value, err)
	}
	for _, v := range numbers {
		if !b.Fits(v) {
			return failure.Usagef("--%s %v: must be %s", name, value, b)
		}
	}
	return nil
}

// NumbersIn are the numbers of a flag's value.
func NumbersIn(value any, list bool) ([]float64, error) {
	switch v := value.(type) {
	case int:
		return []float64{float64(v)}, nil
	case int64:
		return []float64{float64(v)}, nil
	case uint64:
		return []float64{float64(v)}, nil
	case float64:
		return []float64{v}, nil
	case []float64:
		return v, nil
	case time.Duration:
		return []float64{v.Seconds()}, nil
	case string:
		if !list {
			return nil, nil
		}
		return numberList(v)
	}
	return nil, nil
}

func numberList(text string) ([]float64, error) {
	const most = 16 // layers
	parts := strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ' ' })
	if len(parts) > most {
		return nil, fmt.Errorf("%d numbers; at most %d", len(parts), most)
	}
	var out []float64
	for _, p := range parts {
		v, err := strconv.ParseFloat(p, 64)
		if err != nil {
			return nil, fmt.Errorf("%q is not a number", p)
		}
		out = append(out, v)
	}
	return out, nil
}
