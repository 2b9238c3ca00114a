// Loops over rows of channels, compiled for each T and each width of vectors: FUNCTION(name) is the name for one of
// them, TARGET its instructions, T, LOAD and STORE its numbers; types.h sets them. They are plain loops that compilers
// turn into vectors.

// sums adds x-shift, and its square, of each channel.
TARGET static void FUNCTION(sums)(const T *restrict x, int64_t rows, int64_t c, const float *restrict shift,
	float *restrict s1, float *restrict s2) {
	for (int64_t r = 0; r < rows; r++, x += c)
		for (int64_t j = 0; j < c; j++) {
			float d = LOAD(x[j]) - shift[j];
			s1[j] += d;
			s2[j] += d * d;
		}
}

// scale is y = limited(a*x + b + sum).
TARGET static void FUNCTION(scale)(const T *restrict x, const T *restrict sum, int64_t rows, int64_t c,
	const float *restrict a, const float *restrict b, float low, float high, T *restrict y) {
	for (int64_t r = 0; r < rows; r++, x += c, y += c) {
		if (sum) {
			for (int64_t j = 0; j < c; j++) {
				float v = a[j] * LOAD(x[j]) + b[j] + LOAD(sum[j]);
				v = v < low ? low : v;
				y[j] = STORE(v > high ? high : v);
			}
			sum += c;
			continue;
		}
		for (int64_t j = 0; j < c; j++) {
			float v = a[j] * LOAD(x[j]) + b[j];
			v = v < low ? low : v;
			y[j] = STORE(v > high ? high : v);
		}
	}
}

// mask is g = (dy+dy2) where y lies between the limits, 0 elsewhere; dy2 and y may be absent.
TARGET static void FUNCTION(mask)(const T *restrict dy, const T *restrict dy2, const T *restrict y, int64_t n,
	float low, float high, T *restrict g) {
	if (dy2 && y)
		for (int64_t i = 0; i < n; i++) {
			float v = LOAD(y[i]), d = LOAD(dy[i]) + LOAD(dy2[i]);
			g[i] = STORE(v > low && v < high ? d : 0);
		}
	else if (y)
		for (int64_t i = 0; i < n; i++) {
			float v = LOAD(y[i]), d = LOAD(dy[i]);
			g[i] = STORE(v > low && v < high ? d : 0);
		}
	else if (dy2)
		for (int64_t i = 0; i < n; i++) g[i] = STORE(LOAD(dy[i]) + LOAD(dy2[i]));
	else
		memcpy(g, dy, n * sizeof *g);
}

// grad_sums adds g, and g*(x-mean), of each channel.
TARGET static void FUNCTION(grad_sums)(const T *restrict g, const T *restrict x, int64_t rows, int64_t c,
	const float *restrict mean, float *restrict s1, float *restrict s2) {
	for (int64_t r = 0; r < rows; r++, g += c, x += c)
		for (int64_t j = 0; j < c; j++) {
			float d = LOAD(g[j]);
			s1[j] += d;
			s2[j] += d * (LOAD(x[j]) - mean[j]);
		}
}

// grad_rows is dx = a*g + k*x + b, in place where g is NULL.
TARGET static void FUNCTION(grad_rows)(const T *restrict g, const T *restrict x, int64_t rows, int64_t c,
	const float *restrict a, const float *restrict k, const float *restrict b, T *restrict dx) {
	for (int64_t r = 0; r < rows; r++, x += c, dx += c) {
		if (!g) {
			for (int64_t j = 0; j < c; j++) dx[j] = STORE(a[j] * LOAD(dx[j]) + k[j] * LOAD(x[j]) + b[j]);
			continue;
		}
		for (int64_t j = 0; j < c; j++) dx[j] = STORE(a[j] * LOAD(g[j]) + k[j] * LOAD(x[j]) + b[j]);
		g += c;
	}
}

// channels adds x of each channel.
TARGET static void FUNCTION(channels)(const T *restrict x, int64_t rows, int64_t c, float *restrict s) {
	for (int64_t r = 0; r < rows; r++, x += c)
		for (int64_t j = 0; j < c; j++) s[j] += LOAD(x[j]);
}

TARGET static void FUNCTION(clip)(const T *restrict x, int64_t n, float low, float high, T *restrict y) {
	for (int64_t i = 0; i < n; i++) {
		float v = LOAD(x[i]);
		v = v < low ? low : v;
		y[i] = STORE(v > high ? high : v);
	}
}

TARGET static void FUNCTION(narrow)(const float *restrict x, int64_t n, T *restrict y) {
	for (int64_t i = 0; i < n; i++) y[i] = STORE(x[i]);
}

TARGET static void FUNCTION(widen)(const T *restrict x, int64_t n, float *restrict y) {
	for (int64_t i = 0; i < n; i++) y[i] = LOAD(x[i]);
}

// enter takes pixels [from, to) of an image [c, pixels] to [pixels, c].
TARGET static void FUNCTION(enter)(const float *restrict x, int64_t c, int64_t pixels, int64_t from, int64_t to,
	T *restrict y) {
	enum { TILE = 16 };
	for (int64_t p0 = from; p0 < to; p0 += TILE) {
		int64_t p1 = p0 + TILE < to ? p0 + TILE : to;
		for (int64_t j0 = 0; j0 < c; j0 += TILE) {
			int64_t j1 = j0 + TILE < c ? j0 + TILE : c;
			for (int64_t p = p0; p < p1; p++)
				for (int64_t j = j0; j < j1; j++) y[p * c + j] = STORE(x[j * pixels + p]);
		}
	}
}

TARGET static void FUNCTION(leave)(const T *restrict x, int64_t c, int64_t pixels, int64_t from, int64_t to,
	float *restrict y) {
	enum { TILE = 16 };
	for (int64_t p0 = from; p0 < to; p0 += TILE) {
		int64_t p1 = p0 + TILE < to ? p0 + TILE : to;
		for (int64_t j0 = 0; j0 < c; j0 += TILE) {
			int64_t j1 = j0 + TILE < c ? j0 + TILE : c;
			for (int64_t j = j0; j < j1; j++)
				for (int64_t p = p0; p < p1; p++) y[j * pixels + p] = LOAD(x[p * c + j]);
		}
	}
}

// best keeps, of each channel, the larger of what it has and x, and the place of that.
TARGET static void FUNCTION(best)(const T *restrict x, int64_t c, int place, T *restrict y, uint8_t *restrict at) {
	for (int64_t j = 0; j < c; j++) {
		float v = LOAD(x[j]), have = LOAD(y[j]);
		int more = v > have || v != v; // not a number wins, as in PyTorch
		y[j] = more ? x[j] : y[j];
		at[j] = more ? (uint8_t)place : at[j];
	}
}

// scatter adds to dx, of each channel, the dy whose window took this place.
TARGET static void FUNCTION(scatter)(const T *restrict dy, const uint8_t *restrict at, int64_t c, int place,
	float *restrict dx) {
	for (int64_t j = 0; j < c; j++) dx[j] += at[j] == place ? LOAD(dy[j]) : 0;
}

// Depthwise convolutions have a filter [taps, c] here. LANES channels at a time stay in registers.

// depth_input is a pixel of dx: the sum over n taps of dy at the places from, times the filter's rows taken.
TARGET static void FUNCTION(depth_input)(const T *const *from, const float *const *taken, int n, int64_t c,
	T *restrict dx) {
	int64_t j = 0;
	for (; j + LANES <= c; j += LANES) {
		float sum[LANES] = {0};
		for (int k = 0; k < n; k++) {
			const T *restrict dy = from[k] + j;
			const float *restrict f = taken[k] + j;
			for (int l = 0; l < LANES; l++) sum[l] += LOAD(dy[l]) * f[l];
		}
		for (int l = 0; l < LANES; l++) dx[j + l] = STORE(sum[l]);
	}
	for (; j < c; j++) {
		float sum = 0;
		for (int k = 0; k < n; k++) sum += LOAD(from[k][j]) * taken[k][j];
		dx[j] = STORE(sum);
	}
}

// depth_filter adds to a tap the products of n pixels of dy, which follow each other, with pixels of x, which lie step
// channels apart.
TARGET static void FUNCTION(depth_filter)(const T *restrict x, int64_t step, const T *restrict dy, int64_t n, int64_t c,
	float *restrict tap) {
	int64_t j = 0;
	for (; j + LANES <= c; j += LANES) {
		float sum[LANES];
		for (int l = 0; l < LANES; l++) sum[l] = tap[j + l];
		for (int64_t i = 0; i < n; i++)
			for (int l = 0; l < LANES; l++) sum[l] += LOAD(x[i * step + j + l]) * LOAD(dy[i * c + j + l]);
		for (int l = 0; l < LANES; l++) tap[j + l] = sum[l];
	}
	for (; j < c; j++)
		for (int64_t i = 0; i < n; i++) tap[j] += LOAD(x[i * step + j]) * LOAD(dy[i * c + j]);
}

static const rows_of_T FUNCTION(all) = {
	(void *)FUNCTION(sums), (void *)FUNCTION(scale), (void *)FUNCTION(mask), (void *)FUNCTION(grad_sums),
	(void *)FUNCTION(grad_rows), (void *)FUNCTION(channels), (void *)FUNCTION(clip), (void *)FUNCTION(narrow),
	(void *)FUNCTION(widen), (void *)FUNCTION(enter), (void *)FUNCTION(leave), (void *)FUNCTION(best),
	(void *)FUNCTION(scatter), (void *)FUNCTION(depth_input), (void *)FUNCTION(depth_filter),
};
#undef FUNCTION
#undef T
#undef LOAD
#undef STORE
