package onnx

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	ort "github.com/yalue/onnxruntime_go"
	"golang.org/x/sys/cpu"

	"finetune/internal/fetch"
)

// Devices are the words for where a session computes. OpenVINO may be given one of
// its own devices, which are Intel's: openvino:GPU, openvino:NPU.
var Devices = []string{"auto", "cpu", "cuda", openVINO, openVINO + ":GPU", openVINO + ":NPU"}

const (
	openVINO     = "openvino" // the device
	openVINOName = "OpenVINO" // the provider
)

// Builds of ONNX Runtime, by the file beside the library that makes them so.
const (
	cudaProvider     = "libonnxruntime_providers_cuda.so"     // for NVIDIA GPUs
	openVINOProvider = "libonnxruntime_providers_openvino.so" // with Intel's OpenVINO
)

// buildOf is the build of ONNX Runtime that a folder holds: "cuda", "openvino" or "cpu".
func buildOf(folder string) string {
	switch {
	case has(folder, cudaProvider):
		return "cuda"
	case has(folder, openVINOProvider):
		return openVINO
	}
	return "cpu"
}

func has(folder, file string) bool {
	_, err := os.Stat(filepath.Join(folder, file))
	return err == nil
}

// builds lists the builds that serve a device, the best first: each has the CPU's
// provider too. What a processor computes by OpenVINO differs from ONNX Runtime's own
// in the last bits, so that "cpu" takes it where there is no other.
func builds(device string, driver, matrices bool) []string {
	switch base, _, _ := strings.Cut(device, ":"); {
	case base == "cuda", base == openVINO:
		return []string{base}
	case device == "auto" && driver:
		return []string{"cuda", "cpu", openVINO}
	case device == "auto" && matrices:
		return []string{openVINO, "cpu", "cuda"}
	}
	return []string{"cpu", "cuda", openVINO}
}

// HasMatrices reports whether the processor multiplies matrices of bfloat16 (AMX):
// there OpenVINO is several times as fast as ONNX Runtime's own kernels, which know
// neither.
func HasMatrices() bool { return cpu.X86.HasAMXBF16 && cpu.X86.HasAMXTile }

// HasBFloat16 reports whether the processor computes with bfloat16 numbers.
func HasBFloat16() bool { return HasMatrices() || cpu.X86.HasAVX512BF16 }

// ForTraining is the device on which graphs that train run, where others run on device:
// "cpu" in place of OpenVINO, whose gradients are wrong.
func ForTraining(device string) string {
	if IsOpenVINO(device) {
		return "cpu"
	}
	return device
}

// Arithmetic names what numbers in OpenVINO's place differ from ONNX Runtime's by, for
// keys of caches: its version and, for bfloat16, the unit that multiplies. It is ""
// for other devices. Start must have been called.
func Arithmetic(device string, bfloat16 bool) string {
	switch {
	case !IsOpenVINO(device):
		return ""
	case bfloat16 && HasMatrices():
		return "openvino " + environment.runtime.Version + " amx"
	}
	return "openvino " + environment.runtime.Version
}

// HasOpenVINO reports whether a build of ONNX Runtime with OpenVINO would be found.
func HasOpenVINO() bool {
	path, err := FindLibrary(openVINO)
	return err == nil && buildOf(filepath.Dir(path)) == openVINO
}

// IsOpenVINO reports whether sessions on this device run on OpenVINO. Start must have been called.
func IsOpenVINO(device string) bool {
	chosen, _ := Chosen(device)
	base, _, _ := strings.Cut(chosen, ":")
	return base == openVINO
}

// appendOpenVINO adds OpenVINO's provider for one of its devices: "CPU" where none
// is named. It is given its precision, since it would take bfloat16 by itself on
// some processors, and as many streams as runs come at once.
func appendOpenVINO(so *ort.SessionOptions, device string, o Options, threads int) (string, error) {
	library := environment.runtime.Path
	if buildOf(filepath.Dir(library)) != openVINO {
		return "", fmt.Errorf("%s has no OpenVINO provider: %s is not beside it; run `finetune fetch openvino`, "+
			"and unset ONNXRUNTIME_LIB if it is set", library, openVINOProvider)
	}
	if err := fetch.CheckBeside(library); err != nil {
		return "", err
	}
	_, kind, named := strings.Cut(device, ":")
	if !named {
		kind = "CPU"
	}
	settings := map[string]any{"INFERENCE_PRECISION_HINT": "f32"}
	if o.BFloat16 {
		settings["INFERENCE_PRECISION_HINT"] = "bf16"
	}
	if kind == "CPU" {
		settings["INFERENCE_NUM_THREADS"] = threads * max(o.Runs, 1)
		settings["NUM_STREAMS"] = max(o.Runs, 1)
	}
	text, err := json.Marshal(map[string]any{kind: settings})
	if err != nil {
		return "", err
	}
	restore := keepSignals()
	defer restore()
	err = so.AppendExecutionProviderOpenVINO(map[string]string{
		"device_type": kind, "load_config": string(text), "num_of_threads": strconv.Itoa(max(o.Runs, 1)),
	})
	if err != nil {
		return "", fmt.Errorf("the OpenVINO provider cannot be used for %s: %w; run `finetune doctor`, "+
			"or use --device cpu", device, errors.New(firstLine(err)))
	}
	return openVINOName, nil
}
