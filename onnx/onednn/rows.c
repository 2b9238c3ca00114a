//go:build linux && amd64

// Everything but convolutions: batch normalisation with what follows it, limits, sums, pooling, and the way from
// ONNX's layout to channels last and back. Work is divided by rows of channels into pieces that do not depend on the
// number of threads, so that sums are the same numbers with any.
#include "ops.h"

enum { LANES = 16 };

#define PASTED(f, type, width) f##_##type##_##width
#define NAME(f, type, width) PASTED(f, type, width)

#define WIDTH avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#include "types.h"
#define WIDTH avx2
#define TARGET __attribute__((target("avx2,fma")))
#include "types.h"
#define WIDTH plain
#define TARGET
#include "types.h"

const rows_of_T *rows_of(const kernel *k) {
	static const rows_of_T *all[2][3] = {
		{&all_float_plain, &all_float_avx2, &all_float_avx512},
		{&all_bfloat16_plain, &all_bfloat16_avx2, &all_bfloat16_avx512}};
	int wide512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
		__builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
	int level = wide512 ? 2 : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
	return all[k->r->bf16][level];
}

// work is what a pass over rows of channels needs. Piece i of pieces has rows [i*step, …).
typedef struct {
	const rows_of_T *f;
	size_t bytes; // of a T
	int64_t rows, c, step;
	const char *x, *sum, *y, *dy, *dy2;
	char *out, *g;
	const float *a, *b, *k, *mean;
	float *s1, *s2; // [pieces, c]
	float low, high;
} work;

enum { PIECES = 64, LEAST = 16 };

// divided cuts rows into pieces and returns how many.
static int64_t divided(work *w) {
	w->step = (w->rows + PIECES - 1) / PIECES;
	if (w->step < LEAST) w->step = LEAST;
	return (w->rows + w->step - 1) / w->step;
}

static int64_t here(const work *w, size_t i) {
	int64_t left = w->rows - (int64_t)i * w->step;
	return left < w->step ? left : w->step;
}

static size_t at(const work *w, size_t i) { return i * w->step * w->c * w->bytes; }
static const char *from(const char *p, size_t offset) { return p ? p + offset : NULL; }

static void sums_piece(void *arg, size_t i) {
	work *w = arg;
	w->f->sums(w->x + at(w, i), here(w, i), w->c, w->mean, w->s1 + i * w->c, w->s2 + i * w->c);
}

static void scale_piece(void *arg, size_t i) {
	work *w = arg;
	size_t o = at(w, i);
	w->f->scale(w->x + o, from(w->sum, o), here(w, i), w->c, w->a, w->b, w->low, w->high, w->out + o);
}

// Rows are masked a strip at a time before they are added, so that they stay in the first cache.
enum { STRIP_BYTES = 8192 };

static int64_t strip(const work *w) {
	int64_t n = STRIP_BYTES / (int64_t)(w->c * w->bytes);
	return n < 1 ? 1 : n;
}

static void grad_sums_piece(void *arg, size_t i) {
	work *w = arg;
	size_t o = at(w, i);
	int64_t rows = here(w, i), n = strip(w);
	for (int64_t r = 0; r < rows; r += n, o += n * w->c * w->bytes) {
		int64_t now = rows - r < n ? rows - r : n;
		if (w->g) w->f->mask(w->dy + o, from(w->dy2, o), from(w->y, o), now * w->c, w->low, w->high, w->g + o);
		w->f->grad_sums(w->g ? w->g + o : w->dy + o, w->x + o, now, w->c, w->mean, w->s1 + i * w->c, w->s2 + i * w->c);
	}
}

static void grad_rows_piece(void *arg, size_t i) {
	work *w = arg;
	size_t o = at(w, i);
	const char *g = !w->g ? w->dy + o : w->g == w->out ? NULL : w->g + o;
	w->f->grad_rows(g, w->x + o, here(w, i), w->c, w->a, w->k, w->b, w->out + o);
}

static void mask_piece(void *arg, size_t i) {
	work *w = arg;
	size_t o = at(w, i);
	w->f->mask(w->dy + o, from(w->dy2, o), from(w->y, o), here(w, i) * w->c, w->low, w->high, w->out + o);
}

static void clip_piece(void *arg, size_t i) {
	work *w = arg;
	w->f->clip(w->x + at(w, i), here(w, i) * w->c, w->low, w->high, w->out + at(w, i));
}

static void channels_piece(void *arg, size_t i) {
	work *w = arg;
	w->f->channels(w->x + at(w, i), here(w, i), w->c, w->s1 + i * w->c);
}

static void narrow_piece(void *arg, size_t i) {
	work *w = arg;
	w->f->narrow((const float *)w->x + i * w->step * w->c, here(w, i) * w->c, w->out + at(w, i));
}

static void widen_piece(void *arg, size_t i) {
	work *w = arg;
	w->f->widen(w->x + at(w, i), here(w, i) * w->c, (float *)w->out + i * w->step * w->c);
}

// add_up adds the pieces' sums in their order: [pieces, c] -> the first row.
static void add_up(float *s, int64_t pieces, int64_t c) {
	for (int64_t i = 1; i < pieces; i++)
		for (int64_t j = 0; j < c; j++) s[j] += s[i * c + j];
}

// two_sums adds two numbers a channel over all pieces: s1 and s2 of w, [c] each, in s, which has room for twice the
// pieces.
static void two_sums(kernel *k, work *w, int64_t pieces, float *s, void (*piece)(void *, size_t)) {
	memset(s, 0, 2 * pieces * w->c * sizeof *s);
	w->s1 = s, w->s2 = s + pieces * w->c;
	parallel(k, pieces, piece, w);
	add_up(w->s1, pieces, w->c);
	add_up(w->s2, pieces, w->c);
}

static work new_work(kernel *k, const tensor *x) {
	work w = {.f = rows_of(k), .bytes = size_of(k), .c = x->shape[x->rank - 1], .low = k->low, .high = k->high};
	w.rows = w.c ? elements(x) / w.c : 0;
	return w;
}

// norm_forward: x [.., c], scale, bias and a guess of the mean [c], sum like x or none -> y like x, and the batch's mean
// and variance [c]. Numbers near the guess keep the sum of squares from cancelling.
COMPUTE(norm_forward) {
	tensor x, scale, bias, guess, sum, y, mean, variance;
	TRY(input(k, context, 0, &x));
	TRY(input(k, context, 1, &scale));
	TRY(input(k, context, 2, &bias));
	TRY(input(k, context, 3, &guess));
	TRY(input(k, context, 4, &sum));
	work w = new_work(k, &x);
	TRY(sized("its inputs do not fit", x.rank == 4 && w.rows > 0 && elements(&scale) == w.c && elements(&bias) == w.c &&
		elements(&guess) == w.c && (!sum.data || elements(&sum) == elements(&x))));
	TRY(output(k, context, 0, 4, x.shape, &y));
	TRY(output(k, context, 1, 1, &w.c, &mean));
	TRY(output(k, context, 2, 1, &w.c, &variance));
	int64_t pieces = divided(&w);
	float *s = take_scratch((2 * pieces + 2) * w.c * sizeof *s);
	TRY(sized("out of memory", s != NULL));
	w.x = x.data, w.sum = sum.data, w.out = y.data, w.mean = guess.data;
	two_sums(k, &w, pieces, s, sums_piece);
	float *a = s + 2 * pieces * w.c, *b = a + w.c, *m = mean.data, *v = variance.data;
	for (int64_t j = 0; j < w.c; j++) {
		float off = w.s1[j] / w.rows, square = w.s2[j] / w.rows - off * off;
		m[j] = w.mean[j] + off;
		v[j] = square < 0 ? 0 : square;
		a[j] = ((float *)scale.data)[j] / sqrtf(v[j] + k->epsilon);
		b[j] = ((float *)bias.data)[j] - a[j] * m[j];
	}
	w.a = a, w.b = b;
	parallel(k, pieces, scale_piece, &w);
	give_scratch(s);
	return NULL;
}

// norm_grad, with g = (dy+dy2) where y is within the limits:
//
//	dbias = sum(g),  t = sum(g*(x-mean)),  dscale = inv*t,  dsum = g
//	dx = a*(g - dbias/n - (x-mean)*inv^2*t/n),  a = scale*inv
COMPUTE(norm_grad) {
	tensor dy, dy2, x, y, scale, mean, variance, dx, dscale, dbias, dsum;
	TRY(input(k, context, 0, &dy));
	TRY(input(k, context, 1, &dy2));
	TRY(input(k, context, 2, &x));
	TRY(input(k, context, 3, &y));
	TRY(input(k, context, 4, &scale));
	TRY(input(k, context, 5, &mean));
	TRY(input(k, context, 6, &variance));
	work w = new_work(k, &x);
	int64_t n = elements(&x);
	TRY(sized("its inputs do not fit", x.rank == 4 && w.rows > 0 && elements(&dy) == n &&
		(!dy2.data || elements(&dy2) == n) && (!y.data || elements(&y) == n) && elements(&scale) == w.c &&
		elements(&mean) == w.c && elements(&variance) == w.c));
	TRY(output(k, context, 0, 4, x.shape, &dx));
	TRY(output(k, context, 1, 1, &w.c, &dscale));
	TRY(output(k, context, 2, 1, &w.c, &dbias));
	TRY(output(k, context, 3, 4, x.shape, &dsum));
	int64_t pieces = divided(&w);
	int masked = y.data || dy2.data;
	float *s = take_scratch((2 * pieces + 3) * w.c * sizeof *s);
	TRY(sized("out of memory", s != NULL));
	w.dy = dy.data, w.dy2 = dy2.data, w.x = x.data, w.y = y.data, w.mean = mean.data, w.out = dx.data;
	w.g = dsum.data ? dsum.data : masked ? dx.data : NULL; // g waits in dx, whose place it has
	two_sums(k, &w, pieces, s, grad_sums_piece);
	float *a = s + 2 * pieces * w.c, *b = a + w.c, *c = b + w.c;
	for (int64_t j = 0; j < w.c; j++) {
		float inv = 1 / sqrtf(((float *)variance.data)[j] + k->epsilon);
		a[j] = ((float *)scale.data)[j] * inv;
		c[j] = -a[j] * inv * inv * w.s2[j] / w.rows;
		b[j] = -a[j] * w.s1[j] / w.rows - c[j] * w.mean[j];
		((float *)dscale.data)[j] = w.s2[j] * inv;
		((float *)dbias.data)[j] = w.s1[j];
	}
	w.a = a, w.b = b, w.k = c;
	parallel(k, pieces, grad_rows_piece, &w);
	give_scratch(s);
	return NULL;
}

// each makes an output like x, whose pieces piece makes of those of w.
static const char *each(kernel *k, void *context, const tensor *x, work w, void (*piece)(void *, size_t)) {
	tensor y;
	TRY(output(k, context, 0, x->rank, x->shape, &y));
	w.out = y.data;
	if (w.rows) parallel(k, divided(&w), piece, &w);
	return NULL;
}

// each_of is each for an operator of one input.
static const char *each_of(kernel *k, void *context, void (*piece)(void *, size_t)) {
	tensor x;
	TRY(input(k, context, 0, &x));
	work w = new_work(k, &x);
	w.x = x.data;
	return each(k, context, &x, w, piece);
}

COMPUTE(clip_forward) { return each_of(k, context, clip_piece); }
COMPUTE(narrow_forward) { return each_of(k, context, narrow_piece); }
COMPUTE(widen_forward) { return each_of(k, context, widen_piece); }

// clip_grad: dy, dy2 or none, y -> dy+dy2 where y is within the limits.
COMPUTE(clip_grad) {
	tensor dy, dy2, y;
	TRY(input(k, context, 0, &dy));
	TRY(input(k, context, 1, &dy2));
	TRY(input(k, context, 2, &y));
	TRY(sized("its inputs do not fit", dy.rank == y.rank && elements(&dy) == elements(&y) &&
		(!dy2.data || elements(&dy2) == elements(&y))));
	work w = new_work(k, &y);
	w.dy = dy.data, w.dy2 = dy2.data, w.y = y.data;
	return each(k, context, &y, w, mask_piece);
}

COMPUTE(add_forward) {
	tensor a, b;
	TRY(input(k, context, 0, &a));
	TRY(input(k, context, 1, &b));
	TRY(sized("its terms differ in shape", a.rank == b.rank && !memcmp(a.shape, b.shape, a.rank * sizeof *a.shape)));
	work w = new_work(k, &a);
	w.dy = a.data, w.dy2 = b.data;
	return each(k, context, &a, w, mask_piece);
}

// channel_sum: x [.., c] -> [c].
COMPUTE(channel_sum) {
	tensor x, y;
	TRY(input(k, context, 0, &x));
	work w = new_work(k, &x);
	TRY(output(k, context, 0, 1, &w.c, &y));
	int64_t pieces = divided(&w);
	if (!pieces) {
		memset(y.data, 0, w.c * sizeof(float));
		return NULL;
	}
	w.x = x.data;
	w.s1 = take_scratch(pieces * w.c * sizeof *w.s1);
	TRY(sized("out of memory", w.s1 != NULL));
	memset(w.s1, 0, pieces * w.c * sizeof *w.s1);
	parallel(k, pieces, channels_piece, &w);
	add_up(w.s1, pieces, w.c);
	memcpy(y.data, w.s1, w.c * sizeof *w.s1);
	give_scratch(w.s1);
	return NULL;
}

// images is what moving a batch between the layouts needs; a piece is PIXELS pixels of an image.
typedef struct {
	const rows_of_T *f;
	size_t bytes;
	int64_t c, pixels, pieces;
	const char *x;
	char *y;
} images;

enum { PIXELS = 512 };

static void enter_piece(void *arg, size_t i) {
	images *m = arg;
	int64_t image = i / m->pieces, p = i % m->pieces * PIXELS, end = p + PIXELS < m->pixels ? p + PIXELS : m->pixels;
	int64_t o = image * m->c * m->pixels;
	m->f->enter((const float *)m->x + o, m->c, m->pixels, p, end, m->y + o * m->bytes);
}

static void leave_piece(void *arg, size_t i) {
	images *m = arg;
	int64_t image = i / m->pieces, p = i % m->pieces * PIXELS, end = p + PIXELS < m->pixels ? p + PIXELS : m->pixels;
	int64_t o = image * m->c * m->pixels;
	m->f->leave(m->x + o * m->bytes, m->c, m->pixels, p, end, (float *)m->y + o);
}

static const char *move(kernel *k, void *context, int entering) {
	tensor x, y;
	TRY(input(k, context, 0, &x));
	TRY(sized("x needs 4 axes", x.rank == 4));
	const int64_t *s = x.shape;
	int64_t shape[4] = {s[0], s[2], s[3], s[1]};
	if (!entering) memcpy(shape, (int64_t[4]){s[0], s[3], s[1], s[2]}, sizeof shape);
	TRY(output(k, context, 0, 4, shape, &y));
	if (!elements(&x)) return NULL;
	images m = {rows_of(k), size_of(k), entering ? s[1] : s[3], entering ? s[2] * s[3] : s[1] * s[2], 0, x.data,
		y.data};
	m.pieces = (m.pixels + PIXELS - 1) / PIXELS;
	parallel(k, s[0] * m.pieces, entering ? enter_piece : leave_piece, &m);
	return NULL;
}

COMPUTE(enter_forward) { return move(k, context, 1); }
COMPUTE(leave_forward) { return move(k, context, 0); }

// pool is what max pooling needs; a piece is a row of y, or of dx in its gradient.
typedef struct {
	const rows_of_T *f;
	size_t bytes;
	const window *w;
	const char *x;
	char *y;
	uint8_t *at;
	int64_t c, h, wide, oh, ow; // of x and y
	float *sums;                // of the gradient: a pixel's, for each row
} pool;

static void pool_row(void *arg, size_t i) {
	pool *p = arg;
	const window *w = p->w;
	int64_t n = i / p->oh, oy = i % p->oh;
	for (int64_t ox = 0; ox < p->ow; ox++) {
		int64_t o = ((n * p->oh + oy) * p->ow + ox) * p->c;
		char *y = p->y + o * p->bytes;
		int first = 1;
		for (int64_t ky = 0; ky < w->kernel[0]; ky++)
			for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
				int64_t iy = oy * w->strides[0] - w->pads[0] + ky * w->dilations[0];
				int64_t ix = ox * w->strides[1] - w->pads[1] + kx * w->dilations[1];
				if (iy < 0 || iy >= p->h || ix < 0 || ix >= p->wide) continue;
				const char *x = p->x + ((n * p->h + iy) * p->wide + ix) * p->c * p->bytes;
				int place = (int)(ky * w->kernel[1] + kx);
				if (first) {
					memcpy(y, x, p->c * p->bytes);
					memset(p->at + o, place, p->c);
					first = 0;
				} else
					p->f->best(x, p->c, place, y, p->at + o);
			}
	}
}

// max_pool: x -> y, and of each value the place in its window, in rows. size is y's height and width.
COMPUTE(max_pool) {
	tensor x, y, at;
	const window *w = &k->w;
	TRY(input(k, context, 0, &x));
	TRY(sized("x needs 4 axes and a window at most 255 places", x.rank == 4 && w->kernel[0] * w->kernel[1] < 256));
	int64_t shape[4] = {x.shape[0], w->size[0], w->size[1], x.shape[3]};
	TRY(output(k, context, 0, 4, shape, &y));
	TRY(output(k, context, 1, 4, shape, &at));
	pool p = {rows_of(k), size_of(k), w, x.data, y.data, at.data, x.shape[3], x.shape[1], x.shape[2], shape[1],
		shape[2], NULL};
	if (elements(&y)) parallel(k, shape[0] * shape[1], pool_row, &p);
	return NULL;
}

static void pool_grad_row(void *arg, size_t i) {
	pool *p = arg;
	const window *w = p->w;
	int64_t n = i / p->h, iy = i % p->h;
	float *sum = p->sums + i * p->c;
	for (int64_t ix = 0; ix < p->wide; ix++) {
		memset(sum, 0, p->c * sizeof *sum);
		for (int64_t ky = 0; ky < w->kernel[0]; ky++)
			for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
				int64_t oy = iy + w->pads[0] - ky * w->dilations[0], ox = ix + w->pads[1] - kx * w->dilations[1];
				if (oy < 0 || ox < 0 || oy % w->strides[0] || ox % w->strides[1]) continue;
				oy /= w->strides[0], ox /= w->strides[1];
				if (oy >= p->oh || ox >= p->ow) continue;
				int64_t o = ((n * p->oh + oy) * p->ow + ox) * p->c;
				p->f->scatter(p->x + o * p->bytes, p->at + o, p->c, (int)(ky * w->kernel[1] + kx), sum);
			}
		p->f->narrow(sum, p->c, p->y + ((n * p->h + iy) * p->wide + ix) * p->c * p->bytes);
	}
}

// max_pool_grad: dy, places -> dx, whose height and width is size.
COMPUTE(max_pool_grad) {
	tensor dy, at, dx;
	const window *w = &k->w;
	TRY(input(k, context, 0, &dy));
	TRY(input(k, context, 1, &at));
	TRY(sized("dy and the places differ in shape", dy.rank == 4 && at.rank == 4 && elements(&dy) == elements(&at)));
	int64_t shape[4] = {dy.shape[0], w->size[0], w->size[1], dy.shape[3]};
	TRY(output(k, context, 0, 4, shape, &dx));
	pool p = {rows_of(k), size_of(k), w, dy.data, dx.data, at.data, dy.shape[3], shape[1], shape[2], dy.shape[1],
		dy.shape[2], NULL};
	if (!elements(&dx)) return NULL;
	p.sums = take_scratch(shape[0] * shape[1] * p.c * sizeof *p.sums);
	TRY(sized("out of memory", p.sums != NULL));
	parallel(k, shape[0] * shape[1], pool_grad_row, &p);
	give_scratch(p.sums);
	return NULL;
}
