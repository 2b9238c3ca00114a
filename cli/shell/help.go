// Package shell is what every command line needs, whatever its commands are: flags
// in any order and within their bounds, files that may be written, signals, exit
// codes and the form of help texts.
package shell

import (
	"regexp"
	"strings"

	"github.com/urfave/cli/v2"
)

// Importing the package sets the form of urfave/cli's help texts, which are global.
func init() {
	cli.FlagStringer = describeFlag(cli.FlagStringer)
	cli.CommandHelpTemplate = groupHeading.ReplaceAllString(cli.CommandHelpTemplate, "")
	cli.SubcommandHelpTemplate = groupHeading.ReplaceAllString(cli.SubcommandHelpTemplate, "")
}

var (
	addedDefault = regexp.MustCompile(` \(default: [^()]*\)$`)
	// A command's group orders the list of commands and says nothing in the command's own help.
	groupHeading = regexp.MustCompile(`\{\{if \.Category\}\}\s+CATEGORY:\s+\{\{\.Category\}\}\{\{end\}\}`)
	emptyDefault = regexp.MustCompile(` \(default: (false|0|0s)\)$`)
)

// describeFlag drops the default that urfave/cli adds where a flag's own text says
// it in words, and where it is that nothing is asked for.
func describeFlag(describe cli.FlagStringFunc) cli.FlagStringFunc {
	return func(f cli.Flag) string {
		text := describe(f)
		if d, ok := f.(cli.DocGenerationFlag); ok && strings.Contains(d.GetUsage(), "default") && d.GetDefaultText() != "" {
			text = addedDefault.ReplaceAllString(text, "")
		}
		return emptyDefault.ReplaceAllString(text, "")
	}
}
