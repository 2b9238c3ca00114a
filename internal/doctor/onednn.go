package doctor

import (
	"slices"

	"finetune/internal/fetch"
	"finetune/onnx"
	"finetune/onnx/onednn"
)

// oneDNN says whether oneDNN can train whole networks, and what for.
func oneDNN() Finding {
	f := Finding{Name: "oneDNN", Status: Absent}
	path, err := onnx.OneDNN()
	switch {
	case err != nil:
		f.Status, f.Detail, f.Fix = Broken, err.Error(), "`finetune fetch onednn`"
	case path != "":
		f.Status, f.Detail = OK, path+"\n"+onednn.Instructions()+"; "+trains(onnx.HasBFloat16())
	case slices.Contains(fetch.Names(), "onednn"):
		f.Detail, f.Fix = "not installed", "`finetune fetch onednn` (39 MB): "+trains(onnx.HasBFloat16())
	default:
		f.Detail = "none for this system; ONNX Runtime's kernels train"
	}
	return f
}

// trains says what oneDNN brings on a processor.
func trains(bfloat16 bool) string {
	if bfloat16 {
		return "faster steps of train --unfreeze, and --precision bfloat16"
	}
	return "faster steps of train --unfreeze; this processor has no bfloat16"
}
