// The training step's arithmetic in C: see native.go.
#ifndef FINETUNE_HEAD_NATIVE_H
#define FINETUNE_HEAD_NATIVE_H

#include <stdint.h>

// A block of the head during one step. Columns are the rows of the batch: n of
// them, ld = n rounded up to 16, those past n zero in z and dy. A panel is 16
// columns of a matrix, stored together.
typedef struct {
	int64_t in, out, n, ld;
	float *x;                     // [in][ld] input, feature-major
	float *zp;                    // [ld/16][in][16] after BatchNorm and Dropout
	float *zr;                    // [in/16][ld][16] the same turned; null when not training
	float *y;                     // [out][ld] output
	float *w, *bias;              // [out][in], [out]
	float *gamma, *beta;          // [in]
	float *run_mean, *run_var;    // [in]
	float *mean, *inv_std;        // [in]
	float eps, bn_momentum;       // of BatchNorm
	int32_t frozen, relu;         // use running statistics; ReLU after the product
	uint64_t key;                 // of the mask's random stream
	int32_t keep;                 // probability of keeping a value, of 65536
	float scale;                  // of a kept value
	float *dy, *dyp;              // [out][ld] and [ld/16][out][16] gradient at y
	float *dx, *dxp;              // [in][ld] and [ld/16][in][16] gradient at x; null for the first block
	float *pack;                  // [workers][out*16 + 16*ld] scratch
	float *dgamma, *dbeta, *dw;   // gradients, added to momentum times what they hold
	float *dbias_before;          // bias gradient of the block before
	float momentum, rate, shrink; // w = shrink*w - rate*dw after dw where rate is not 0
} head_block;

void head_normalize(head_block b, int64_t lo, int64_t hi);
void head_forward(head_block b, int64_t lo, int64_t hi);
void head_backward(head_block b, int64_t lo, int64_t hi, int64_t worker);
int head_instructions(int most); // chooses the vectors, at most those of level most

#endif
