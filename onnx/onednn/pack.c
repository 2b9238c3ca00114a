//go:build linux && amd64

// Filters between ONNX's layout and the ones that oneDNN's primitives ask for. oneDNN can do this itself, but takes a
// third of a training step for it, since there filters are laid out at every step.
#include "ops.h"

// offsets fills the places of n steps along an axis of a blocked layout, times what earlier ones hold.
static void offsets(int64_t *v, int64_t n, int axis, const int64_t *strides, int blocks, const int64_t *sizes,
	const int64_t *axes) {
	int64_t whole = 1; // steps of the axis in one outer block
	for (int b = 0; b < blocks; b++)
		if (axes[b] == axis) whole *= sizes[b];
	for (int64_t s = 0; s < n; s++) {
		int64_t place = s / whole * strides[axis], rest = s % whole, inner = 1;
		for (int b = blocks - 1; b >= 0; b--) {
			if (axes[b] == axis) {
				place += rest % sizes[b] * inner;
				rest /= sizes[b];
			}
			inner *= sizes[b];
		}
		v[s] = place;
	}
}

// steady reports that the offsets of an axis go on by step within each run.
static int steady(const int64_t *v, int64_t n, int64_t step, int64_t run) {
	for (int64_t i = 0; i < n; i++)
		if (v[i] != v[i / run * run] + i % run * step) return 0;
	return 1;
}

// choose finds the axis of neighbours, how far apart they lie and how many at a time, and with that the size of a tile:
// as much of a filter as fits into the first cache with what is made of it. Where there are none a tile is one number wide.
static void choose(layout *l) {
	for (l->step = 1; l->step <= 2; l->step++)
		for (l->by_rows = 0; l->by_rows <= 1; l->by_rows++)
			for (l->run = 64; l->run >= 16; l->run /= 2)
				if (l->by_rows ? l->run == 16 && steady(l->row, l->rows, l->step, l->run)
				               : steady(l->column, l->columns, l->step, l->run)) {
					l->other = 256 / l->run;
					return;
				}
	l->step = l->run = 1, l->by_rows = 0, l->other = 16;
}

// layout reads where a descriptor puts a filter [o, i, kh, kw], or [g, o/g, i, kh, kw]. It fails for layouts that are
// no blocks.
int layout_of(layout *l, md d, int type) {
	int rank, kind, blocks, have;
	const int64_t *dims, *padded, *strides, *sizes, *axes;
	int64_t start;
	memset(l, 0, sizeof *l);
	if (dnn.dnnl_memory_desc_query(d, DNN_RANK, &rank) || dnn.dnnl_memory_desc_query(d, DNN_FORMAT_KIND, &kind) ||
		dnn.dnnl_memory_desc_query(d, DNN_DIMS, &dims) || dnn.dnnl_memory_desc_query(d, DNN_PADDED_DIMS, &padded) ||
		dnn.dnnl_memory_desc_query(d, DNN_STRIDES, &strides) || dnn.dnnl_memory_desc_query(d, DNN_INNER_BLOCKS, &blocks) ||
		dnn.dnnl_memory_desc_query(d, DNN_INNER_SIZES, &sizes) || dnn.dnnl_memory_desc_query(d, DNN_INNER_AXES, &axes) ||
		dnn.dnnl_memory_desc_query(d, DNN_TYPE, &have) || dnn.dnnl_memory_desc_query(d, DNN_START, &start) ||
		kind != DNN_BLOCKED || have != type || start != 0 || rank < 4 || rank > 5)
		return 0;
	int first = rank - 4;
	int64_t groups = first ? dims[0] : 1, per = dims[first], wide = dims[rank - 1];
	l->rows = groups * per, l->columns = dims[first + 1], l->pixels = dims[rank - 2] * wide;
	l->row = malloc((l->rows + l->columns + l->pixels) * sizeof(int64_t));
	int64_t *part = malloc((groups + per + wide) * sizeof *part);
	if (!l->row || !part) {
		free(l->row);
		free(part);
		return 0;
	}
	l->column = l->row + l->rows, l->pixel = l->column + l->columns;
	offsets(part, per, first, strides, blocks, sizes, axes);
	if (first) offsets(part + per, groups, 0, strides, blocks, sizes, axes);
	for (int64_t r = 0; r < l->rows; r++) l->row[r] = part[r % per] + (first ? part[per + r / per] : 0);
	offsets(l->column, l->columns, first + 1, strides, blocks, sizes, axes);
	offsets(part + per + groups, wide, rank - 1, strides, blocks, sizes, axes);
	offsets(l->pixel, dims[rank - 2], rank - 2, strides, blocks, sizes, axes);
	for (int64_t p = l->pixels - 1; p >= 0; p--) l->pixel[p] = l->pixel[p / wide] + part[per + groups + p % wide];
	free(part);
	for (int a = 0; a < rank; a++) l->padded |= padded[a] != dims[a];
	choose(l);
	return 1;
}

typedef struct {
	const layout *l;
	const float *plain;
	float *into; // plain, where that is written
	void *theirs;
} packing;

// tile is a piece of a filter: n numbers along the axis on which oneDNN's numbers are neighbours, the inner one, times m
// along the other.
typedef struct {
	int64_t n, m;
	int64_t inner, outer; // steps in ONNX's layout
	const int64_t *far;   // offsets of the m
	int64_t near, plain;  // offset of the first of the n; place of the first number in ONNX's layout
} tile;

static int64_t pieces(int64_t n, int64_t each) { return (n + each - 1) / each; }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// tile_of is the tile of a number; one follows the other along the outer axis, so that memory is written in a stream.
static tile tile_of(const layout *l, int64_t i) {
	int64_t row = l->columns * l->pixels;
	if (l->by_rows) {
		int64_t across = pieces(l->columns, l->other), r = i / across * l->run, c = i % across * l->other;
		return (tile){least(l->run, l->rows - r), least(l->other, l->columns - c), row, l->pixels, l->column + c, l->row[r],
			r * row + c * l->pixels};
	}
	int64_t down = pieces(l->rows, l->other), r = i % down * l->other, c = i / down * l->run;
	return (tile){least(l->run, l->columns - c), least(l->other, l->rows - r), l->pixels, row, l->row + r, l->column[c],
		r * row + c * l->pixels};
}

// Neighbours lie step apart: 1, or 2 where the numbers of two of the other axis alternate, as products of bfloat16 take
// them.
#define EACH(DO) \
	for (int64_t x = 0; x < l->pixels; x++) \
		for (int64_t j = 0; j < t.m; j++) { \
			int64_t at = l->pixel[x] + t.far[j] + t.near, from = t.plain + j * t.outer + x; \
			for (int64_t i = 0; i < t.n; i++) DO \
		}

static void pack_float(void *arg, size_t number) {
	const packing *p = arg;
	const layout *l = p->l;
	const tile t = tile_of(l, number);
	float *restrict theirs = p->theirs;
	const float *restrict plain = p->plain;
	EACH(theirs[at + i] = plain[from + i * t.inner];)
}

static void pack_bf16(void *arg, size_t number) {
	const packing *p = arg;
	const layout *l = p->l;
	const tile t = tile_of(l, number);
	uint16_t *restrict theirs = p->theirs;
	const float *restrict plain = p->plain;
	EACH(theirs[at + i * l->step] = narrow(plain[from + i * t.inner]);)
}

// pack_pairs is pack_bf16 where numbers alternate and the tile has whole pairs: two at a time.
static void pack_pairs(void *arg, size_t number) {
	const packing *p = arg;
	const layout *l = p->l;
	const tile t = tile_of(l, number);
	if (t.m % 2 || t.far[0] % 2) {
		pack_bf16(arg, number);
		return;
	}
	uint32_t *restrict theirs = p->theirs;
	const float *restrict plain = p->plain;
	for (int64_t x = 0; x < l->pixels; x++)
		for (int64_t j = 0; j < t.m; j += 2) {
			int64_t at = (l->pixel[x] + t.far[j] + t.near) / 2, from = t.plain + j * t.outer + x;
			for (int64_t i = 0; i < t.n; i++)
				theirs[at + i] = narrow(plain[from + i * t.inner]) |
					(uint32_t)narrow(plain[from + t.outer + i * t.inner]) << 16;
		}
}

static void unpack_float(void *arg, size_t number) {
	const packing *p = arg;
	const layout *l = p->l;
	const tile t = tile_of(l, number);
	const float *restrict theirs = p->theirs;
	float *restrict plain = p->into;
	EACH(plain[from + i * t.inner] = theirs[at + i];)
}

static int64_t tiles(const layout *l) {
	return l->by_rows ? pieces(l->rows, l->run) * pieces(l->columns, l->other)
	                  : pieces(l->columns, l->run) * pieces(l->rows, l->other);
}

// pack lays a filter out as l says, which is for bytes of memory.
void pack(kernel *k, const layout *l, const float *filter, void *theirs, size_t bytes, int bf16) {
	packing p = {l, filter, NULL, theirs};
	if (l->padded) memset(theirs, 0, bytes);
	parallel(k, tiles(l), !bf16 ? pack_float : l->step == 2 ? pack_pairs : pack_bf16, &p);
}

void unpack(kernel *k, const layout *l, const void *theirs, float *filter) {
	packing p = {l, NULL, filter, (void *)theirs};
	parallel(k, tiles(l), unpack_float, &p);
}
