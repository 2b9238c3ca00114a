package shell

import (
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

// Destination is the value that a flag writes to.
func Destination(f cli.Flag) any {
	if g, ok := f.(*cli.GenericFlag); ok {
		return *g.Value.(Numbers).into
	}
	return reflect.ValueOf(f).Elem().FieldByName("Destination").Elem().Interface()
}
