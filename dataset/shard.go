package dataset

import (
	"context"
	"fmt"

	"finetune/internal/naming"
	"finetune/internal/reading"
)

// shard appends the photographs of a tar file. Their names are names alone; the path
// that is opened keeps them as they are.
func (w *walker) shard(items []Item, rel, file string) ([]Item, error) {
	names, err := reading.Photographs(context.Background(), file)
	if err != nil {
		return nil, fmt.Errorf("dataset: %w", err)
	}
	if w.files += len(names); w.files > maxFiles {
		return nil, fmt.Errorf("dataset: %s: more than %d files", w.root, maxFiles)
	}
	for _, name := range names {
		items = append(items, Item{Path: naming.EscapePath(rel + "/" + name), File: file + "/" + name, Label: -1})
	}
	return items, nil
}
