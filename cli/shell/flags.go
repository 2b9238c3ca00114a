package shell

import (
	"encoding"
	"errors"
	"flag"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"
)

// Join is one list of flags.
func Join(lists ...[]cli.Flag) []cli.Flag {
	var all []cli.Flag
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// InCategory heads flags in the help text.
func InCategory(name string, flags ...cli.Flag) []cli.Flag {
	for _, f := range flags {
		switch f := f.(type) {
		case *cli.BoolFlag:
			f.Category = name
		case *cli.IntFlag:
			f.Category = name
		case *cli.Float64Flag:
			f.Category = name
		case *cli.StringFlag:
			f.Category = name
		case *cli.GenericFlag:
			f.Category = name
		case *cli.Int64Flag:
			f.Category = name
		case *cli.DurationFlag:
			f.Category = name
		}
	}
	return flags
}

// Numbers is a flag of numbers with commas between.
type Numbers struct{ into *[]float64 }

// Set implements flag.Value.
func (n Numbers) Set(text string) error {
	var out []float64
	for _, part := range strings.Split(text, ",") {
		v, err := strconv.ParseFloat(strings.TrimSpace(part), 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", part)
		}
		out = append(out, v)
	}
	*n.into = out
	return nil
}

// Get implements flag.Getter.
func (n Numbers) Get() any { return *n.into }

// String implements flag.Value.
func (n Numbers) String() string { return "" }

// NumbersFlag is a flag of numbers with commas between, which go to into.
func NumbersFlag(name, usage string, into *[]float64) cli.Flag {
	return &cli.GenericFlag{Name: name, Usage: usage, Value: Numbers{into}}
}

// Text is a value that a flag sets by its text.
type Text interface {
	encoding.TextUnmarshaler
	fmt.Stringer
}

// text is a Text as flags see it.
type text struct{ into Text }

// Set implements flag.Value.
func (t text) Set(s string) error {
	if s == "" && t.String() == "" {
		return errors.New("it is empty; give a value, or leave the flag out")
	}
	return t.into.UnmarshalText([]byte(s))
}

// Get implements flag.Getter.
func (t text) Get() any { return reflect.ValueOf(t.into).Elem().Interface() }

// String implements flag.Value.
func (t text) String() string {
	if t.into == nil {
		return ""
	}
	return t.into.String()
}

// TextFlag is a flag whose text goes to into, which holds its default.
func TextFlag(name, usage string, into Text) *cli.GenericFlag {
	f := &cli.GenericFlag{Name: name, Usage: usage, Value: text{into}}
	if s := into.String(); s != "" {
		f.DefaultText = strconv.Quote(s)
	}
	return f
}

// Destination is the value that a flag writes to.
func Destination(f cli.Flag) any {
	if g, ok := f.(*cli.GenericFlag); ok {
		return g.Value.(flag.Getter).Get()
	}
	return reflect.ValueOf(f).Elem().FieldByName("Destination").Elem().Interface()
}
