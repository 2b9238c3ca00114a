package shell

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// Arrange moves a command's flags before its positional arguments, because
// urfave/cli v2 stops at the first positional one and people write
// `finetune train DATA --seed 1`. Everything after `--` stays positional.
func Arrange(app *cli.App, args []string) []string {
	if len(args) < 2 {
		return args
	}
	out, rest := args[:1:1], args[1:]
	command := find(app, app.Flags, &out, &rest)
	if command == nil {
		return append(out, rest...)
	}
	flags := command.Flags
	if len(rest) > 0 {
		if sub := command.Command(rest[0]); sub != nil {
			out, rest, flags = append(out, rest[0]), rest[1:], sub.Flags
		}
	}
	return append(out, flagsFirst(flags, rest)...)
}

// find consumes global flags and the command's name.
func find(app *cli.App, flags []cli.Flag, out, rest *[]string) *cli.Command {
	for len(*rest) > 0 {
		a := (*rest)[0]
		*out, *rest = append(*out, a), (*rest)[1:]
		if !strings.HasPrefix(a, "-") {
			return app.Command(a)
		}
		if takesValue(flags, a) && len(*rest) > 0 {
			*out, *rest = append(*out, (*rest)[0]), (*rest)[1:]
		}
	}
	return nil
}

func flagsFirst(flags []cli.Flag, args []string) []string {
	var first, positional []string
	for i := 0; i < len(args); i++ {
		a := args[i]
		if a == "--" {
			positional = append(positional, args[i+1:]...)
			break
		}
		if len(a) < 2 || a[0] != '-' {
			positional = append(positional, a)
			continue
		}
		first = append(first, a)
		if takesValue(flags, a) {
			if i++; i == len(args) || args[i] == "--" {
				return first // the flag at the end, so that its missing value is what is complained about
			}
			first = append(first, args[i])
		}
	}
	if len(positional) == 0 {
		return first
	}
	return append(append(first, "--"), positional...)
}

// takesValue reports whether the flag named by arg is followed by its value.
func takesValue(flags []cli.Flag, arg string) bool {
	if strings.Contains(arg, "=") {
		return false
	}
	name := strings.TrimLeft(arg, "-")
	for _, f := range flags {
		for _, n := range f.Names() {
			if n == name {
				b, isBool := f.(interface{ TakesValue() bool })
				return !isBool || b.TakesValue()
			}
		}
	}
	return false
}
