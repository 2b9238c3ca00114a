package onnx

/*
#if defined(__x86_64__)
#include <xmmintrin.h>
enum { ZERO = 0x8040 }; // flush to zero, denormals are zero
static unsigned long get(void) { return _mm_getcsr(); }
static void set(unsigned long v) { _mm_setcsr((unsigned)v); }
#elif defined(__aarch64__)
enum { ZERO = 1 << 24 };
static unsigned long get(void) { unsigned long v; __asm__ volatile("mrs %0, fpcr" : "=r"(v)); return v; }
static void set(unsigned long v) { __asm__ volatile("msr fpcr, %0" : : "r"(v)); }
#else
enum { ZERO = 0 };
static unsigned long get(void) { return 0; }
static void set(unsigned long v) { (void)v; }
#endif

static unsigned long denormals_are_zero(void) { unsigned long before = get(); set(before | ZERO); return before; }
static void restore_denormals(unsigned long v) { set(v); }
*/
import "C"

import "runtime"

// flushed calls f on a thread that takes denormals for zero. ONNX Runtime's own
// threads do (session.set_denormal_as_zero), but the thread that calls it works
// beside them, and which of the process's threads that is, is chance: the same
// run would end in other bytes where a number is that small.
func flushed(f func() error) error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := C.denormals_are_zero()
	defer C.restore_denormals(before)
	return f()
}
