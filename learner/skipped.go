package learner

import (
	"encoding/csv"
	"fmt"
	"io"
	"path/filepath"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/home"
	"finetune/scores"
)

// writeSkipped lists the photographs that could not be used.
func writeSkipped(path string, rows []Skipped) error {
	return durable.Write(path, func(w io.Writer) error {
		table := csv.NewWriter(w)
		table.Write([]string{"split", "path", "status", "reason"})
		for _, s := range rows {
			table.Write([]string{s.Split, scores.Disarm(s.Path), s.Status, scores.Disarm(s.Reason)})
		}
		table.Flush()
		return table.Error()
	})
}

// listSkipped keeps the list of a data set's unreadable photographs where it is
// found without a run too, and says where.
func (l *Learner) listSkipped(rows []Skipped) string {
	data := l.Config.Data.Path
	if data == "" {
		data = l.Config.Data.Labels
	}
	if abs, err := filepath.Abs(data); err == nil {
		data = abs
	}
	path := home.Path("skipped", fmt.Sprintf("%s-%.8s.csv", filepath.Base(data), digest.Of(data)))
	if err := writeSkipped(path, rows); err != nil {
		return fmt.Sprintf("skipped.csv of a run (%v)", err)
	}
	return path
}
