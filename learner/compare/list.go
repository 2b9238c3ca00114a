package compare

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"finetune/internal/failure"
	"finetune/learner/runs"
)

// Listed is a folder of runs' folder.
type Listed struct {
	Name     string    `json:"run"`
	Date     time.Time `json:"date"` // when it was finished, else when it was begun
	Data     string    `json:"data,omitempty"`
	Body     string    `json:"body,omitempty"`
	Finished bool      `json:"finished"`
	Accuracy float64   `json:"accuracy,omitempty"`
	Loss     float64   `json:"loss,omitempty"`
	Train    int       `json:"train_images,omitempty"`
	Valid    int       `json:"valid_images,omitempty"`
	Broken   string    `json:"broken,omitempty"` // why it cannot be read
}

// List lists the runs in a folder, by name. Folders that are no run are left out; those that cannot be read
// say why.
//
// Errors: a folder that is not there is failure.Usage.
func List(dir string) ([]Listed, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, failure.Usage(fmt.Errorf("runs: %s: there is no such folder; `finetune train` puts runs into runs/, or "+
			"name the folder of yours", dir))
	}
	if err != nil {
		return nil, failure.Usage(fmt.Errorf("runs: %w", err))
	}
	var out []Listed
	for _, e := range entries {
		name := filepath.Join(dir, e.Name())
		info, err := os.Stat(filepath.Join(name, runs.ConfigFile))
		if err != nil || strings.HasPrefix(e.Name(), ".") {
			continue
		}
		l := Listed{Name: filepath.ToSlash(name), Date: info.ModTime().UTC().Truncate(time.Second)}
		if err := l.read(name); err != nil {
			l.Broken = err.Error()
		}
		out = append(out, l)
	}
	return out, nil
}

func (l *Listed) read(name string) error {
	c, err := runs.ReadConfig(name)
	if err != nil {
		return err
	}
	l.Data, l.Body = c.Data.Name(), c.Body.Name
	info, err := os.Stat(filepath.Join(name, runs.SummaryFile))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	sum, err := runs.ReadSummary(name)
	if err != nil {
		return err
	}
	l.Finished, l.Date = true, info.ModTime().UTC().Truncate(time.Second)
	l.Accuracy, l.Loss, l.Train, l.Valid = sum.Valid.Accuracy, sum.Valid.Loss, sum.TrainImages, sum.ValidImages
	return nil
}
