//go:build linux && amd64

// The two gradients of depthwise convolutions, one channel and one filter a group: plain sums, of which neighbouring
// channels are neighbours in memory.
#include "ops.h"

// depth is what both need: x [n, h, w, c], y [n, oh, ow, c], and the filter as [taps, c].
typedef struct {
	const rows_of_T *f;
	const window *w;
	size_t bytes;
	int64_t n, h, wide, oh, ow, c, rows, step; // rows of y, of which a piece has step
	const char *x, *dy;
	char *dx;
	float *taps; // of all pieces
} depth;

static depth new_depth(kernel *k, const int64_t *x, const int64_t *y) {
	return (depth){.f = rows_of(k), .w = &k->w, .bytes = size_of(k), .n = x[0], .h = x[1], .wide = x[2], .oh = y[1],
		.ow = y[2], .c = x[3], .rows = y[0] * y[1]};
}

static void input_row(void *arg, size_t i) {
	const depth *d = arg;
	const window *w = d->w;
	int64_t n = i / d->h, iy = i % d->h;
	const void *from[MOST_TAPS];
	const float *taken[MOST_TAPS];
	for (int64_t ix = 0; ix < d->wide; ix++) {
		int count = 0;
		for (int64_t ky = 0; ky < w->kernel[0]; ky++)
			for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
				int64_t oy = iy + w->pads[0] - ky * w->dilations[0], ox = ix + w->pads[1] - kx * w->dilations[1];
				if (oy < 0 || ox < 0 || oy % w->strides[0] || ox % w->strides[1]) continue;
				oy /= w->strides[0], ox /= w->strides[1];
				if (oy >= d->oh || ox >= d->ow) continue;
				from[count] = d->dy + ((n * d->oh + oy) * d->ow + ox) * d->c * d->bytes;
				taken[count++] = d->taps + (ky * w->kernel[1] + kx) * d->c;
			}
		d->f->depth_input(from, taken, count, d->c, d->dx + ((n * d->h + iy) * d->wide + ix) * d->c * d->bytes);
	}
}

const char *depth_grad_input(kernel *k, const tensor *dy, const tensor *filter, const tensor *dx) {
	depth d = new_depth(k, dx->shape, dy->shape);
	int64_t taps = k->w.kernel[0] * k->w.kernel[1];
	d.dy = dy->data, d.dx = dx->data;
	d.taps = take_scratch(taps * d.c * sizeof *d.taps);
	TRY(sized("out of memory", d.taps != NULL));
	for (int64_t c = 0; c < d.c; c++)
		for (int64_t t = 0; t < taps; t++) d.taps[t * d.c + c] = ((const float *)filter->data)[c * taps + t];
	parallel(k, d.n * d.h, input_row, &d);
	give_scratch(d.taps);
	return NULL;
}

// inside is the range of y's columns whose tap kx falls into x.
static void inside(const depth *d, int64_t kx, int64_t *first, int64_t *end) {
	const window *w = d->w;
	int64_t off = kx * w->dilations[1] - w->pads[1], s = w->strides[1];
	*first = off < 0 ? (-off + s - 1) / s : 0;
	*end = d->wide - off > 0 ? (d->wide - off + s - 1) / s : 0;
	if (*end > d->ow) *end = d->ow;
}

static void filter_piece(void *arg, size_t i) {
	const depth *d = arg;
	const window *w = d->w;
	int64_t taps = w->kernel[0] * w->kernel[1], end = (int64_t)(i + 1) * d->step;
	float *sums = d->taps + i * taps * d->c;
	memset(sums, 0, taps * d->c * sizeof *sums);
	for (int64_t row = i * d->step; row < end && row < d->rows; row++) {
		int64_t n = row / d->oh, oy = row % d->oh;
		for (int64_t ky = 0; ky < w->kernel[0]; ky++) {
			int64_t iy = oy * w->strides[0] - w->pads[0] + ky * w->dilations[0];
			if (iy < 0 || iy >= d->h) continue;
			for (int64_t kx = 0; kx < w->kernel[1]; kx++) {
				int64_t ox, stop;
				inside(d, kx, &ox, &stop);
				if (ox >= stop) continue;
				int64_t ix = ox * w->strides[1] - w->pads[1] + kx * w->dilations[1];
				d->f->depth_filter(d->x + ((n * d->h + iy) * d->wide + ix) * d->c * d->bytes, w->strides[1] * d->c,
					d->dy + (row * d->ow + ox) * d->c * d->bytes, stop - ox, d->c, sums + (ky * w->kernel[1] + kx) * d->c);
			}
		}
	}
}

// depth_grad_filter adds pieces that do not depend on the number of threads, in their order.
const char *depth_grad_filter(kernel *k, const tensor *x, const tensor *dy, const tensor *dfilter) {
	enum { PIECES = 32 };
	depth d = new_depth(k, x->shape, dy->shape);
	int64_t taps = k->w.kernel[0] * k->w.kernel[1], all = taps * d.c;
	d.x = x->data, d.dy = dy->data;
	d.step = (d.rows + PIECES - 1) / PIECES;
	int64_t pieces = (d.rows + d.step - 1) / d.step;
	d.taps = take_scratch(pieces * all * sizeof *d.taps);
	TRY(sized("out of memory", d.taps != NULL));
	parallel(k, pieces, filter_piece, &d);
	for (int64_t i = 1; i < pieces; i++)
		for (int64_t j = 0; j < all; j++) d.taps[j] += d.taps[i * all + j];
	for (int64_t c = 0; c < d.c; c++)
		for (int64_t t = 0; t < taps; t++) ((float *)dfilter->data)[c * taps + t] = d.taps[t * d.c + c];
	give_scratch(d.taps);
	return NULL;
}
