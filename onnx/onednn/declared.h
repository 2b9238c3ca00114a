// What this package uses of two C interfaces, declared here so that it compiles without their headers.
#pragma once
#include <stddef.h>
#include <stdint.h>

// ONNX Runtime's interface is a table of functions that only ever grows at its end (struct OrtApi of
// onnxruntime_c_api.h), so a place in it is a fact like a name.
enum {
	CREATE_STATUS = 0,
	CREATE_CUSTOM_OP_DOMAIN = 26,
	CUSTOM_OP_DOMAIN_ADD = 27,
	ADD_CUSTOM_OP_DOMAIN = 28,
	GET_TENSOR_MUTABLE_DATA = 51,
	GET_DIMENSIONS_COUNT = 61,
	GET_DIMENSIONS = 62,
	GET_TENSOR_TYPE_AND_SHAPE = 65,
	KERNEL_INFO_GET_FLOAT = 85,
	KERNEL_INFO_GET_INT = 86,
	KERNEL_CONTEXT_GET_INPUT_COUNT = 88,
	KERNEL_CONTEXT_GET_OUTPUT_COUNT = 89,
	KERNEL_CONTEXT_GET_INPUT = 90,
	KERNEL_CONTEXT_GET_OUTPUT = 91,
	RELEASE_STATUS = 93,
	RELEASE_TYPE_AND_SHAPE = 99,
	KERNEL_INFO_GET_INTS = 163,
};
enum { ORT_FAIL = 1, ORT_FLOAT = 1, ORT_UINT8 = 2, ORT_BFLOAT16 = 16, ORT_REQUIRED = 0, ORT_OPTIONAL = 1 };

typedef void *(*fn)(); // a status, NULL where all went well; some return nothing

// custom_op is struct OrtCustomOp as of version 17 of the interface.
typedef struct custom_op {
	uint32_t version;
	void *(*create_kernel)(const struct custom_op *, const fn *api, const void *info);
	const char *(*name)(const struct custom_op *);
	const char *(*provider)(const struct custom_op *);
	int (*input_type)(const struct custom_op *, size_t);
	size_t (*inputs)(const struct custom_op *);
	int (*output_type)(const struct custom_op *, size_t);
	size_t (*outputs)(const struct custom_op *);
	void (*compute)(void *kernel, void *context);
	void (*destroy)(void *kernel);
	int (*input_characteristic)(const struct custom_op *, size_t);
	int (*output_characteristic)(const struct custom_op *, size_t);
	int (*input_memory)(const struct custom_op *, size_t);
	int (*variadic_input_min)(const struct custom_op *);
	int (*variadic_input_same)(const struct custom_op *);
	int (*variadic_output_min)(const struct custom_op *);
	int (*variadic_output_same)(const struct custom_op *);
	void *(*create_kernel_v2)(const struct custom_op *, const fn *api, const void *info, void **kernel);
	void *(*compute_v2)(void *kernel, void *context);
	void *(*infer_shape)(const struct custom_op *, void *);
	int (*start_version)(const struct custom_op *);
	int (*end_version)(const struct custom_op *);
} custom_op;
enum { CUSTOM_OP_VERSION = 17 };

// oneDNN's C interface, of version 3 (dnnl.h). Handles are pointers, a status is 0 where all went well.
typedef const void *md; // a memory descriptor
typedef struct {
	int what;
	void *memory;
} exec_arg;
enum {
	DNN_CPU = 1,
	DNN_IN_ORDER = 1,
	DNN_BF16 = 2,
	DNN_F32 = 3,
	DNN_ANY = 1,
	DNN_FORWARD_TRAINING = 64,
	DNN_CONVOLUTION_DIRECT = 1,
	DNN_CLIP = 47,
	DNN_BINARY_ADD = 0x1fff0,
	DNN_SRC_MD = 129,
	DNN_DIFF_SRC_MD = 130,
	DNN_WEIGHTS_MD = 131,
	DNN_DIFF_WEIGHTS_MD = 132,
	DNN_DST_MD = 133,
	DNN_DIFF_DST_MD = 134,
	DNN_SCRATCHPAD_MD = 136,
	DNN_NAME = 8,
	DNN_STRIDES = 14,
	DNN_RANK = 256,
	DNN_DIMS = 257,
	DNN_TYPE = 258,
	DNN_START = 259,
	DNN_PADDED_DIMS = 260,
	DNN_FORMAT_KIND = 262,
	DNN_INNER_BLOCKS = 263,
	DNN_INNER_SIZES = 264,
	DNN_INNER_AXES = 265,
	DNN_BLOCKED = 2,
	DNN_SCRATCHPAD_USER = 1,
	ARG_SRC = 1,
	ARG_SRC_1 = 2,
	ARG_DST = 17,
	ARG_WEIGHTS = 33,
	ARG_BIAS = 41,
	ARG_SCRATCHPAD = 80,
	ARG_DIFF_SRC = 129,
	ARG_DIFF_DST = 145,
	ARG_DIFF_WEIGHTS = 161,
	ARG_POST_OP = 32768, // times one more than the number of the operation
};
#define DNN_FUNCTIONS(F) \
	F(int, dnnl_engine_create, (void **, int kind, size_t index)) \
	F(int, dnnl_stream_create, (void **, void *engine, unsigned flags)) \
	F(int, dnnl_stream_wait, (void *)) \
	F(int, dnnl_memory_desc_create_with_tag, (md *, int dims, const int64_t *, int type, int tag)) \
	F(int, dnnl_memory_desc_create_with_strides, (md *, int dims, const int64_t *, int type, const int64_t *strides)) \
	F(int, dnnl_memory_desc_destroy, (md)) \
	F(size_t, dnnl_memory_desc_get_size, (md)) \
	F(int, dnnl_memory_desc_query, (md, int what, void *)) \
	F(int, dnnl_memory_create, (void **, md, void *engine, void *data)) \
	F(int, dnnl_memory_set_data_handle, (void *, void *data)) \
	F(int, dnnl_memory_destroy, (void *)) \
	F(int, dnnl_primitive_attr_create, (void **)) \
	F(int, dnnl_primitive_attr_destroy, (void *)) \
	F(int, dnnl_primitive_attr_set_scratchpad_mode, (void *, int)) \
	F(int, dnnl_primitive_attr_set_post_ops, (void *, const void *)) \
	F(int, dnnl_post_ops_create, (void **)) \
	F(int, dnnl_post_ops_destroy, (void *)) \
	F(int, dnnl_post_ops_append_eltwise, (void *, int kind, float alpha, float beta)) \
	F(int, dnnl_post_ops_append_binary, (void *, int kind, md)) \
	F(int, dnnl_convolution_forward_primitive_desc_create, (void **, void *engine, int prop, int kind, md src, \
		md weights, md bias, md dst, const int64_t *strides, const int64_t *dilates, const int64_t *before, \
		const int64_t *after, const void *attr)) \
	F(int, dnnl_convolution_backward_data_primitive_desc_create, (void **, void *engine, int kind, md diff_src, \
		md weights, md diff_dst, const int64_t *strides, const int64_t *dilates, const int64_t *before, \
		const int64_t *after, const void *hint, const void *attr)) \
	F(int, dnnl_convolution_backward_weights_primitive_desc_create, (void **, void *engine, int kind, md src, \
		md diff_weights, md diff_bias, md diff_dst, const int64_t *strides, const int64_t *dilates, \
		const int64_t *before, const int64_t *after, const void *hint, const void *attr)) \
	F(int, dnnl_matmul_primitive_desc_create, (void **, void *engine, md src, md weights, md bias, md dst, \
		const void *attr)) \
	F(md, dnnl_primitive_desc_query_md, (const void *, int what, int index)) \
	F(int, dnnl_primitive_desc_query, (const void *, int what, int index, void *)) \
	F(int, dnnl_primitive_desc_destroy, (void *)) \
	F(int, dnnl_primitive_create, (void **, const void *)) \
	F(int, dnnl_primitive_execute, (const void *, void *stream, int, const exec_arg *)) \
	F(int, dnnl_primitive_destroy, (void *)) \
	F(int, dnnl_get_effective_cpu_isa, (void)) \
	F(void, omp_set_num_threads, (int)) \
	F(void, GOMP_parallel, (void (*)(void *), void *, unsigned threads, unsigned flags))
