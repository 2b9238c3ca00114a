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

import (
	"runtime"
	"sync"
)

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

// oneDNNThread runs what it is given, one after the other, on one thread of the process.
var oneDNNThread = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// onOneThread is flushed on a thread that is always the same: each thread that calls oneDNN gets helpers of its own,
// which stay, and Go moves a goroutine from thread to thread.
func onOneThread(f func() error) (err error) {
	done := make(chan struct{})
	oneDNNThread() <- func() {
		defer close(done)
		err = flushed(f)
	}
	<-done
	return err
}
