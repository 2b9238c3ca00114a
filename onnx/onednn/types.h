// rows.h for both types of activations, in one WIDTH of vectors.
#define FUNCTION(f) NAME(f, float, WIDTH)
#define T float
#define LOAD(v) (v)
#define STORE(v) (v)
#include "rows.h"
#define FUNCTION(f) NAME(f, bfloat16, WIDTH)
#define T uint16_t
#define LOAD wide
#define STORE narrow
#include "rows.h"
#undef WIDTH
#undef TARGET
