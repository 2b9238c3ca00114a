// Package onnx runs ONNX models on ONNX Runtime and says who owns what memory.
//
// The library is loaded at run time, so that one binary serves the CPU and the
// CUDA build; see Start for where it is looked for.
package onnx
