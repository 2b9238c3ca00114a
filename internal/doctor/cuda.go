package doctor

import (
	"runtime"
	"slices"

	"finetune/internal/fetch"
	"finetune/onnx"
)

// cuda says whether an NVIDIA GPU can be used and which libraries are missing
// by name. Without a driver there is nothing to fix: the CPU is used.
func cuda() Finding {
	f := Finding{Name: "NVIDIA GPU", Status: Absent}
	if runtime.GOOS != "linux" {
		f.Detail = "not supported on " + runtime.GOOS + ": the CPU is used"
		return f
	}
	path, err := onnx.FindLibrary("cuda")
	var c onnx.CUDA
	if err == nil {
		c, err = onnx.InspectCUDA(path)
	}
	return gpu(c, err, onnx.NVIDIADriver(), slices.Contains(fetch.Names(), "cuda"),
		func() error { return onnx.Try("cuda") })
}

// gpu is the finding on a CUDA provider c, or on the error that there is none:
// driver says whether one is loaded, pinned whether finetune has a build to
// fetch, and try runs a model on the GPU.
func gpu(c onnx.CUDA, err error, driver, pinned bool, try func() error) Finding {
	f := Finding{Name: "NVIDIA GPU", Status: Absent, Detail: c.Provider}
	fetchIt := "`finetune fetch cuda`"
	if !pinned {
		fetchIt = "a build of ONNX Runtime with the CUDA provider for " + fetch.Platform() +
			", named with ONNXRUNTIME_LIB (none is pinned)"
	}
	switch {
	case err != nil && !driver:
		f.Detail = "no driver (/dev/nvidiactl): the CPU is used"
	case err != nil:
		f.Detail, f.Fix = "a driver is loaded, but no ONNX Runtime for NVIDIA GPUs: the CPU is used ("+err.Error()+")",
			fetchIt+" (about 2 GB)"
	case len(c.Missing) > 0 && !driver:
		f.Detail, f.Fix = c.Provider+"\nincomplete, and no driver: the CPU is used; "+c.Problem().Error(), fetchIt
	case len(c.Missing) > 0:
		f.Status, f.Detail, f.Fix = Broken, c.Problem().Error(), fetchIt
	case c.Driver == 0 && !driver:
		f.Detail += "\ncomplete but for the driver (libcuda.so.1): the CPU is used"
	case c.Problem() != nil:
		f.Status, f.Detail, f.Fix = Broken, f.Detail+"\n"+c.Problem().Error(), "install NVIDIA's driver for this GPU; "+
			"`--device cpu` works meanwhile"
	default:
		if err := try(); err != nil {
			f.Status, f.Detail, f.Fix = Broken, f.Detail+"\n"+err.Error(), "see the reason; `--device cpu` works meanwhile"
			return f
		}
		f.Status, f.Detail = OK, f.Detail+", provider CUDA"
	}
	return f
}
