package onnx_test

import (
	"runtime"
	"testing"

	"golang.org/x/sys/cpu"

	"finetune/internal/onnxtest"
	"finetune/onnx"
)

// TestBlockSizeIsTheProcessors: 16 channels with AVX-512, 8 with AVX2 (MLAS, platform.cpp).
func TestBlockSizeIsTheProcessors(t *testing.T) {
	if runtime.GOARCH != "amd64" || !cpu.X86.HasAVX2 {
		t.Skip("only known for amd64 with AVX2")
	}
	onnxtest.Start(t)
	want := int64(8)
	if cpu.X86.HasAVX512F {
		want = 16
	}
	if got, err := onnx.BlockSize(); err != nil || got != want {
		t.Errorf("%d channels, %v; want %d", got, err, want)
	}
}
