// Package home names the folders that every clone and every run share.
package home

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"finetune/internal/failure"
)

// Dir is $FINETUNE_HOME, or `finetune` in the user's cache folder.
//
//	runtime/  ONNX Runtime libraries         weights/  downloaded state dicts
//	bodies/   NAME.onnx with NAME.json        data/     demo photographs
//	cache/    activations                    downloads/ archives as fetched
//	fetched/  models and runs of buckets     outgoing/ files on their way to a bucket
//	toolchain/ Go, where make had to bring it (tools/toolchain.sh)
//
// Where neither is known there is no such folder: Check says so, and Dir is a
// path at which nothing can be.
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
	return filepath.Join(os.DevNull, "finetune") // never a folder that others can make, such as one in /tmp
}

// Check is a usage error where Dir is nowhere, as in a service or a cron job
// that has neither FINETUNE_HOME nor HOME.
func Check() error {
	if os.Getenv("FINETUNE_HOME") != "" {
		return nil
	}
	if _, err := os.UserCacheDir(); err != nil {
		return failure.Usage(fmt.Errorf("home: no folder for libraries, bodies and caches (%w); set FINETUNE_HOME to a "+
			"folder of your own, such as /var/lib/finetune", err))
	}
	return nil
}

// Path joins names below Dir.
func Path(names ...string) string { return filepath.Join(append([]string{Dir()}, names...)...) }

// Beside joins names below the folder of the running program, links resolved:
// an unpacked release has lib/ and bodies/ there. "" where that is not known.
func Beside(names ...string) string {
	program, err := os.Executable()
	if err != nil { // Linux without /proc
		if program, err = exec.LookPath(os.Args[0]); err == nil {
			program, err = filepath.Abs(program)
		}
	}
	if err == nil {
		program, err = filepath.EvalSymlinks(program)
	}
	if err != nil {
		return ""
	}
	return filepath.Join(append([]string{filepath.Dir(program)}, names...)...)
}

// ErrOpen says that anybody may write where trusted files lie.
var ErrOpen = errors.New("anybody may write to it")

// Open is an error that wraps ErrOpen where everybody may replace the file at
// path: it, or a folder between it and Dir or the program's, is writable by
// others. Windows has no such mode.
func Open(path string) error {
	if runtime.GOOS == "windows" {
		return nil
	}
	top, beside := Dir(), Beside()
	for p := path; ; p = filepath.Dir(p) {
		if info, err := os.Stat(p); err == nil && info.Mode().Perm()&0o002 != 0 {
			return fmt.Errorf("home: %s: %w", p, ErrOpen)
		}
		if p == top || p == beside || p == filepath.Dir(p) {
			return nil
		}
	}
}
