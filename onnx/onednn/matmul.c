//go:build linux && amd64

// Products of matrices by oneDNN, for networks of attention: operands and result are float32, multiplied in T. They are
// rounded to T here, once a product, which costs little beside it.
#include "ops.h"

// operand is one that is rounded before the product.
typedef struct {
	const rows_of_T *f;
	const float *from;
	char *to;
	int64_t n;
} operand;

enum { OPERAND_PIECE = 1 << 14 };

static void round_piece(void *arg, size_t i) {
	const operand *o = arg;
	int64_t at = (int64_t)i * OPERAND_PIECE, n = o->n - at < OPERAND_PIECE ? o->n - at : OPERAND_PIECE;
	o->f->narrow(o->from + at, n, o->to + at * 2);
}

// rounded is the operand as T: itself in float32, a copy that the caller gives back in bfloat16.
static void *rounded(kernel *k, const tensor *t) {
	if (!k->r->bf16) return t->data;
	operand o = {rows_of(k), t->data, take_scratch(elements(t) * 2), elements(t)};
	if (o.to) parallel(k, (o.n + OPERAND_PIECE - 1) / OPERAND_PIECE, round_piece, &o);
	return o.to;
}

// matrices is what a product multiplies: stacks of [m, k] and [k, n].
typedef struct {
	int64_t stack, m, k, n;
} matrices;

// matrices_of reads the shapes of a [.., m, k] and b [.., k, n], either transposed: b is one matrix for all of a, or has
// as many as a.
static const char *matrices_of(const kernel *k, const tensor *a, const tensor *b, matrices *s) {
	TRY(sized("operands need two axes or more", a->rank >= 2 && b->rank >= 2));
	const int64_t *la = a->shape + a->rank - 2, *lb = b->shape + b->rank - 2;
	s->m = la[k->trans_a], s->k = la[1 - k->trans_a], s->n = lb[1 - k->trans_b], s->stack = 1;
	TRY(sized("operands do not fit each other", lb[k->trans_b] == s->k));
	for (int i = 0; i < a->rank - 2; i++) s->stack *= a->shape[i];
	if (b->rank == 2 && !k->trans_a) {
		s->m *= s->stack;
		s->stack = 1;
	}
	int same = a->rank == b->rank;
	for (int i = 0; same && i < a->rank - 2; i++) same = a->shape[i] == b->shape[i];
	return sized("stacks of operands differ", s->stack == 1 && b->rank == 2 || same);
}

static md matrix(made *m, int64_t stack, int64_t rows, int64_t columns, int transposed, int type) {
	md d = NULL;
	const int64_t dims[3] = {stack, rows, columns};
	const int64_t strides[3] = {rows * columns, transposed ? 1 : columns, transposed ? rows : 1};
	need(m, dnn.dnnl_memory_desc_create_with_strides(&d, 3, dims, type, strides), "its matrices cannot be described");
	return d;
}

static void make_product(made *m, const matrices *s, int bias) {
	const kernel *k = m->k;
	int type = k->r->bf16 ? DNN_BF16 : DNN_F32;
	m->src = matrix(m, s->stack, s->m, s->k, (int)k->trans_a, type);
	m->filter = matrix(m, s->stack, s->k, s->n, (int)k->trans_b, type);
	m->dst = matrix(m, s->stack, s->m, s->n, 0, DNN_F32);
	if (bias) m->bias = matrix(m, 1, 1, s->n, 0, DNN_F32);
	need(m, dnn.dnnl_primitive_attr_create(&m->attr), "no attributes");
	if (!m->failed) need(m, dnn.dnnl_primitive_attr_set_scratchpad_mode(m->attr, DNN_SCRATCHPAD_USER), "no scratchpad");
	if (!m->failed)
		need(m, dnn.dnnl_matmul_primitive_desc_create(&m->desc, dnn.engine, m->src, m->filter, m->bias, m->dst, m->attr),
			"oneDNN has no such product");
	argument(m, ARG_SRC, m->src);
	argument(m, ARG_WEIGHTS, m->filter);
	argument(m, ARG_DST, m->dst);
	if (bias) argument(m, ARG_BIAS, m->bias);
	finish(m);
}

// mat_mul: a, b, bias [n] or none -> a*b + bias.
COMPUTE(mat_mul) {
	tensor a, b, bias, y;
	matrices s;
	TRY(input(k, context, 0, &a));
	TRY(input(k, context, 1, &b));
	TRY(input(k, context, 2, &bias));
	TRY(matrices_of(k, &a, &b, &s));
	TRY(sized("the bias does not fit", !bias.data || elements(&bias) == s.n));
	int64_t shape[5];
	memcpy(shape, a.shape, sizeof shape);
	shape[a.rank - 2] = a.shape[a.rank - 2 + k->trans_a], shape[a.rank - 1] = s.n;
	TRY(output(k, context, 0, a.rank, shape, &y));
	if (!elements(&y)) return NULL;
	if (!s.k) {
		memset(y.data, 0, elements(&y) * sizeof(float));
		return NULL;
	}
	int fresh;
	int64_t key[8] = {s.stack, s.m, s.k, s.n, bias.data != NULL};
	plan *p = planned(k, key, &fresh);
	if (fresh) {
		made m = {.k = k, .p = p};
		make_product(&m, &s, bias.data != NULL);
		if (m.failed) return m.failed;
	}
	void *ra = rounded(k, &a), *rb = rounded(k, &b);
	const char *failed = !ra || !rb ? "out of memory" : NULL;
	void *data[4] = {ra, rb, y.data, bias.data};
	if (!failed) failed = run_plain(p, data, bias.data ? 4 : 3);
	if (k->r->bf16) {
		give_scratch(ra);
		give_scratch(rb);
	}
	return failed;
}
