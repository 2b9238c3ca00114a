package onnx

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
*/
import "C"

import (
	"path/filepath"
	"strings"
	"unsafe"
)

// preload opens the libraries beside ONNX Runtime (CUDA's and cuDNN's, as
// `make cuda` unpacks them) for everybody: the CUDA provider names them but does
// not say where they are. They need one another, so it goes on until a round
// opens none; what is then missing, the provider's own error names.
func preload(dir string) {
	left, _ := filepath.Glob(filepath.Join(dir, "*.so*"))
	for opened := true; opened; {
		opened = false
		rest := left[:0]
		for _, path := range left {
			switch {
			case strings.HasPrefix(filepath.Base(path), "libonnxruntime"):
			case dlopen(path):
				opened = true
			default:
				rest = append(rest, path)
			}
		}
		left = rest
	}
}

func dlopen(path string) bool {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	return C.dlopen(name, C.RTLD_NOW|C.RTLD_GLOBAL) != nil
}
