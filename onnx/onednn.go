package onnx

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"finetune/internal/failure"
	"finetune/internal/fetch"
	"finetune/internal/home"
	"finetune/onnx/onednn"
)

// oneDNNFile is the library as its wheel names it.
const oneDNNFile = "libdnnl.so.3"

// OneDNN loads oneDNN once a process and returns its path: what FINETUNE_ONEDNN names, or
// what `finetune fetch onednn` brought, or lib beside the program. It is "" where there
// is none, or FINETUNE_ONEDNN=off leaves it out; err says what is wrong with one that
// should be used.
var OneDNN = sync.OnceValues(func() (string, error) {
	named := os.Getenv("FINETUNE_ONEDNN")
	switch {
	case named == "off", named == "" && !onednn.Supported:
		return "", nil
	case named != "":
		if err := onednn.Load(named); err != nil {
			return "", failure.Usage(fmt.Errorf("onnx: FINETUNE_ONEDNN: %w; name oneDNN's %s, or off", err, oneDNNFile))
		}
		return named, nil
	}
	var bad error
	for _, top := range []string{home.Path("runtime"), home.Beside("lib")} {
		found, _ := filepath.Glob(filepath.Join(top, "onednn-*-"+fetch.Platform(), oneDNNFile)) // a sound pattern
		for _, path := range found {
			_, err := fetch.CheckLibrary(path)
			if err == nil {
				err = onednn.Load(path)
			}
			if err == nil {
				return path, nil
			}
			bad = cmp.Or(bad, err)
		}
	}
	if bad != nil { // nothing takes its place without a word
		bad = fmt.Errorf("onnx: %w; run `finetune fetch onednn` again, or set FINETUNE_ONEDNN=off", bad)
	}
	return "", bad
})

// withOneDNN registers the operators of package onednn with so.
func withOneDNN(register func() error) error {
	path, err := OneDNN()
	if err == nil && path == "" {
		err = errors.New("oneDNN is not there; run `finetune fetch onednn`, and unset FINETUNE_ONEDNN if it is off")
	}
	if err == nil {
		err = register()
	}
	return err
}
