package runs

import (
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"finetune/internal/durable"
	"finetune/internal/plural"
	"finetune/metrics"
	"finetune/scores"
)

// WriteTable writes rows as CSV under the run's folder.
func (r *Run) WriteTable(name string, header []string, n int, row func(i int) []string) error {
	return durable.Write(r.Path(name), func(w io.Writer) error {
		c := csv.NewWriter(w)
		if err := c.Write(header); err != nil {
			return err
		}
		for i := range n {
			if err := c.Write(row(i)); err != nil {
				return err
			}
		}
		c.Flush()
		return c.Error()
	})
}

// WriteHistory writes history.csv.
func (r *Run) WriteHistory(rows []Epoch) error {
	return r.WriteTable(HistoryFile, []string{"epoch", "lr", "trn_loss", "val_loss", "accuracy", "seconds"}, len(rows),
		func(i int) []string {
			e := rows[i]
			return []string{strconv.Itoa(e.Epoch), Digits(e.LR[len(e.LR)-1]), Digits(e.TrainLoss), Digits(e.ValidLoss),
				Digits(e.Accuracy), strconv.FormatFloat(e.Seconds, 'f', 3, 64)}
		})
}

// WriteSteps has one lr column, or one lr_GROUP for each layer group.
func (r *Run) WriteSteps(rows []Step, groups []string) error {
	header := []string{"step", "epoch"}
	for i := range max(len(groups), 1) {
		header = append(header, rateName(i, groups))
	}
	return r.WriteTable(StepsFile, append(header, "momentum", "loss"), len(rows), func(i int) []string {
		s := rows[i]
		out := []string{strconv.Itoa(s.Step), strconv.Itoa(s.Epoch)}
		for _, lr := range s.LR {
			out = append(out, Digits(lr))
		}
		return append(out, Digits(s.Momentum), Digits(s.Loss))
	})
}

// WritePredictions writes predictions.csv; sep stands between the labels of one photograph.
func (r *Run) WritePredictions(rows []Prediction, classes []string, multi bool, sep string) error {
	header := []string{"split", "path", "label", "predicted"}
	for _, c := range classes {
		header = append(header, "logp_"+c)
	}
	odd := len(rows) > 0 && rows[0].Odd != 0
	if odd {
		header = append(header, "oddness")
	}
	return r.WriteTable(PredictionsFile, header, len(rows), func(i int) []string {
		p := rows[i]
		label, predicted := ClassName(classes, p.Label), ClassName(classes, p.Predicted)
		if multi {
			label, predicted = ClassNames(classes, p.Labels, sep), ClassNames(classes, metrics.AllPresent(p.LogProb), sep)
		}
		out := []string{p.Split, scores.Disarm(p.Path), scores.Disarm(label), scores.Disarm(predicted)}
		for _, v := range p.LogProb {
			out = append(out, strconv.FormatFloat(float64(v), 'g', -1, 32))
		}
		if odd {
			out = append(out, strconv.FormatFloat(float64(p.Odd), 'g', -1, 32))
		}
		return out
	})
}

// WriteNeighbours writes neighbours.csv.
func (r *Run) WriteNeighbours(rows []Neighbour, classes []string) error {
	return r.WriteTable(NeighboursFile, []string{"path", "rank", "neighbour", "label", "distance", "duplicate"}, len(rows),
		func(i int) []string {
			n, duplicate := rows[i], "no"
			if n.Duplicate {
				duplicate = "yes"
			}
			return []string{scores.Disarm(n.Path), strconv.Itoa(n.Rank), scores.Disarm(n.Neighbour),
				scores.Disarm(ClassName(classes, n.Label)), Digits(n.Distance), duplicate}
		})
}

// WriteMaps writes maps.csv.
func (r *Run) WriteMaps(list []Map, classes []string) error {
	return r.WriteTable(MapsFile, []string{"path", "class", "rows", "columns", "levels"}, len(list), func(i int) []string {
		m := list[i]
		return []string{scores.Disarm(m.Path), scores.Disarm(ClassName(classes, m.Class)), strconv.Itoa(m.Rows),
			strconv.Itoa(m.Columns), strings.Trim(fmt.Sprint(m.Levels), "[]")}
	})
}

// Digits is v as the tables have it: the shortest text that is v.
func Digits(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// ClassName is the name of class i, "" for none.
func ClassName(classes []string, i int) string {
	if i < 0 || i >= len(classes) {
		return ""
	}
	return classes[i]
}

// ClassNames joins the names of labels.
func ClassNames(classes []string, labels []int, sep string) string {
	names := make([]string, len(labels))
	for i, c := range labels {
		names[i] = ClassName(classes, c)
	}
	return strings.Join(names, sep)
}

// WriteSkipped lists the photographs that could not be used.
func WriteSkipped(path string, rows []Skipped) error {
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

// ReadMaps reads RUN/maps.csv; a run without a report has none.
func ReadMaps(run string, classes []string) (list []Map, err error) {
	return list, ReadTable(TableOf(run, MapsFile), []string{"path", "class", "rows", "columns", "levels"},
		func(cells map[string]string, _ []string) error {
			c := CellReader{Cells: cells}
			m := Map{Path: scores.Rearm(cells["path"]), Class: slices.Index(classes, scores.Rearm(cells["class"])),
				Rows: c.Int("rows"), Columns: c.Int("columns")}
			for _, text := range strings.Fields(cells["levels"]) {
				level, err := strconv.ParseUint(text, 10, 8)
				if err != nil {
					return fmt.Errorf("column levels: %q is not from 0 to 255", text)
				}
				m.Levels = append(m.Levels, uint8(level))
			}
			if m.Rows < 1 || m.Columns < 1 || len(m.Levels) != m.Rows*m.Columns {
				return fmt.Errorf("%s, not %d × %d", plural.Count(len(m.Levels), "level"), m.Rows, m.Columns)
			}
			list = append(list, m)
			return c.Err
		})
}
