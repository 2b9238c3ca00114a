// Included once for each instruction set with NAME, TARGET, LANES (floats a
// vector) and ROWS (rows of a tile) defined. A tile is ROWS x 16 sums in registers.

#define VECTORS (16 / LANES)

typedef float NAME(vec) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));
typedef int32_t NAME(ivec) __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

#define VEC NAME(vec)
#define IVEC NAME(ivec)
#define INLINE TARGET static inline __attribute__((always_inline))

INLINE VEC NAME(splat)(float v) { return v - (VEC){}; }

// sum fills a tile: c[r][16] = the sum over k of a[r*ars + k*acs] * b[k*16 ..].
INLINE void NAME(sum)(VEC c[][VECTORS], const int rows, const float *a, int64_t ars, int64_t acs, const float *b, int64_t depth) {
	for (int r = 0; r < rows; r++)
		for (int v = 0; v < VECTORS; v++) c[r][v] = (VEC){};
	for (int64_t k = 0; k < depth; k++, b += 16, a += acs) {
		VEC q[VECTORS];
#pragma GCC unroll 4
		for (int v = 0; v < VECTORS; v++) q[v] = *(const VEC *)(b + v * LANES);
#pragma GCC unroll 8
		for (int r = 0; r < rows; r++) {
			VEC s = NAME(splat)(a[r * ars]);
#pragma GCC unroll 4
			for (int v = 0; v < VECTORS; v++) c[r][v] += s * q[v];
		}
	}
}

// lanes is -1 in the lanes whose bit is set in the low LANES bits.
INLINE IVEC NAME(lanes)(uint32_t bits) {
	IVEC one;
	for (int i = 0; i < LANES; i++) one[i] = 1 << i;
	return (((IVEC){} + (int32_t)bits) & one) == one;
}

// kept zeroes the values of a feature whose mask bit is 0.
INLINE VEC NAME(kept)(VEC z, const uint64_t *mask, int64_t col) {
	return (VEC)((IVEC)z & NAME(lanes)((uint32_t)(mask[col / 64] >> (col % 64))));
}

INLINE float NAME(total)(VEC s) {
	float t = 0;
	for (int i = 0; i < LANES; i++) t += s[i];
	return t;
}

// normalize computes z of features [lo, hi), lo a multiple of 16.
TARGET static void NAME(normalize)(const head_block *b, int64_t lo, int64_t hi) {
	const int64_t ld = b->ld, n = b->n, words = (ld + 63) / 64;
	const float nf = (float)n;
	uint64_t mask[MASK_WORDS];
	for (int64_t j = lo; j < hi; j++) {
		float *x = b->x + j * ld;
		for (int64_t i = n; i < ld; i++) x[i] = 0;
		float mean, inv;
		if (b->frozen) {
			mean = b->run_mean[j];
			inv = (float)(1 / sqrt((double)b->run_var[j] + b->eps));
		} else {
			VEC s = {}, q = {};
			for (int64_t i = 0; i < ld; i += LANES) s += *(VEC *)(x + i);
			mean = NAME(total)(s) / nf;
			VEC m = NAME(splat)(mean);
			for (int64_t i = 0; i < ld; i += LANES) {
				VEC d = *(VEC *)(x + i) - m;
				q += d * d;
			}
			float square = NAME(total)(q) - (float)(ld - n) * mean * mean;
			square = square < 0 ? 0 : square;
			b->run_mean[j] = (1 - b->bn_momentum) * b->run_mean[j] + b->bn_momentum * mean;
			b->run_var[j] = (1 - b->bn_momentum) * b->run_var[j] + b->bn_momentum * square / (nf - 1);
			inv = (float)(1 / sqrt((double)(square / nf) + b->eps));
		}
		b->mean[j] = mean;
		b->inv_std[j] = inv;
		head_mask(mask, b, j, words);
		VEC m = NAME(splat)(mean), g = NAME(splat)(b->gamma[j] * inv * b->scale), h = NAME(splat)(b->beta[j] * b->scale);
		for (int64_t i = 0; i < ld; i += LANES) {
			VEC z = (*(VEC *)(x + i) - m) * g + h;
			*(VEC *)(b->zp + (i / 16 * b->in + j) * 16 + i % 16) = NAME(kept)(z, mask, i);
		}
	}
	if (!b->zr) return;
	for (int64_t j = lo; j < hi; j += 16) // turn 16x16 tiles
		for (int64_t p = 0; p < ld; p += 16) {
			const float *from = b->zp + (p / 16 * b->in + j) * 16;
			float *to = b->zr + (j * ld) + p * 16;
			const int64_t width = b->in - j < 16 ? b->in - j : 16;
			for (int64_t f = 0; f < width; f++)
				for (int64_t i = 0; i < 16; i++) to[i * 16 + f] = from[f * 16 + i];
		}
}

INLINE void NAME(forward_rows)(const head_block *b, const int rows, int64_t row) {
	for (int64_t p = 0; p < b->ld; p += 16) {
		VEC c[ROWS][VECTORS];
		NAME(sum)(c, rows, b->w + row * b->in, b->in, 1, b->zp + p * b->in, b->in);
		for (int r = 0; r < rows; r++)
			for (int v = 0; v < VECTORS; v++) {
				VEC y = c[r][v] + NAME(splat)(b->bias[row + r]);
				if (b->relu) y = (VEC)((IVEC)y & ~(y < 0)); // NaN stays NaN
				*(VEC *)(b->y + (row + r) * b->ld + p + v * LANES) = y;
			}
	}
}

// forward computes output features [lo, hi).
TARGET static void NAME(forward)(const head_block *b, int64_t lo, int64_t hi) {
	for (; lo + ROWS <= hi; lo += ROWS) NAME(forward_rows)(b, ROWS, lo);
	for (; lo < hi; lo++) NAME(forward_rows)(b, 1, lo);
}

// input_rows computes the gradient at z of rows features of a packed panel.
INLINE void NAME(input_rows)(const head_block *b, const int rows, const float *pack, float *dz) {
	for (int64_t p = 0; p < b->ld; p += 16) {
		VEC c[ROWS][VECTORS];
		NAME(sum)(c, rows, pack, 1, 16, b->dyp + p * b->out, b->out);
		for (int r = 0; r < rows; r++)
			for (int v = 0; v < VECTORS; v++) *(VEC *)(dz + r * b->ld + p + v * LANES) = c[r][v];
	}
}

// weight_rows adds the gradient of w[row..][j..j+16) to dw and applies it.
INLINE void NAME(weight_rows)(const head_block *b, const int rows, int64_t row, int64_t j) {
	for (int r = 0; r < rows; r++) { // these lines lie a row apart: ask for them early
		__builtin_prefetch(b->dw + (row + r) * b->in + j, 1);
		__builtin_prefetch(b->w + (row + r) * b->in + j, 1);
	}
	VEC c[ROWS][VECTORS];
	NAME(sum)(c, rows, b->dy + row * b->ld, b->ld, 1, b->zr + j * b->ld, b->ld);
	const int64_t width = b->in - j < 16 ? b->in - j : 16;
	for (int r = 0; r < rows; r++) {
		float *dw = b->dw + (row + r) * b->in + j, *w = b->w + (row + r) * b->in + j;
		if (width < 16) {
			for (int64_t f = 0; f < width; f++) {
				dw[f] = b->momentum * dw[f] + c[r][f / LANES][f % LANES];
				if (b->rate != 0) w[f] = b->shrink * w[f] - b->rate * dw[f];
			}
			continue;
		}
		for (int v = 0; v < VECTORS; v++) {
			VEC d = b->momentum * *(VEC *)(dw + v * LANES) + c[r][v];
			*(VEC *)(dw + v * LANES) = d;
			if (b->rate != 0) *(VEC *)(w + v * LANES) = b->shrink * *(VEC *)(w + v * LANES) - b->rate * d;
		}
	}
}

// normalize_backward turns dz of feature j into the gradient at x.
INLINE void NAME(normalize_backward)(const head_block *b, int64_t j, float *dz) {
	const int64_t ld = b->ld;
	const float *x = b->x + j * ld, nf = (float)b->n;
	uint64_t mask[MASK_WORDS];
	head_mask(mask, b, j, (ld + 63) / 64);
	VEC m = NAME(splat)(b->mean[j]), inv = NAME(splat)(b->inv_std[j]), s = {}, q = {};
	for (int64_t i = 0; i < ld; i += LANES) {
		VEC g = NAME(kept)(*(VEC *)(dz + i) * b->scale, mask, i);
		*(VEC *)(dz + i) = g;
		s += g;
		q += g * ((*(VEC *)(x + i) - m) * inv);
	}
	const float sum = NAME(total)(s), sumx = NAME(total)(q);
	b->dbeta[j] = b->momentum * b->dbeta[j] + sum;
	b->dgamma[j] = b->momentum * b->dgamma[j] + sumx;
	if (!b->dx) return;
	VEC ms = NAME(splat)(b->frozen ? 0 : sum / nf), mq = NAME(splat)(b->frozen ? 0 : sumx / nf);
	VEC g = NAME(splat)(b->gamma[j] * b->inv_std[j]), t = {};
	for (int64_t i = 0; i < ld; i += LANES) {
		VEC v = *(VEC *)(x + i), d = g * (*(VEC *)(dz + i) - ms - (v - m) * inv * mq);
		d = (VEC)((IVEC)d & (v > 0)); // ReLU; columns past n have x = 0
		t += d;
		*(VEC *)(b->dx + j * ld + i) = d;
		*(VEC *)(b->dxp + (i / 16 * b->in + j) * 16 + i % 16) = d;
	}
	b->dbias_before[j] = b->momentum * b->dbias_before[j] + NAME(total)(t);
}

// backward does all for input features [lo, hi), lo a multiple of 16, a panel
// of 16 at a time: gradient at z, BatchNorm's backward, weight gradient, update.
TARGET static void NAME(backward)(const head_block *b, int64_t lo, int64_t hi, float *pack) {
	float *dz = pack + b->out * 16;
	for (int64_t j = lo; j < hi; j += 16) {
		const int64_t width = hi - j < 16 ? hi - j : 16;
		for (int64_t k = 0; k < b->out; k++) {
			const float *w = b->w + k * b->in + j;
			__builtin_prefetch(w + 8 * b->in);
			if (width == 16)
				memcpy(pack + k * 16, w, 64);
			else
				for (int64_t f = 0; f < 16; f++) pack[k * 16 + f] = f < width ? w[f] : 0;
		}
		int64_t f = 0;
		for (; f + ROWS <= 16; f += ROWS) NAME(input_rows)(b, ROWS, pack + f, dz + f * b->ld);
		for (; f < 16; f += 16 % ROWS ? 16 % ROWS : 1) NAME(input_rows)(b, 16 % ROWS ? 16 % ROWS : 1, pack + f, dz + f * b->ld);
		for (f = 0; f < width; f++) NAME(normalize_backward)(b, j + f, dz + f * b->ld);
		int64_t row = 0;
		for (; row + ROWS <= b->out; row += ROWS) NAME(weight_rows)(b, ROWS, row, j);
		for (; row < b->out; row++) NAME(weight_rows)(b, 1, row, j);
	}
}

#undef VEC
#undef IVEC
#undef INLINE
#undef VECTORS
