// The operators and what they share. All activations are channels last: a tensor [n, h, w, c] of T, which is float in
// the domain finetune.float32 and bfloat16 in finetune.bfloat16. Weights, statistics and their gradients are float32.
#pragma once
#include "declared.h"
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

// dnn holds oneDNN's functions and the one engine and stream; its functions are NULL until onednn_load.
typedef struct {
#define F(result, name, args) result(*name) args;
	DNN_FUNCTIONS(F)
#undef F
	void *engine;
} library;
extern library dnn;

typedef struct kernel kernel;

// op is what ONNX Runtime is told of an operator. Types are letters, one an input or output: A for T, F for
// float32, U for bytes; small letters for optional ones.
typedef struct {
	const char *name, *inputs, *outputs;
	const char *(*compute)(kernel *, void *context); // an error's text, or NULL
} op;

// registered is an op in a domain.
typedef struct {
	custom_op base; // first: ONNX Runtime knows this one
	const op *op;
	int bf16, threads;
} registered;

enum { MOST_TAPS = 121 }; // of a depthwise filter of depth.c
enum { PLANS = 3 }; // shapes a kernel is ready for: of a full batch, of the last one, and of one more

// window is how a convolution or a pooling moves, as ONNX has it, heights first.
typedef struct {
	int64_t kernel[2], strides[2], dilations[2], pads[4], group, size[2];
} window;

// layout is where oneDNN puts the number of a filter [rows, columns, pixels]: at the sum of three offsets.
typedef struct {
	int64_t rows, columns, pixels;
	int64_t *row, *column, *pixel; // one piece of memory, row's
	int padded, by_rows;           // there is room between numbers; neighbours in memory are rows
	int64_t step, run, other;      // they lie so far apart; a tile is run of them times other of the other axis
} layout;

// plan is a convolution made for one shape of its inputs.
typedef struct {
	int64_t key[8];
	void *primitive;
	void *memory[6]; // of args
	exec_arg args[6];
	int count;
	layout filter;
	size_t weights, scratch; // bytes
	int own;                 // the gradient of a depthwise convolution is depth.c's
} plan;

struct kernel {
	const registered *r;
	const fn *api;
	window w;
	float epsilon, low, high;
	int64_t decoupled, trans_a, trans_b;
	pthread_mutex_t lock;
	plan plans[PLANS];
	int next;
};

// tensor is an input or output of a run.
typedef struct {
	void *data;
	int64_t shape[5];
	int rank;
} tensor;

const char *input(kernel *, void *context, int i, tensor *);
const char *output(kernel *, void *context, int i, int rank, const int64_t *shape, tensor *);
void parallel(kernel *, int64_t total, void (*f)(void *, size_t), void *arg);
void *take_scratch(size_t bytes);
void give_scratch(void *);
void free_plan(plan *);
const char *sized(const char *what, int ok);

// made collects what a plan is made of; the first failure is remembered.
typedef struct {
	kernel *k;
	plan *p;
	const char *failed;
	int64_t x[4], y[4], f[5], strides[2], dilates[2], before[2], after[2]; // in ONNX's order of axes
	int ranks;                                                             // of the filter: 5 with groups
	md src, filter, dst, bias, sum;                                        // descriptors, owned
	void *attr, *post, *forward, *desc;
} made;

void need(made *, int status, const char *what);
void argument(made *, int what, md);
void finish(made *);
plan *planned(kernel *, const int64_t key[8], int *fresh);
const char *run_plain(const plan *, void *const data[], int given);
int layout_of(layout *, md, int type);
void pack(kernel *, const layout *, const float *filter, void *theirs, size_t bytes, int bf16);
void unpack(kernel *, const layout *, const void *theirs, float *filter);

// rows_of_T are the loops of rows.h for one T, which is void here.
typedef struct {
	void (*sums)(const void *, int64_t, int64_t, const float *, float *, float *);
	void (*scale)(const void *, const void *, int64_t, int64_t, const float *, const float *, float, float, void *);
	void (*mask)(const void *, const void *, const void *, int64_t, float, float, void *);
	void (*grad_sums)(const void *, const void *, int64_t, int64_t, const float *, float *, float *);
	void (*grad_rows)(const void *, const void *, int64_t, int64_t, const float *, const float *, const float *, void *);
	void (*channels)(const void *, int64_t, int64_t, float *);
	void (*clip)(const void *, int64_t, float, float, void *);
	void (*narrow)(const float *, int64_t, void *);
	void (*widen)(const void *, int64_t, float *);
	void (*enter)(const float *, int64_t, int64_t, int64_t, int64_t, void *);
	void (*leave)(const void *, int64_t, int64_t, int64_t, int64_t, float *);
	void (*best)(const void *, int64_t, int, void *, uint8_t *);
	void (*scatter)(const void *, const uint8_t *, int64_t, int, float *);
	void (*depth_input)(const void *const *, const float *const *, int, int64_t, void *);
	void (*depth_filter)(const void *, int64_t, const void *, int64_t, int64_t, float *);
} rows_of_T;

const rows_of_T *rows_of(const kernel *);
static inline size_t size_of(const kernel *k) { return k->r->bf16 ? 2 : 4; }

static inline float wide(uint16_t v) {
	uint32_t bits = (uint32_t)v << 16;
	float f;
	memcpy(&f, &bits, 4);
	return f;
}

// narrow rounds to the nearest bfloat16, to an even one between two; not a number stays one.
static inline uint16_t narrow(float f) {
	uint32_t bits;
	memcpy(&bits, &f, 4);
	uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
	return f != f ? (uint16_t)(bits >> 16 | 0x40) : (uint16_t)rounded;
}

static inline int64_t elements(const tensor *t) {
	int64_t n = 1;
	for (int i = 0; i < t->rank; i++) n *= t->shape[i];
	return n;
}

// A step that may fail: the text of its error ends the function.
#define TRY(x) do { const char *failed_ = (x); if (failed_) return failed_; } while (0)

// Depthwise convolutions that oneDNN would take for any grouped one; see depth.c.
const char *depth_grad_input(kernel *, const tensor *dy, const tensor *filter, const tensor *dx);
const char *depth_grad_filter(kernel *, const tensor *x, const tensor *dy, const tensor *dfilter);

#define COMPUTE(name) const char *name(kernel *k, void *context)
COMPUTE(conv_forward);
COMPUTE(conv_grad_input);
COMPUTE(conv_grad_filter);
COMPUTE(norm_forward);
COMPUTE(norm_grad);
COMPUTE(clip_grad);
COMPUTE(clip_forward);
COMPUTE(add_forward);
COMPUTE(channel_sum);
COMPUTE(enter_forward);
COMPUTE(leave_forward);
COMPUTE(narrow_forward);
COMPUTE(widen_forward);
COMPUTE(max_pool);
COMPUTE(max_pool_grad);
COMPUTE(mat_mul);
COMPUTE(sgd_update);
COMPUTE(adamw_update);
