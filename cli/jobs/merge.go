package jobs

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"

	"finetune/cli/shell"
	"finetune/cli/term"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/internal/remote"
	"finetune/internal/store"
	"finetune/job"
	"finetune/scores"
)

// IsJob reports whether an argument of merge is a job, not a part of a table.
func IsJob(place string) bool {
	if store.IsURL(place) {
		return true
	}
	info, err := os.Stat(place)
	return err == nil && info.IsDir()
}

// Holds reports whether a folder, also of a bucket, is a job's.
func Holds(place string) (bool, error) {
	if place == "" || place == "-" {
		return false, nil
	}
	root, err := remote.Root(place)
	if err != nil {
		return false, err
	}
	_, err = reading.Stat(filepath.Join(root, job.File))
	if failure.System(err) && store.IsURL(place) { // a bucket that cannot be reached
		return false, err
	}
	return err == nil, nil
}

// Merge writes the table of a job to a file, or as CSV to standard output. With escape, CSV is
// safe to open in a spreadsheet.
func Merge(ctx context.Context, place, into string, escape bool, out *term.Console) error {
	j, err := job.Open(ctx, place)
	if err != nil {
		return err
	}
	defer j.Close()
	if into == "-" && out.JSON {
		return failure.Usagef("merge: -o - and --json both want standard output")
	}
	format := scores.CSV
	if into != "-" {
		name, _, _ := strings.Cut(into, "?") // of an address
		if !store.IsURL(into) {
			if into, err = shell.Output(into); err != nil {
				return err
			}
			name = into
		}
		if format, err = scores.FormatOf(name); err != nil {
			return err
		}
	}
	err = j.Merge(ctx, func(columns []scores.Column, each func(yield func(scores.Row) error) error) error {
		write := func(w io.Writer) error { return scores.WriteTo(w, format, columns, each, escape) }
		switch {
		case into == "-":
			return write(out.Out)
		case store.IsURL(into):
			return remote.Put(ctx, into, write)
		}
		return durable.Write(into, write)
	})
	if err != nil {
		return err
	}
	out.Say("%s: %s from %s", into, plural.Count(j.Rows, "row"), plural.Count(j.Tasks, "part"))
	return out.Object(map[string]any{"output": into, "rows": j.Rows, "parts": j.Tasks})
}
