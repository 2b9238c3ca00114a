//go:build linux && amd64

package onednn

/*
#cgo CFLAGS: -O3 -Wno-incompatible-pointer-types
#cgo LDFLAGS: -ldl -lm -lpthread
#include <stdlib.h>
const char *onednn_load(const char *path);
void *onednn_register(void *api, void *options, int threads);
int onednn_isa(void);
*/
import "C"

import (
	"errors"
	"sync"
	"unsafe"
)

var (
	loading sync.Mutex
	loaded  string // path of the library
)

// Supported reports whether the operators exist on this system.
const Supported = true

// Load opens oneDNN at path, once a process. It is no error if it is open already.
func Load(path string) error {
	loading.Lock()
	defer loading.Unlock()
	if loaded != "" {
		return nil
	}
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if text := C.onednn_load(name); text != nil {
		return errors.New("onednn: " + C.GoString(text))
	}
	loaded = path
	return nil
}

// Loaded is the path of the library, "" before Load.
func Loaded() string {
	loading.Lock()
	defer loading.Unlock()
	return loaded
}

// Register makes both domains known to a session's options. api is ONNX Runtime's table
// of functions, options its OrtSessionOptions. It returns an OrtStatus, nil for none.
// Convolutions run on as many threads. Load must have succeeded. Borrowed: both.
func Register(api, options unsafe.Pointer, threads int) unsafe.Pointer {
	return C.onednn_register(api, options, C.int(threads))
}

// Instructions names the widest that oneDNN uses here: "AMX", "AVX512_BF16", "AVX-512",
// "AVX2" or less. Load must have succeeded.
func Instructions() string {
	isa := int(C.onednn_isa()) // a set of bits, each level with those below it
	for _, level := range []struct {
		bits int
		name string
	}{{0xfef, "AMX"}, {0xe7, "AVX512_BF16"}, {0x27, "AVX-512"}, {0x7, "AVX2"}} {
		if isa&level.bits == level.bits {
			return level.name
		}
	}
	return "SSE4.1"
}
