package onnx

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>

static int driver_version(const char *library) {
	void *driver = dlopen(library, RTLD_LAZY | RTLD_LOCAL);
	if (!driver) return 0;
	int (*ask)(int *) = (int (*)(int *))dlsym(driver, "cuDriverGetVersion");
	int version = 0;
	if (!ask || ask(&version) != 0) version = 0;
	dlclose(driver);
	return version;
}
*/
import "C"

import "unsafe"

// driverVersion asks NVIDIA's driver for the newest CUDA version that it serves:
// 12040 is 12.4; 0 without a driver.
func driverVersion() int {
	name := C.CString(driverLibrary)
	defer C.free(unsafe.Pointer(name))
	return int(C.driver_version(name))
}
