package onnx

import (
	"context"
	"strings"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// running are the options of the runs that go on and may be ended.
var running struct {
	sync.Mutex
	options map[*ort.RunOptions]bool
}

// Terminate ends all runs that go on, but those of sessions opened with Finish: a
// network may loop without end, and nothing else stops it. Run then returns an
// error that is a context.Canceled. Runs begun later are not concerned.
func Terminate() {
	running.Lock()
	defer running.Unlock()
	for o := range running.options {
		o.Terminate()
		running.options[o] = true
	}
}

// terminated is a run that Terminate ended.
type terminated struct{ error }

// Is makes it a context.Canceled.
func (terminated) Is(target error) bool { return target == context.Canceled }

// interruptible calls run with options that Terminate knows.
func interruptible(run func(*ort.RunOptions) error) error {
	o, err := ort.NewRunOptions()
	if err != nil {
		return err
	}
	running.Lock()
	if running.options == nil {
		running.options = map[*ort.RunOptions]bool{}
	}
	running.options[o] = false
	running.Unlock()
	err = run(o)
	running.Lock()
	ended := running.options[o]
	delete(running.options, o)
	running.Unlock()
	o.Destroy()
	if err != nil && ended && strings.Contains(err.Error(), "terminate flag") {
		return terminated{err}
	}
	return err
}
