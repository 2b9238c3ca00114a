//go:build linux && amd64

// The optimiser's update of a parameter in one pass over memory, of which it is made: SGD with momentum, and AdamW.
#include "ops.h"

enum { UPDATE_PIECE = 1 << 15 };

// rule holds the numbers of a step; gradients are multiplied by factor first.
typedef struct {
	float factor, rate, keep, coupled, momentum;      // keep times the parameter, less the step; coupled decay
	float beta1, beta2, rest1, rest2, step1, bias2, epsilon;
	int64_t n;
	const float *g;
	float *p, *m, *v;
} rule;

#define WIDE __attribute__((target_clones("avx512f", "avx2", "default")))

WIDE static void sgd(float *restrict p, const float *restrict g, float *restrict m, int64_t n, const rule *r) {
	float factor = r->factor, rate = r->rate, keep = r->keep, coupled = r->coupled, momentum = r->momentum;
	for (int64_t i = 0; i < n; i++) {
		m[i] = momentum * m[i] + (g[i] * factor + coupled * p[i]);
		p[i] = p[i] * keep - rate * m[i];
	}
}

WIDE static void adamw(float *restrict p, const float *restrict g, float *restrict m, float *restrict v, int64_t n,
	const rule *r) {
	rule k = *r;
	for (int64_t i = 0; i < n; i++) {
		float d = g[i] * k.factor;
		m[i] = k.beta1 * m[i] + k.rest1 * d;
		v[i] = k.beta2 * v[i] + k.rest2 * d * d;
		p[i] = p[i] * k.keep - k.step1 * m[i] / (__builtin_sqrtf(v[i]) / k.bias2 + k.epsilon);
	}
}

static int64_t piece(const rule *r, size_t i) {
	int64_t left = r->n - (int64_t)i * UPDATE_PIECE;
	return left < UPDATE_PIECE ? left : UPDATE_PIECE;
}

static void sgd_piece(void *arg, size_t i) {
	const rule *r = arg;
	int64_t o = i * UPDATE_PIECE;
	sgd(r->p + o, r->g + o, r->m + o, piece(r, i), r);
}

static void adamw_piece(void *arg, size_t i) {
	const rule *r = arg;
	int64_t o = i * UPDATE_PIECE;
	adamw(r->p + o, r->g + o, r->m + o, r->v + o, piece(r, i), r);
}

// moved is output i, which starts as a copy of t; where ONNX Runtime gives it the same memory nothing is copied.
static const char *moved(kernel *k, void *context, int i, const tensor *t, float **out) {
	tensor y;
	TRY(output(k, context, i, t->rank, t->shape, &y));
	if (y.data != t->data) memcpy(y.data, t->data, elements(t) * sizeof(float));
	*out = y.data;
	return NULL;
}

// number is input i, which has one element.
static const char *number(kernel *k, void *context, int i, float *v) {
	tensor t;
	TRY(input(k, context, i, &t));
	TRY(sized("a rate is no single number", t.data && elements(&t) == 1));
	*v = *(const float *)t.data;
	return NULL;
}

// slots reads parameter, gradient and one or two moments, which have one shape.
static const char *slots(kernel *k, void *context, int moments, tensor t[4], rule *r) {
	for (int i = 0; i < 2 + moments; i++) {
		TRY(input(k, context, i, &t[i]));
		TRY(sized("parameter, gradient and moments differ in size", elements(&t[i]) == elements(&t[0])));
	}
	r->n = elements(&t[0]);
	r->g = t[1].data;
	return NULL;
}

// sgd_update: p, g, momentum, factor, rate, decay, share of the momentum -> p, momentum. With attribute decoupled
// the decay is taken off the parameter, otherwise it is added to the gradient.
COMPUTE(sgd_update) {
	tensor t[4];
	rule r;
	float decay;
	TRY(slots(k, context, 1, t, &r));
	TRY(number(k, context, 3, &r.factor));
	TRY(number(k, context, 4, &r.rate));
	TRY(number(k, context, 5, &decay));
	TRY(number(k, context, 6, &r.momentum));
	r.keep = k->decoupled ? 1 - r.rate * decay : 1;
	r.coupled = k->decoupled ? 0 : decay;
	TRY(moved(k, context, 0, &t[0], &r.p));
	TRY(moved(k, context, 1, &t[2], &r.m));
	parallel(k, (r.n + UPDATE_PIECE - 1) / UPDATE_PIECE, sgd_piece, &r);
	return NULL;
}

// adamw_update: p, g, first and second moment, factor, rate, decay, beta1, beta2, epsilon, step -> p and both moments.
COMPUTE(adamw_update) {
	tensor t[4];
	rule r;
	float decay, step;
	TRY(slots(k, context, 2, t, &r));
	TRY(number(k, context, 4, &r.factor));
	TRY(number(k, context, 5, &r.rate));
	TRY(number(k, context, 6, &decay));
	TRY(number(k, context, 7, &r.beta1));
	TRY(number(k, context, 8, &r.beta2));
	TRY(number(k, context, 9, &r.epsilon));
	TRY(number(k, context, 10, &step));
	r.keep = 1 - r.rate * decay;
	r.rest1 = 1 - r.beta1, r.rest2 = 1 - r.beta2;
	r.step1 = r.rate / (1 - powf(r.beta1, step));
	r.bias2 = sqrtf(1 - powf(r.beta2, step));
	TRY(moved(k, context, 0, &t[0], &r.p));
	TRY(moved(k, context, 1, &t[2], &r.m));
	TRY(moved(k, context, 2, &t[3], &r.v));
	parallel(k, (r.n + UPDATE_PIECE - 1) / UPDATE_PIECE, adamw_piece, &r);
	return NULL;
}
