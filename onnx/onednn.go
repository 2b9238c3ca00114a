package onnx

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"finetune/internal/failure"
	"finetune/internal/fetch"
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
	path, err := fetch.Load("onednn", oneDNNFile, onednn.Load)
	if err != nil { // nothing takes its place without a word
		err = fmt.Errorf("onnx: %w; run `finetune fetch onednn` again, or set FINETUNE_ONEDNN=off", err)
	}
	return path, err
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
