package dataset

import "fmt"

// listShard visits a tar file.
func (w *walker) listShard(visit func(rel, file string) error, rel, file string) error {
	if w.files++; w.files > maxFiles {
		return fmt.Errorf("dataset: %s: more than %d files", w.root, maxFiles)
	}
	if err := visit(rel, file); err != nil {
		return fmt.Errorf("dataset: %w", err)
	}
	return nil
}
