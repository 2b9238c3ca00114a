package runs

import (
	"encoding/json"
	"fmt"

	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/reading"
)

// maxJSON bounds config.json and summary.json, whose longest parts are the
// names of the classes: room for a hundred thousand.
const maxJSON = 16 << 20

// readJSON reads a file that writeJSON wrote.
func readJSON(path string, v any) error {
	data, err := readBounded(path, maxJSON, "train again with --overwrite")
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, v); err != nil {
		return failure.Data(fmt.Errorf("learner: %s: damaged: %w; train again with --overwrite", path, err))
	}
	return nil
}

// readBounded reads a whole file of a run; next is what to do about a larger one.
func readBounded(path string, limit int64, next string) ([]byte, error) {
	data, err := reading.File(path, limit)
	if failure.KindOf(err) == failure.DataKind {
		return nil, failure.Data(fmt.Errorf("learner: %s: damaged: more than %d MB; %s", path, limit>>20, next))
	}
	if err != nil {
		return nil, fmt.Errorf("learner: %w", err)
	}
	return data, nil
}

// WriteJSON writes v, indented, as a file that appears whole.
func WriteJSON(path string, v any) error {
	data, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("learner: %s: %w", path, err)
	}
	return durable.WriteFile(path, append(data, '\n'))
}
