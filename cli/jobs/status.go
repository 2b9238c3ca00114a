package jobs

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/job"
	"finetune/scores"
)

func statusCommand(s term.Streams, shared Shared) *cli.Command {
	var price float64
	var quiet, json bool
	return &cli.Command{
		Name: "status", Usage: "show how much of a JOB is done, what failed, and how long the rest will take",
		ArgsUsage: "JOB",
		Flags: shell.Join([]cli.Flag{
			&cli.Float64Flag{Name: "price", Usage: "`PRICE` of one worker for an hour; also print the cost of the job",
				Destination: &price},
		}, only(shared.Output(&quiet, &json), "json")),
		Action: func(c *cli.Context) error {
			if c.NArg() != 1 {
				return failure.Usagef("status takes one JOB that `finetune plan` made")
			}
			out := term.New(s, false, json)
			j, err := job.Open(c.Context, c.Args().First())
			if err != nil {
				return err
			}
			defer j.Close()
			st, err := j.Status(c.Context)
			if err != nil {
				return err
			}
			printStatus(out, st, price)
			sofar, all := st.Cost(price)
			return out.Object(struct {
				job.Status
				Cost    float64 `json:"cost"`
				CostAll float64 `json:"cost_all"`
			}{st, sofar, all})
		},
	}
}

func printStatus(out *term.Console, s job.Status, price float64) {
	out.Print("done    %d of %s, %d of %s%s", s.Done, plural.Count(s.Tasks, "task"), s.RowsDone,
		plural.Count(s.Rows, "row"), counts(s.Status))
	if left := s.Rows - s.RowsDone; left > 0 && s.RowsPerSecond > 0 {
		out.Print("rate    %.4g rows/s of late; about %s left", s.RowsPerSecond,
			time.Duration(s.SecondsLeft*1e9).Round(time.Second))
	}
	if s.LoggedRows > 0 {
		out.Print("work    %.1f worker-seconds, %s a worker", s.WorkerSeconds,
			term.PerSecond(float64(s.LoggedRows)/s.WorkerSeconds, "rows"))
	}
	if price > 0 {
		sofar, all := s.Cost(price)
		out.Print("cost    %.4g so far, about %.4g in all, at %.4g for an hour of a worker", sofar, all, price)
	}
	for _, r := range job.Reasons(s.Failed) {
		out.Print("failed  %s: %s", r, r.Error)
	}
	for _, r := range job.Reasons(s.Bad) {
		out.Print("bad     %s: %s", r, r.Error)
	}
}

// counts are rows by status, ok first.
func counts(status map[string]int) string {
	var parts []string
	for _, name := range slices.SortedFunc(maps.Keys(status), func(a, b string) int {
		if (a == scores.OK) != (b == scores.OK) {
			return map[bool]int{true: -1, false: 1}[a == scores.OK]
		}
		return strings.Compare(a, b)
	}) {
		parts = append(parts, fmt.Sprintf("%d %s", status[name], name))
	}
	if parts == nil {
		return ""
	}
	return ": " + strings.Join(parts, ", ")
}
