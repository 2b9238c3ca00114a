package finetuning

import (
	"strings"
	"testing"

	"finetune/onnx/artifacts"
	"finetune/onnx/gradient"
)

func TestCheckMemoryNamesTheBatchThatFits(t *testing.T) {
	m := artifacts.Manifest{
		Params: []artifacts.Named{{Name: "w", Shape: []int64{1 << 20}}}, // 4 MB
		Memory: gradient.Memory{Fixed: 8 << 20, PerImage: 50 << 20},
	}
	// 100 + 4*(3+3) + 2.2*50*n MB
	if got := Memory(m, 8) >> 20; got != 1004 {
		t.Errorf("8 images need %d MB, want 1004", got)
	}
	if err := CheckMemory(m, 8, 1005<<20); err != nil {
		t.Error(err)
	}
	err := CheckMemory(m, 8, 600<<20)
	if err == nil || !strings.Contains(err.Error(), "--micro-batch 4") {
		t.Errorf("error %v, want one that names --micro-batch 4", err)
	}
	err = CheckMemory(m, 8, 200<<20)
	if err == nil || !strings.Contains(err.Error(), "--freeze-to") {
		t.Errorf("error %v, want one that names --freeze-to", err)
	}
	if err := CheckMemory(m, 8, 0); err != nil {
		t.Errorf("unknown memory: %v", err)
	}
}
