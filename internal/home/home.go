// Package home names the folders that every clone and every run share.
package home

import (
	"os"
	"path/filepath"
)

// Dir is $FINETUNE_HOME, or `finetune` in the user's cache folder.
//
//	runtime/  ONNX Runtime libraries         weights/  downloaded state dicts
//	bodies/   NAME.onnx with NAME.json        data/     demo photographs
//	cache/    activations                    downloads/ archives as fetched
func Dir() string {
	if d := os.Getenv("FINETUNE_HOME"); d != "" {
		if abs, err := filepath.Abs(d); err == nil {
			return abs
		}
		return d
	}
	if d, err := os.UserCacheDir(); err == nil {
		return filepath.Join(d, "finetune")
	}
	return filepath.Join(os.TempDir(), "finetune")
}

// Path joins names below Dir.
func Path(names ...string) string { return filepath.Join(append([]string{Dir()}, names...)...) }
