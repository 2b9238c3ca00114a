//go:build unix

package onnx

/*
#include <signal.h>

#define SIGNALS 32
static struct sigaction saved[SIGNALS];

static void save_signals(void) {
	for (int i = 1; i < SIGNALS; i++) sigaction(i, 0, &saved[i]);
}
static void restore_signals(void) {
	for (int i = 1; i < SIGNALS; i++) {
		struct sigaction now;
		if (sigaction(i, 0, &now) == 0 && now.sa_sigaction != saved[i].sa_sigaction) sigaction(i, &saved[i], 0);
	}
}
*/
import "C"

// keepSignals remembers Go's signal handlers and returns a function that puts
// them back: loading the CUDA provider is known to replace them, after which
// Ctrl-C would no longer reach Go.
func keepSignals() (restore func()) {
	C.save_signals()
	return func() { C.restore_signals() }
}
