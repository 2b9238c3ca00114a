package runs

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"finetune/internal/failure"
)

// maxTable bounds the CSV files of a run that are read back.
const maxTable = 1 << 30

// ReadTable reads a CSV of a run row by row, each as a map from column to cell.
// A file that is not there has no rows. Errors name the file and the line.
func ReadTable(path string, need []string, row func(cells map[string]string, header []string) error) error {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("learner: %w", err)
	}
	defer f.Close()
	if err := ScanTable(io.LimitReader(f, maxTable), need, row); err != nil {
		return failure.Data(fmt.Errorf("learner: %s: %w; train again with --overwrite", path, err))
	}
	return nil
}

// ScanTable is ReadTable of an open table.
func ScanTable(r io.Reader, need []string, row func(cells map[string]string, header []string) error) error {
	c := csv.NewReader(r)
	header, err := c.Read()
	if err != nil {
		return fmt.Errorf("no header: %w", err)
	}
	cells := map[string]string{}
	for _, name := range header {
		cells[name] = ""
	}
	for _, name := range need {
		if _, ok := cells[name]; !ok {
			return fmt.Errorf("no column %q", name)
		}
	}
	for {
		record, err := c.Read()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		for i, v := range record {
			cells[header[i]] = v
		}
		if err := row(cells, header); err != nil {
			line, _ := c.FieldPos(0)
			return fmt.Errorf("line %d: %w", line, err)
		}
	}
}

// CellReader parses cells and keeps the first error.
type CellReader struct {
	Cells map[string]string
	Err   error
}

// Float is the number in a column.
func (c *CellReader) Float(name string) float64 {
	v, err := strconv.ParseFloat(c.Cells[name], 64)
	if err != nil && c.Err == nil {
		c.Err = fmt.Errorf("column %s: %q is not a number", name, c.Cells[name])
	}
	return v
}

// Int is the whole number in a column.
func (c *CellReader) Int(name string) int {
	v, err := strconv.Atoi(c.Cells[name])
	if err != nil && c.Err == nil {
		c.Err = fmt.Errorf("column %s: %q is not a whole number", name, c.Cells[name])
	}
	return v
}

// TableOf joins a run's folder and a file's name.
func TableOf(run, name string) string { return filepath.Join(run, name) }
