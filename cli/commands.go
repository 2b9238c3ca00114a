package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/learner"
)

func commands(s Streams) []*cli.Command {
	return []*cli.Command{
		demoCommand(s), doctorCommand(s), fetchCommand(s), importCommand(s),
		trainCommand(s), recipeCommand(s), lrFindCommand(s), precomputeCommand(s), artifactsCommand(s),
		scoreCommand(s), mergeCommand(s), evaluateCommand(s), exportCommand(s), serveCommand(s),
		reportCommand(s), previewCommand(s), inspectCommand(s), cacheCommand(s),
	}
}

// The console is the learner's UI.
var _ learner.UI = (*console)(nil)

// Say implements learner.UI.
func (c *console) Say(format string, args ...any) { c.say(format, args...) }

// Warn implements learner.UI.
func (c *console) Warn(format string, args ...any) { c.warn(format, args...) }

// Progress implements learner.UI.
func (c *console) Progress(what, unit string) (func(done, total int), func()) {
	return c.progress(what, unit)
}

// Header implements learner.UI: cells left-aligned to 10, then a space.
func (c *console) Header(names ...string) {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "%-10s ", n)
	}
	c.print("%s", b.String())
}

// Row implements learner.UI: the first cell centred in 10, the others left-aligned.
func (c *console) Row(values ...string) {
	var b strings.Builder
	for i, v := range values {
		if i == 0 {
			left := (10 - len(v)) / 2
			fmt.Fprintf(&b, "%s%s%s ", strings.Repeat(" ", left), v, strings.Repeat(" ", max(0, 10-len(v)-left)))
			continue
		}
		fmt.Fprintf(&b, "%-10s ", v)
	}
	c.print("%s", strings.TrimSuffix(b.String(), ""))
}
