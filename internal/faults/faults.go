// Package faults lets tests see what is left when a write goes wrong: it makes
// a chosen step of package durable fail, or kills the process there.
package faults

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"

	"finetune/internal/durable"
)

// Kind is what goes wrong.
type Kind string

const (
	None  Kind = "none"  // the steps are only counted
	Error Kind = "error" // the step fails with EIO, later ones work
	Full  Kind = "full"  // the step and all that write after it fail with ENOSPC
	Kill  Kind = "kill"  // SIGKILL to this process ahead of the step
)

// Step is a step of durable and the file it was for.
type Step struct {
	durable.Step
	Path string
}

// Fault is in force from Inject to Restore.
type Fault struct {
	kind   Kind
	at     int
	before func(durable.Step, string) error

	mu    sync.Mutex
	steps []Step
}

// Inject makes step number at go wrong, counted from 0 over all files. Only one
// fault can be in force, and nothing may be written while it is set.
func Inject(kind Kind, at int) *Fault {
	f := &Fault{kind: kind, at: at, before: durable.Before}
	durable.Before = f.step
	return f
}

// Restore makes durable work again and returns the steps that were taken.
func (f *Fault) Restore() []Step {
	durable.Before = f.before
	return f.steps
}

func (f *Fault) step(s durable.Step, path string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := len(f.steps)
	f.steps = append(f.steps, Step{s, path})
	switch {
	case f.kind == Error && n == f.at:
		return &os.PathError{Op: string(s), Path: path, Err: syscall.EIO}
	case f.kind == Full && n >= f.at && (s == durable.Create || s == durable.Data || s == durable.Sync):
		return &os.PathError{Op: string(s), Path: path, Err: syscall.ENOSPC}
	case f.kind == Kill && n == f.at:
		if p, err := os.FindProcess(os.Getpid()); err == nil {
			_ = p.Kill() // SIGKILL, or what Windows has for it
		}
		select {}
	}
	return nil
}

const variable = "FINETUNE_FAULT"

// Env asks a process that calls FromEnv for a fault.
func Env(kind Kind, at int) string { return fmt.Sprintf("%s=%s:%d", variable, kind, at) }

// FromEnv injects the fault that Env named, if any. Test binaries call it; finetune does not.
func FromEnv() {
	kind, at, ok := strings.Cut(os.Getenv(variable), ":")
	if !ok {
		return
	}
	n := 0
	if _, err := fmt.Sscan(at, &n); err != nil {
		panic(variable + ": " + err.Error())
	}
	Inject(Kind(kind), n)
}
