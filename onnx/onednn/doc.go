// Package onednn gives ONNX Runtime operators that train on a processor: convolutions
// with both of their gradients, batch normalisation fused with what follows it, and
// pooling. Convolutions are oneDNN's, a library that is loaded when a session asks for
// them; everything else is C of this package. Source: https://github.com/uxlfoundation/oneDNN,
// version 3 of its C interface.
//
// Activations lie channels last, [n, h, w, c]. In domain Float32 they are float32, in
// BFloat16 they are bfloat16, which halves the memory they move and, on processors with
// AVX512_BF16 or AMX, the time of products. Filters, statistics and their gradients are
// float32 in both, and sums are kept in float32. ops.c lists the operators.
package onednn

// Domains of the operators, by the type of the activations.
const (
	Float32  = "finetune.float32"
	BFloat16 = "finetune.bfloat16"
)
