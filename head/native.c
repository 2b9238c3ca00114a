#include "native.h"

#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

// MASK_WORDS limits a training batch to 64*MASK_WORDS rows (native.go checks).
#define MASK_WORDS 64

static inline uint64_t mix(uint64_t z) {
	z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
	z = (z ^ z >> 27) * 0x94D049BB133111EBu;
	return z ^ z >> 31;
}

// head_mask draws the words of feature j: the twin of Dropout.mask in Go.
static inline void head_mask(uint64_t *mask, const head_block *b, int64_t j, int64_t words) {
	int low = 0;
	while (low < 16 && !(b->keep >> low & 1)) low++;
	for (int64_t i = 0; i < words; i++) {
		uint64_t r = b->keep == 65536 ? ~(uint64_t)0 : 0, draw = (uint64_t)(j * words + i) * (16 - low);
		for (int k = low; k < 16; k++) {
			uint64_t u = mix(b->key + ++draw * 0x9E3779B97F4A7C15u);
			r = b->keep >> k & 1 ? r | u : r & u;
		}
		if (b->n < (i + 1) * 64) r &= b->n <= i * 64 ? 0 : ~(uint64_t)0 >> ((i + 1) * 64 - b->n);
		mask[i] = r;
	}
}

#if defined(__x86_64__)
#define NAME(f) f##_avx512
#define TARGET __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,fma")))
#define LANES 16
#define ROWS 8
#include "native_kernels.h"
#undef NAME
#undef TARGET
#undef LANES
#undef ROWS

#define NAME(f) f##_avx2
#define TARGET __attribute__((target("avx2,fma")))
#define LANES 8
#define ROWS 6
#include "native_kernels.h"
#undef NAME
#undef TARGET
#undef LANES
#undef ROWS
#endif

#define NAME(f) f##_plain
#define TARGET
#define LANES 4
#if defined(__aarch64__)
#define ROWS 6
#else
#define ROWS 3
#endif
#include "native_kernels.h"

// head_level is 2 for AVX-512, 1 for AVX2, 0 for 128-bit vectors.
static int head_level;

int head_instructions(int most) {
	head_level = 0;
#if defined(__x86_64__)
	__builtin_cpu_init();
	if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) head_level = 1;
	if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")) head_level = 2;
#endif
	if (head_level > most) head_level = most;
	return head_level;
}

// Denormals are flushed to zero while C runs: momentum that fades away would
// otherwise slow every step down.
#if defined(__x86_64__)
#define BEGIN unsigned csr = _mm_getcsr(); _mm_setcsr(csr | 0x8040)
#define END _mm_setcsr(csr)
#define CALL(f, ...) (head_level == 2 ? f##_avx512(__VA_ARGS__) : head_level == 1 ? f##_avx2(__VA_ARGS__) : f##_plain(__VA_ARGS__))
#else
#define BEGIN
#define END
#define CALL(f, ...) f##_plain(__VA_ARGS__)
#endif

void head_normalize(head_block b, int64_t lo, int64_t hi) {
	BEGIN;
	CALL(normalize, &b, lo, hi);
	END;
}

void head_forward(head_block b, int64_t lo, int64_t hi) {
	BEGIN;
	CALL(forward, &b, lo, hi);
	END;
}

void head_backward(head_block b, int64_t lo, int64_t hi, int64_t worker) {
	BEGIN;
	CALL(backward, &b, lo, hi, b.pack + worker * (b.out * 16 + 16 * b.ld));
	END;
}
