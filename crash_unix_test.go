//go:build unix

package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
)

// A crash that nothing catches ends by a signal, not with Go's exit code 2, which
// says that a flag is wrong; and it leaves no core file.
func TestCrashesEndByASignal(t *testing.T) {
	if os.Getenv("FINETUNE_TEST_CRASH") != "" {
		go func() { panic("of a test") }()
		select {}
	}
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		t.Fatal(err)
	}
	before := limit
	limit.Cur = limit.Max // as where core files are wanted: the child inherits it
	if err := syscall.Setrlimit(syscall.RLIMIT_CORE, &limit); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Setrlimit(syscall.RLIMIT_CORE, &before) }()
	c := exec.Command(os.Args[0], "-test.run=^TestCrashesEndByASignal$")
	c.Env, c.Dir = append(os.Environ(), "FINETUNE_TEST_CRASH=1"), t.TempDir()
	out, err := c.CombinedOutput()
	exit, ok := err.(*exec.ExitError)
	if !ok || !strings.Contains(string(out), "panic: of a test") {
		t.Fatalf("%v: %s", err, out)
	}
	status, ok := exit.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGABRT || status.CoreDump() {
		t.Errorf("ended with %v", exit)
	}
	if left, err := os.ReadDir(c.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
