package onnx

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	ort "github.com/yalue/onnxruntime_go"

	"finetune/internal/fetch"
	"finetune/onnx/graph"
)

// Options of a session. The zero value runs on every core of the CPU.
type Options struct {
	Threads int    // intra-op threads, 0 for one a core
	Device  string // one of Devices; empty is "cpu"
	Runs    int    // calls of Run at once that OpenVINO is prepared for, 0 for one; others need not know
	Spin    bool   // busy-wait between operators: a little faster alone, harmful beside other work
	Plain   bool   // no graph optimisation, for comparisons
	Profile string // file prefix for ORT's profile, empty for none
	// Resident leaves the outputs that Run allocates in the device's memory, from
	// where later runs take them: only sessions read them.
	Resident bool
	Finish   bool // Terminate does not end its runs, which write in place
	NoTF32   bool // on a GPU: float32 products with all 24 bits, not TF32's 11
	BFloat16 bool // on OpenVINO: compute in bfloat16; inputs and outputs stay float32
	OneDNN   bool // the model has operators of package onednn
}

// Session is a loaded model with named inputs and outputs.
// Run may be called by several goroutines at once, by one if Resident; Close must be last.
type Session struct {
	name     string
	s        *ort.DynamicAdvancedSession
	bound    *binding // Resident
	finish   bool
	on       func(func() error) error // the thread that runs it
	in, out  []port
	Provider string // "CPU", "CUDA" or "OpenVINO": what it runs on
}

// memory is what ORT calls the memory of each provider.
var memory = map[string]string{"CPU": "Cpu", "CUDA": "Cuda"}

// OpenFile loads the model at path. Owned by the caller: the Session, freed by
// Close (twice is fine). in and out name the inputs and outputs that Run takes,
// in its order. Start must have been called.
func OpenFile(path string, in, out []string, o Options) (*Session, error) {
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("onnx: %w", err)
	}
	read := func() (*graph.Model, error) { return graph.Read(path) }
	s, err := open(path, in, out, read, o, func(so *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
		return ort.NewDynamicAdvancedSession(path, in, out, so)
	})
	if err != nil {
		return nil, err
	}
	s.in, s.out, err = filePorts(path, in, out)
	return s.declared(err)
}

// OpenBytes is OpenFile for a serialised model; name stands for it in errors.
func OpenBytes(name string, model []byte, in, out []string, o Options) (*Session, error) {
	read := func() (*graph.Model, error) { return graph.Parse(model) }
	s, err := open(name, in, out, read, o, func(so *ort.SessionOptions) (*ort.DynamicAdvancedSession, error) {
		return ort.NewDynamicAdvancedSessionWithONNXData(model, in, out, so)
	})
	if err != nil {
		return nil, err
	}
	s.in, s.out, err = bytesPorts(model, in, out)
	return s.declared(err)
}

// declared is s, unless reading what the model declares ended in err.
func (s *Session) declared(err error) (*Session, error) {
	if err == nil {
		return s, nil
	}
	return nil, errors.Join(fmt.Errorf("onnx: %s: its inputs and outputs: %w", s.name, err), s.Close())
}

func open(name string, in, out []string, read func() (*graph.Model, error), o Options,
	create func(*ort.SessionOptions) (*ort.DynamicAdvancedSession, error)) (*Session, error) {
	if !ort.IsInitialized() {
		return nil, errors.New("onnx: Start was not called")
	}
	if err := withstands(name, environment.runtime.Version, read); err != nil {
		return nil, err
	}
	so, provider, err := sessionOptions(o)
	if err != nil {
		return nil, fmt.Errorf("onnx: %s: %w", name, err)
	}
	defer so.Destroy()
	var s *ort.DynamicAdvancedSession
	// which leaves the thread so, and those it makes
	err = flushed(func() (err error) { s, err = create(so); return err })
	if err != nil && provider == "CUDA" {
		err = whyNot(environment.runtime.Path, err)
	}
	if err != nil {
		return nil, cannotLoad(name, environment.runtime.Version, err)
	}
	opened := &Session{name: name, s: s, finish: o.Finish, Provider: provider, on: flushed}
	if o.OneDNN {
		opened.on = onOneThread
	}
	if o.Resident {
		if opened.bound, err = newBinding(s, memory[provider], in, out); err != nil {
			opened.Close()
			return nil, fmt.Errorf("onnx: %s: its memory cannot be bound: %w", name, err)
		}
	}
	return opened, nil
}

// sessionOptions translates o. The options are the caller's to destroy.
func sessionOptions(o Options) (so *ort.SessionOptions, provider string, err error) {
	so, err = ort.NewSessionOptions()
	if err != nil {
		return nil, "", err
	}
	defer func() {
		if err != nil {
			so.Destroy()
		}
	}()
	threads, spin, level := o.Threads, "0", ort.GraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll)
	if threads == 0 {
		threads = runtime.NumCPU()
	}
	if o.Spin {
		spin = "1"
	}
	if o.Plain {
		level = ort.GraphOptimizationLevelDisableAll
	}
	err = errors.Join(
		so.SetIntraOpNumThreads(threads),
		so.SetInterOpNumThreads(1),
		so.SetLogSeverityLevel(ort.LoggingLevelFatal), // every error comes back as one; ours names the file
		so.SetGraphOptimizationLevel(level),
		so.AddSessionConfigEntry("session.intra_op.allow_spinning", spin),
		so.AddSessionConfigEntry("session.set_denormal_as_zero", "1"),
	)
	if err == nil && o.Profile != "" {
		err = so.EnableProfiling(o.Profile)
	}
	if err == nil && o.OneDNN {
		err = withOneDNN(func() error { return registerOneDNN(so, threads) })
	}
	if err != nil {
		return so, "", err
	}
	provider, err = appendProvider(so, o, threads)
	return so, provider, err
}

// appendProvider adds the provider that o.Device asks for. "auto" may be the CPU;
// the others never are.
func appendProvider(so *ort.SessionOptions, o Options, threads int) (string, error) {
	device, _ := Chosen(o.Device)
	switch {
	case !slices.Contains(Devices, device):
		return "", fmt.Errorf("device %q is not known; use one of %s", o.Device, strings.Join(Devices, ", "))
	case device == "cuda":
		return appendCUDA(so, o)
	case device != "cpu":
		return appendOpenVINO(so, device, o, threads)
	}
	return "CPU", nil
}

func appendCUDA(so *ort.SessionOptions, o Options) (string, error) {
	restore := keepSignals()
	defer restore()
	if err := fetch.CheckBeside(environment.runtime.Path); err != nil {
		return "", err // not even "auto" passes over files that were changed
	}
	preload(filepath.Dir(environment.runtime.Path))
	cuda, err := ort.NewCUDAProviderOptions()
	if err == nil {
		defer cuda.Destroy()
		if o.NoTF32 {
			err = cuda.Update(map[string]string{"use_tf32": "0"})
		}
	}
	if err == nil {
		err = so.AppendExecutionProviderCUDA(cuda)
	}
	if err != nil {
		return "", fmt.Errorf("the CUDA provider cannot be used: %w; run `finetune doctor`, or use --device cpu",
			whyNot(environment.runtime.Path, err))
	}
	return "CUDA", nil
}

// Accelerated reports whether a session on this device will not compute on the processor.
func Accelerated(device string) bool {
	chosen, _ := Chosen(device)
	return chosen == "cuda"
}

func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	return s
}

// Run computes the outputs from the inputs, both in the order given to Open.
// Borrowed: all tensors, until Run returns. An out[i] that is nil is allocated
// by ORT and becomes the caller's to Close; others are written in place.
// A tensor of another shape than the model declares is an error, as is a session
// that is closed.
func (s *Session) Run(in, out []*Tensor) error {
	if s.s == nil {
		return fmt.Errorf("onnx: %s: run after Close", s.name)
	}
	if err := errors.Join(check("input", s.in, in), check("output", s.out, out)); err != nil {
		return fmt.Errorf("onnx: %s: %w", s.name, err)
	}
	if s.bound != nil {
		if err := s.on(func() error { return s.bound.run(in, out) }); err != nil {
			return fmt.Errorf("onnx: %s: %w", s.name, err)
		}
		return nil
	}
	inputs, outputs := make([]ort.Value, len(in)), make([]ort.Value, len(out))
	for i, t := range in {
		if t.resident != nil {
			return fmt.Errorf("onnx: %s: input %d lies in a device's memory and the session was not opened as Resident",
				s.name, i)
		}
		inputs[i] = t.value
	}
	for i, t := range out {
		if t != nil {
			outputs[i] = t.value
		}
	}
	run := func(o *ort.RunOptions) error {
		return s.on(func() error { return s.s.RunWithOptions(inputs, outputs, o) })
	}
	var err error
	if s.finish {
		err = run(nil)
	} else {
		err = interruptible(run)
	}
	if err != nil {
		return fmt.Errorf("onnx: %s: %w", s.name, err)
	}
	for i, t := range out {
		if t == nil {
			out[i] = &Tensor{value: outputs[i], shape: outputs[i].GetShape()}
		}
	}
	runtime.KeepAlive(in)
	runtime.KeepAlive(out)
	return nil
}

// Close frees the model. Twice is fine. One on OpenVINO keeps its memory until the
// process ends: freeing it there unmaps memory of others, which ended processes with
// segmentation faults anywhere (OpenVINO 2025.4 in ONNX Runtime 1.24.1).
func (s *Session) Close() error {
	if s == nil || s.s == nil {
		return nil
	}
	if s.Provider == openVINOName {
		s.s = nil
		return nil
	}
	if s.bound != nil {
		s.bound.close()
	}
	err := s.s.Destroy()
	s.s = nil
	return err
}

// Info is the name, element type and shape (-1 for symbolic) of a model's input or output.
type Info struct {
	Name  string
	Type  string
	Shape []int64
}

// Describe lists a serialised model's inputs and outputs as ORT sees them.
func Describe(model []byte) (in, out []Info, err error) {
	if err := withstands("model", environment.runtime.Version,
		func() (*graph.Model, error) { return graph.Parse(model) }); err != nil {
		return nil, nil, err
	}
	i, o, err := ort.GetInputOutputInfoWithONNXData(model)
	if err != nil {
		return nil, nil, fmt.Errorf("onnx: ONNX Runtime %s cannot load the model: %w", environment.runtime.Version, err)
	}
	return infos(i), infos(o), nil
}

func infos(list []ort.InputOutputInfo) []Info {
	out := make([]Info, len(list))
	for i, v := range list {
		out[i] = Info{Name: v.Name, Type: v.DataType.String(), Shape: v.Dimensions}
	}
	return out
}
