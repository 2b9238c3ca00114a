package cli

import (
	"slices"

	"github.com/urfave/cli/v2"

	"finetune/cli/finished"
	"finetune/cli/jobs"
	"finetune/cli/serving"
	"finetune/cli/studio"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/learner"
)

func commands(s Streams) []*cli.Command {
	return slices.Concat([]*cli.Command{
		demoCommand(s), doctorCommand(s), fetchCommand(s), importCommand(s),
		trainCommand(s), recipeCommand(s), lrFindCommand(s), precomputeCommand(s),
		auditCommand(s), artifactsCommand(s),
		scoreCommand(s), mergeCommand(s), evaluateCommand(s), exportCommand(s),
		serving.Command(s, serving.Shared{Output: outputFlags, Inference: inferenceFlags, Raw: rawFlag,
			Coverage: coverageFlag}),
		reportCommand(s), previewCommand(s), inspectCommand(s), cacheCommand(s),
		studio.Command(s, studio.Shared{Output: outputFlags, Data: dataFlags, Body: bodyFlags, Machine: machineFlags}),
	}, finished.Commands(s, outputFlags), jobs.Commands(s, jobs.Shared{Version: Version, Output: outputFlags,
		Rows: rowFlags, Inference: inferenceFlags, Body: bodyFlags, Data: dataFlags}))
}

// The console is the learner's UI.
var _ learner.UI = (*term.Console)(nil)

// Streams are where a command reads and writes; tests pass buffers.
type Streams = term.Streams

func usagef(format string, args ...any) error { return failure.Usagef(format, args...) }
