package cli

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/learner"
)

type auditOptions struct {
	config       learner.Config
	output, fail string
	quiet, json  bool
}

func auditCommand(s Streams) *cli.Command {
	o := auditOptions{config: learner.DefaultConfig()}
	return &cli.Command{
		Name: "audit", Usage: "find wrong labels, copies, leaks between splits and odd photographs in DATA",
		ArgsUsage: "DATA",
		Description: "Uses the features that precompute and train cache. Photographs are not changed. Prints a " +
			"line for each kind\nof fault that it finds. With -o it writes audit.csv, audit.json, a page, and " +
			"relabel.csv to edit.",
		Flags: shell.Join([]cli.Flag{
			&cli.PathFlag{Name: "output", Aliases: []string{"o"}, Usage: "write audit.csv, audit.json, relabel.csv and " +
				"index.html to folder `DIR`", Destination: &o.output},
			&cli.StringFlag{Name: "fail-on", Usage: "exit with code 3 if one of these `KINDS` is " +
				"found: " + strings.Join(learner.AuditKinds(), ", "), Destination: &o.fail},
		}, dataFlags(&o.config), bodyFlags(&o.config), machineFlags(&o.config), outputFlags(&o.quiet, &o.json)),
		Action: func(c *cli.Context) error {
			if c.NArg() > 1 || c.NArg() == 0 && o.config.Data.Labels == "" {
				return usagef("audit takes one DATA, a folder of photographs")
			}
			o.config.Data.Path = c.Args().First()
			return runAudit(c.Context, o, term.New(s, o.quiet, o.json))
		},
	}
}

func runAudit(ctx context.Context, o auditOptions, out *term.Console) error {
	var kinds []string
	for kind := range strings.SplitSeq(o.fail, ",") {
		if kind = strings.TrimSpace(kind); kind == "" {
			continue
		}
		if !slices.Contains(learner.AuditKinds(), kind) {
			return usagef("--fail-on %s: no such kind; choose of %s", kind, strings.Join(learner.AuditKinds(), ", "))
		}
		kinds = append(kinds, kind)
	}
	o.config.Images.Augment = "none"
	l, err := learner.Open(ctx, o.config, out)
	if err != nil {
		return err
	}
	defer l.Close()
	f, err := l.Precompute(ctx)
	if err != nil {
		return err
	}
	result, err := l.Audit(ctx, f)
	if err != nil {
		return err
	}
	for _, f := range result.Findings {
		out.Print("%-10s %s", f.Kind, f.Text)
	}
	if len(result.Findings) == 0 {
		out.Print("the audit found nothing wrong")
	}
	if o.output != "" {
		if err := result.Write(o.output); err != nil {
			return err
		}
		out.Print("audit      %s", filepath.Join(o.output, "index.html"))
	}
	if err := out.Object(result); err != nil {
		return err
	}
	var found []string
	for _, kind := range kinds {
		if n := result.Count(kind); n > 0 {
			found = append(found, fmt.Sprintf("%s %d", kind, n))
		}
	}
	if len(found) > 0 {
		return failure.Data(fmt.Errorf("audit: --fail-on: %s; look at them with -o DIR, mend the data or its labels, and "+
			"audit again", strings.Join(found, ", ")))
	}
	return nil
}
