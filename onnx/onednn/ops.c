//go:build linux && amd64

// The operators' table, and the glue between them and ONNX Runtime.
#define _GNU_SOURCE
#include "ops.h"
#include <dlfcn.h>
#include <stdio.h>
#include <xmmintrin.h>

library dnn;

static const op ops[] = {
	{"Enter", "F", "A", enter_forward},                        // [n, c, h, w] -> [n, h, w, c]
	{"Leave", "A", "F", leave_forward},                        // and back
	{"Narrow", "F", "A", narrow_forward},                      // the same numbers in T
	{"Widen", "A", "F", widen_forward},                        // and back
	{"Conv", "AFfa", "A", conv_forward},                       // x, filter, bias, sum -> clip(conv + bias + sum)
	{"ConvGradInput", "AF", "A", conv_grad_input},             // dy, filter -> dx
	{"ConvGradFilter", "AA", "F", conv_grad_filter},           // x, dy -> dfilter
	{"BatchNorm", "AFFFa", "AFF", norm_forward},               // x, scale, bias, guess of the mean, sum -> y, mean, var
	{"BatchNormGrad", "AaAaFFF", "AFFa", norm_grad},           // dy, dy, x, y, scale, mean, var -> dx, dscale, dbias, dy
	{"ClipGrad", "AaA", "A", clip_grad},                       // dy, dy, y -> dx
	{"Clip", "A", "A", clip_forward},
	{"Add", "AA", "A", add_forward},
	{"ChannelSum", "A", "F", channel_sum},
	{"MaxPool", "A", "AU", max_pool},                          // x -> y, place in the window
	{"MaxPoolGrad", "AU", "A", max_pool_grad},                 // dy, place -> dx
	{"MatMul", "FFf", "F", mat_mul},                           // a, b, bias -> a*b + bias, multiplied in T
	{"Sgd", "FFFFFFF", "FF", sgd_update},                      // of one parameter; see update.c
	{"AdamW", "FFFFFFFFFFF", "FFF", adamw_update},
};
enum { OPS = sizeof ops / sizeof *ops };

// onednn_load opens the library and returns an error's text or NULL. Its threads spin for about a millisecond, then sleep:
// they are there for the next operator, and gone when a batch is waited for.
const char *onednn_load(const char *path) {
	static char text[512];
	if (dnn.engine) return NULL;
	setenv("GOMP_SPINCOUNT", "1000000", 0);
	void *lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!lib) {
		snprintf(text, sizeof text, "%s", dlerror());
		return text;
	}
#define F(result, name, args) \
	if (!(dnn.name = (result(*) args)dlsym(lib, #name))) { \
		snprintf(text, sizeof text, "%s has no %s", path, #name); \
		return text; \
	}
	DNN_FUNCTIONS(F)
#undef F
	return dnn.dnnl_engine_create(&dnn.engine, DNN_CPU, 0) ? "it makes no engine for this processor" : NULL;
}

int onednn_isa(void) { return dnn.dnnl_get_effective_cpu_isa(); }

static const char *op_name(const custom_op *o) { return ((const registered *)o)->op->name; }
static const char *op_provider(const custom_op *o) { return NULL; } // the processor
static size_t op_inputs(const custom_op *o) { return strlen(((const registered *)o)->op->inputs); }
static size_t op_outputs(const custom_op *o) { return strlen(((const registered *)o)->op->outputs); }

static int type_of(const registered *r, char letter) {
	switch (letter) {
	case 'A': case 'a': return r->bf16 ? ORT_BFLOAT16 : ORT_FLOAT;
	case 'U': return ORT_UINT8;
	}
	return ORT_FLOAT;
}

static int op_input_type(const custom_op *o, size_t i) {
	const registered *r = (const registered *)o;
	return type_of(r, r->op->inputs[i]);
}

static int op_output_type(const custom_op *o, size_t i) {
	const registered *r = (const registered *)o;
	return type_of(r, r->op->outputs[i]);
}

static int optional(char letter) { return letter >= 'a' ? ORT_OPTIONAL : ORT_REQUIRED; }
static int op_input_needed(const custom_op *o, size_t i) { return optional(((const registered *)o)->op->inputs[i]); }
static int op_output_needed(const custom_op *o, size_t i) { return optional(((const registered *)o)->op->outputs[i]); }
static int op_memory(const custom_op *o, size_t i) { return 0; }
static int op_no(const custom_op *o) { return 0; }
static int op_one(const custom_op *o) { return 1; }
static int op_last(const custom_op *o) { return 1 << 20; }

// got frees the status of a call that may fail, and says whether it went well.
static int got(const fn *api, void *status) {
	if (status) ((void (*)(void *))api[RELEASE_STATUS])(status);
	return !status;
}

// ints reads an attribute of a node; one that is absent leaves the values as they are. So do integer and real.
static void ints(const fn *api, const void *info, const char *name, int64_t *v, size_t n) {
	typedef void *(*get)(const void *, const char *, int64_t *, size_t *);
	int64_t read[4];
	size_t size = n;
	if (got(api, ((get)api[KERNEL_INFO_GET_INTS])(info, name, read, &size)) && size == n) memcpy(v, read, n * sizeof *v);
}

static void integer(const fn *api, const void *info, const char *name, int64_t *v) {
	typedef void *(*get)(const void *, const char *, int64_t *);
	int64_t read;
	if (got(api, ((get)api[KERNEL_INFO_GET_INT])(info, name, &read))) *v = read;
}

static void real(const fn *api, const void *info, const char *name, float *v) {
	typedef void *(*get)(const void *, const char *, float *);
	float read;
	if (got(api, ((get)api[KERNEL_INFO_GET_FLOAT])(info, name, &read))) *v = read;
}

static void *op_create(const custom_op *o, const fn *api, const void *info, void **out) {
	kernel *k = calloc(1, sizeof *k);
	if (!k) return ((void *(*)(int, const char *))api[CREATE_STATUS])(ORT_FAIL, "out of memory");
	k->r = (const registered *)o;
	k->api = api;
	pthread_mutex_init(&k->lock, NULL);
	k->w = (window){{1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}, 1, {0, 0}};
	ints(api, info, "kernel_shape", k->w.kernel, 2);
	ints(api, info, "strides", k->w.strides, 2);
	ints(api, info, "dilations", k->w.dilations, 2);
	ints(api, info, "pads", k->w.pads, 4);
	ints(api, info, "size", k->w.size, 2);
	integer(api, info, "group", &k->w.group);
	integer(api, info, "decoupled", &k->decoupled);
	integer(api, info, "transA", &k->trans_a);
	integer(api, info, "transB", &k->trans_b);
	k->low = -INFINITY, k->high = INFINITY;
	real(api, info, "low", &k->low);
	real(api, info, "high", &k->high);
	real(api, info, "epsilon", &k->epsilon);
	*out = k;
	return NULL;
}

static void op_destroy(void *p) {
	kernel *k = p;
	for (int i = 0; i < PLANS; i++) free_plan(&k->plans[i]);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

static void flush(void *unused) { _mm_setcsr(_mm_getcsr() | 0x8040); }

// ready sets the number of this thread's helpers, and has them take denormals for zero, as ONNX Runtime's threads do:
// which of them computes a number must not show in it.
static void ready(int threads) {
	static __thread int prepared;
	if (prepared == threads) return;
	dnn.omp_set_num_threads(threads);
	dnn.GOMP_parallel(flush, NULL, (unsigned)threads, 0);
	prepared = threads;
}

static void *op_compute(void *p, void *context) {
	kernel *k = p;
	pthread_mutex_lock(&k->lock); // a plan serves one run at a time
	ready(k->r->threads);
	const char *failed = k->r->op->compute(k, context);
	pthread_mutex_unlock(&k->lock);
	if (!failed) return NULL;
	char text[256];
	snprintf(text, sizeof text, "%s: %s", k->r->op->name, failed);
	return ((void *(*)(int, const char *))k->api[CREATE_STATUS])(ORT_FAIL, text);
}

static registered *new_ops(int bf16, int threads) {
	registered *list = calloc(OPS, sizeof *list);
	for (int i = 0; list && i < OPS; i++)
		list[i] = (registered){
			.base = {.version = CUSTOM_OP_VERSION, .name = op_name, .provider = op_provider,
				.input_type = op_input_type, .inputs = op_inputs, .output_type = op_output_type, .outputs = op_outputs,
				.destroy = op_destroy, .input_characteristic = op_input_needed,
				.output_characteristic = op_output_needed, .input_memory = op_memory, .variadic_input_min = op_one,
				.variadic_input_same = op_no, .variadic_output_min = op_one, .variadic_output_same = op_no,
				.create_kernel_v2 = op_create, .compute_v2 = op_compute, .start_version = op_one,
				.end_version = op_last},
			.op = &ops[i], .bf16 = bf16, .threads = threads};
	return list;
}

// onednn_register adds both domains to a session's options; sessions use them until the process ends, so they are
// kept: one pair a number of threads. It returns a status of ONNX Runtime.
void *onednn_register(const fn *api, void *options, int threads) {
	typedef void *(*create)(const char *, void **);
	typedef void *(*add)(void *, const void *);
	enum { MOST = 256 };
	static void *domains[MOST][2];
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static const char *names[2] = {"finetune.float32", "finetune.bfloat16"};
	threads = threads < 1 ? 1 : threads >= MOST ? MOST - 1 : threads;
	void *status = NULL;
	pthread_mutex_lock(&lock);
	for (int d = 0; d < 2 && !status; d++) {
		void **domain = &domains[threads][d];
		if (!*domain) {
			registered *list = new_ops(d, threads);
			status = ((create)api[CREATE_CUSTOM_OP_DOMAIN])(names[d], domain);
			for (int i = 0; i < OPS && list && !status; i++)
				status = ((add)api[CUSTOM_OP_DOMAIN_ADD])(*domain, &list[i]);
		}
		if (!status) status = ((add)api[ADD_CUSTOM_OP_DOMAIN])(options, *domain);
	}
	pthread_mutex_unlock(&lock);
	return status;
}

static const char *explain(kernel *k, void *status, const char *what) {
	return got(k->api, status) ? NULL : what;
}

static const char *shape_of(kernel *k, const void *value, tensor *t) {
	typedef void *(*out)(const void *, void *);
	typedef void *(*dims)(const void *, int64_t *, size_t);
	void *info;
	size_t rank;
	void *status = ((out)k->api[GET_TENSOR_TYPE_AND_SHAPE])(value, &info);
	if (status) return explain(k, status, "an input has no shape");
	status = ((out)k->api[GET_DIMENSIONS_COUNT])(info, &rank);
	t->rank = (int)rank;
	if (!status && rank <= 5) status = ((dims)k->api[GET_DIMENSIONS])(info, t->shape, rank);
	((void (*)(void *))k->api[RELEASE_TYPE_AND_SHAPE])(info);
	if (!status && rank > 5) return "an input has more than five axes";
	return explain(k, status, "an input has no shape");
}

static const void *input_value(kernel *k, void *context, int i) {
	typedef void *(*count)(const void *, size_t *);
	typedef void *(*get)(const void *, size_t, const void **);
	size_t n = 0;
	const void *value = NULL;
	void *status = ((count)k->api[KERNEL_CONTEXT_GET_INPUT_COUNT])(context, &n);
	if (!status && (size_t)i < n) status = ((get)k->api[KERNEL_CONTEXT_GET_INPUT])(context, i, &value);
	explain(k, status, "");
	return value;
}

// input is input i. One that is absent has no data.
const char *input(kernel *k, void *context, int i, tensor *t) {
	typedef void *(*get)(const void *, void **);
	const void *value = input_value(k, context, i);
	*t = (tensor){0};
	if (!value) return NULL;
	TRY(shape_of(k, value, t));
	return explain(k, ((get)k->api[GET_TENSOR_MUTABLE_DATA])(value, &t->data), "an input has no data");
}

// output allocates output i; one that nobody asked for has no data.
const char *output(kernel *k, void *context, int i, int rank, const int64_t *shape, tensor *t) {
	typedef void *(*count)(const void *, size_t *);
	typedef void *(*get)(void *, size_t, const int64_t *, size_t, void **);
	typedef void *(*data)(const void *, void **);
	size_t n = 0;
	void *value = NULL;
	*t = (tensor){.rank = rank};
	memcpy(t->shape, shape, rank * sizeof *shape);
	TRY(explain(k, ((count)k->api[KERNEL_CONTEXT_GET_OUTPUT_COUNT])(context, &n), "it has no outputs"));
	if ((size_t)i >= n) return NULL;
	TRY(explain(k, ((get)k->api[KERNEL_CONTEXT_GET_OUTPUT])(context, i, shape, rank, &value), "no memory for an output"));
	if (!value) return NULL;
	return explain(k, ((data)k->api[GET_TENSOR_MUTABLE_DATA])(value, &t->data), "an output has no data");
}

// team is work that the threads of oneDNN do: pieces, of which each takes the next.
typedef struct {
	void (*f)(void *, size_t);
	void *arg;
	size_t total, next;
} team;

static void take_pieces(void *p) {
	team *t = p;
	for (size_t i; (i = __atomic_fetch_add(&t->next, 1, __ATOMIC_RELAXED)) < t->total;) t->f(t->arg, i);
}

// parallel calls f for each number below total, on the threads that oneDNN's convolutions run on: those of ONNX Runtime
// would have to wake up between two convolutions, and these to sleep.
void parallel(kernel *k, int64_t total, void (*f)(void *, size_t), void *arg) {
	team t = {f, arg, (size_t)total, 0};
	int64_t threads = total < k->r->threads ? total : k->r->threads;
	if (threads > 1) dnn.GOMP_parallel(take_pieces, &t, (unsigned)threads, 0);
	else take_pieces(&t);
}

const char *sized(const char *what, int ok) { return ok ? NULL : what; }

// Scratch memory is passed from one operator to the next: weights in oneDNN's layout, and what its primitives ask for.
// A block begins with its size and is aligned to a cache line.
enum { LINE = 64, KEPT = 4 };
static void *kept[KEPT];
static pthread_mutex_t kept_lock = PTHREAD_MUTEX_INITIALIZER;

static size_t *header(void *p) { return (size_t *)((char *)p - LINE); }

void *take_scratch(size_t bytes) {
	void *best = NULL;
	int at = -1;
	pthread_mutex_lock(&kept_lock);
	for (int i = 0; i < KEPT; i++)
		if (kept[i] && *header(kept[i]) >= bytes && (!best || *header(kept[i]) < *header(best))) best = kept[at = i];
	if (best) kept[at] = NULL;
	pthread_mutex_unlock(&kept_lock);
	if (best) return best;
	void *p = NULL;
	if (posix_memalign(&p, LINE, bytes + LINE)) return NULL;
	*(size_t *)p = bytes;
	return (char *)p + LINE;
}

// give_scratch keeps the largest blocks.
void give_scratch(void *p) {
	if (!p) return;
	pthread_mutex_lock(&kept_lock);
	int at = 0;
	for (int i = 1; i < KEPT; i++)
		if (!kept[i] || kept[at] && *header(kept[i]) < *header(kept[at])) at = i;
	if (!kept[at] || *header(kept[at]) < *header(p)) {
		void *smaller = kept[at];
		kept[at] = p;
		p = smaller;
	}
	pthread_mutex_unlock(&kept_lock);
	if (p) free(header(p));
}
