package doctor

import (
	"errors"
	"os"
	"slices"

	"finetune/internal/fetch"
	"finetune/onnx"
)

// openVINO says whether OpenVINO can run frozen bodies, and what for.
func openVINO() Finding {
	f := Finding{Name: "OpenVINO", Status: Absent}
	pinned := slices.Contains(fetch.Names(), "openvino")
	path, err := onnx.FindLibrary("openvino")
	if err != nil {
		f.Detail = "not installed"
		if pinned {
			f.Fix = "`finetune fetch openvino` (84 MB): " + benefit(onnx.HasMatrices(), onnx.HasBFloat16())
		}
		return f
	}
	f.Detail = path
	if pinned {
		if _, _, err := fetch.Installed("openvino"); err != nil && !errors.Is(err, os.ErrNotExist) {
			f.Status, f.Detail, f.Fix = Broken, err.Error(), "`finetune fetch openvino`"
			return f
		}
	}
	f.Status = OK
	f.Detail += "\n" + benefit(onnx.HasMatrices(), onnx.HasBFloat16())
	if !onnx.IsOpenVINO("auto") { // another build of ONNX Runtime is loaded, and a process has one
		f.Detail += "\n`--device auto` does not take it: `--device openvino` does"
		return f
	}
	if err := onnx.Try("openvino"); err != nil {
		f.Status, f.Detail, f.Fix = Broken, path+"\n"+err.Error(), "`finetune fetch openvino`; `--device cpu` works meanwhile"
	}
	return f
}

// benefit says what OpenVINO brings on a processor.
func benefit(matrices, bfloat16 bool) string {
	switch {
	case matrices:
		return "the frozen body in bfloat16 on AMX, several times as fast as float32"
	case bfloat16:
		return "the frozen body in bfloat16 on AVX-512: faster than float32; int8 without OpenVINO may be faster still"
	}
	return "this processor has no bfloat16; it is for GPUs and NPUs of Intel"
}
