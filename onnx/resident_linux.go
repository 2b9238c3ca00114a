package onnx

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

// What onnxruntime_go lacks of ONNX Runtime's C interface: outputs that stay
// where they were computed. The interface is a table of functions that only
// ever grows at its end (struct OrtApi), so a place in it is a fact like a name;
// TestResident and TestFloats call each of these.
enum {
	GET_ERROR_MESSAGE = 2,
	CREATE_MEMORY_INFO = 68,
	ALLOCATOR_ALLOC = 75,
	ALLOCATOR_FREE = 76,
	GET_DEFAULT_ALLOCATOR = 78,
	RELEASE_STATUS = 93,
	RELEASE_MEMORY_INFO = 94,
	RELEASE_VALUE = 96,
	CREATE_ALLOCATOR = 131,
	RELEASE_ALLOCATOR = 132,
	RUN_WITH_BINDING = 133,
	CREATE_BINDING = 134,
	RELEASE_BINDING = 135,
	BIND_INPUT = 136,
	BIND_OUTPUT = 137,
	BIND_OUTPUT_TO_DEVICE = 138,
	GET_BOUND_OUTPUTS = 140,
	CLEAR_INPUTS = 141,
	CLEAR_OUTPUTS = 142,
	SYNCHRONIZE_OUTPUTS = 203,
};

typedef void *(*fn)(); // a status, NULL where all went well; some return nothing

typedef struct {
	fn *api;
	void *session, *binding, *memory, *allocator;
} binding;

static fn *find_api(const char *library, uint32_t version) {
	void *loaded = dlopen(library, RTLD_NOW | RTLD_NOLOAD);
	if (!loaded) return NULL;
	const struct { fn *(*get)(uint32_t); } *(*base)(void) = dlsym(loaded, "OrtGetApiBase");
	fn *api = base ? base()->get(version) : NULL;
	dlclose(loaded);
	return api;
}

// explain returns the message of a status, which it frees, or NULL for none.
static char *explain(fn *api, void *status) {
	if (!status) return NULL;
	const char *(*text)(void *) = (const char *(*)(void *))api[GET_ERROR_MESSAGE];
	char *message = strdup(text(status));
	((void (*)(void *))api[RELEASE_STATUS])(status);
	return message;
}

static char *open_binding(binding *b, const char *device) {
	typedef void *(*memory_info)(const char *, int, int, int, void **);
	typedef void *(*default_allocator)(void **);
	typedef void *(*create)(void *, void **);
	// the device's allocator, its first device, default memory
	void *status = ((memory_info)b->api[CREATE_MEMORY_INFO])(device, 0, 0, 0, &b->memory);
	if (!status) status = ((default_allocator)b->api[GET_DEFAULT_ALLOCATOR])(&b->allocator);
	if (!status) status = ((create)b->api[CREATE_BINDING])(b->session, &b->binding);
	return explain(b->api, status);
}

static void release(fn *api, int what, void *p) {
	if (p) ((void (*)(void *))api[what])(p);
}

static void close_binding(binding *b) {
	release(b->api, RELEASE_BINDING, b->binding);
	release(b->api, RELEASE_MEMORY_INFO, b->memory);
}

static void release_value(fn *api, void *value) { release(api, RELEASE_VALUE, value); }

// take_outputs stores the outputs that the run allocated where out has NULL.
static void *take_outputs(binding *b, size_t n, void **out) {
	typedef void *(*bound_outputs)(void *, void *, void ***, size_t *);
	typedef void *(*allocator_free)(void *, void *);
	void **values = NULL;
	size_t count = 0;
	void *status = ((bound_outputs)b->api[GET_BOUND_OUTPUTS])(b->binding, b->allocator, &values, &count);
	if (status) return status;
	for (size_t i = 0; i < count; i++) { // in the order of binding; each is a handle of its own
		if (i < n && !out[i]) out[i] = values[i];
		else release_value(b->api, values[i]);
	}
	return values ? ((allocator_free)b->api[ALLOCATOR_FREE])(b->allocator, values) : NULL;
}

static char *run_binding(binding *b, size_t nin, char **in_names, void **in, size_t nout, char **out_names,
	void **out) {
	typedef void *(*bind)(void *, const char *, void *);
	typedef void *(*run)(void *, void *, void *);
	typedef void *(*one)(void *);
	void *status = NULL;
	for (size_t i = 0; i < nin && !status; i++)
		status = ((bind)b->api[BIND_INPUT])(b->binding, in_names[i], in[i]);
	for (size_t i = 0; i < nout && !status; i++)
		status = out[i] ? ((bind)b->api[BIND_OUTPUT])(b->binding, out_names[i], out[i])
		                : ((bind)b->api[BIND_OUTPUT_TO_DEVICE])(b->binding, out_names[i], b->memory);
	if (!status) status = ((run)b->api[RUN_WITH_BINDING])(b->session, NULL, b->binding);
	if (!status) status = ((one)b->api[SYNCHRONIZE_OUTPUTS])(b->binding);
	if (!status) status = take_outputs(b, nout, out);
	((void (*)(void *))b->api[CLEAR_INPUTS])(b->binding); // which else keep values alive
	((void (*)(void *))b->api[CLEAR_OUTPUTS])(b->binding);
	return explain(b->api, status);
}

// host_memory takes size bytes from the session's allocator of the given name.
static char *host_memory(fn *api, void *session, const char *name, int type, size_t size, void **allocator,
	void **data) {
	typedef void *(*memory_info)(const char *, int, int, int, void **);
	typedef void *(*create)(void *, void *, void **);
	typedef void *(*alloc)(void *, size_t, void **);
	void *info = NULL;
	void *status = ((memory_info)api[CREATE_MEMORY_INFO])(name, 0, 0, type, &info);
	if (!status) status = ((create)api[CREATE_ALLOCATOR])(session, info, allocator);
	release(api, RELEASE_MEMORY_INFO, info);
	if (!status) status = ((alloc)api[ALLOCATOR_ALLOC])(*allocator, size, data);
	return explain(api, status);
}

static void free_host(fn *api, void *allocator, void *data) {
	typedef void *(*allocator_free)(void *, void *);
	if (data) explain(api, ((allocator_free)api[ALLOCATOR_FREE])(allocator, data));
	release(api, RELEASE_ALLOCATOR, allocator);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"

	"finetune/internal/plural"
	"finetune/onnx/onednn"
)

// binding runs a session with tensors in its device's memory.
type binding struct {
	c       C.binding
	in, out []*C.char
}

// newBinding binds s, whose inputs and outputs have the given names, to the
// memory of device, as ONNX Runtime names it. Owned here: the names and the C
// handles, freed by close. Borrowed: the session.
func newBinding(s *ort.DynamicAdvancedSession, device string, in, out []string) (*binding, error) {
	path, name := C.CString(environment.runtime.Path), C.CString(device)
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(name))
	b := &binding{c: C.binding{api: C.find_api(path, APIVersion), session: field(s, "s", "ortSession")}}
	if b.c.api == nil {
		return nil, errors.New("the library has no OrtGetApiBase")
	}
	if err := failed(C.open_binding(&b.c, name)); err != nil {
		C.close_binding(&b.c)
		return nil, err
	}
	for _, n := range in {
		b.in = append(b.in, C.CString(n))
	}
	for _, n := range out {
		b.out = append(b.out, C.CString(n))
	}
	return b, nil
}

// run is Session.Run; outputs that are nil become resident tensors.
func (b *binding) run(in, out []*Tensor) error {
	if len(in) != len(b.in) || len(out) != len(b.out) {
		return fmt.Errorf("%s and %s given for %d and %d", plural.Count(len(in), "input"), plural.Count(len(out), "output"),
			len(b.in), len(b.out))
	}
	inputs, outputs := handles(in), handles(out)
	err := failed(C.run_binding(&b.c, C.size_t(len(in)), unsafe.SliceData(b.in), unsafe.SliceData(inputs),
		C.size_t(len(out)), unsafe.SliceData(b.out), unsafe.SliceData(outputs)))
	runtime.KeepAlive(in)
	runtime.KeepAlive(out)
	for i, t := range out {
		if t == nil && outputs[i] != nil {
			fresh := &Tensor{resident: outputs[i], release: b.release}
			if err != nil {
				fresh.Close()
			} else {
				out[i] = fresh
			}
		}
	}
	return err
}

func (b *binding) release(value unsafe.Pointer) { C.release_value(b.c.api, value) }

func (b *binding) close() {
	C.close_binding(&b.c)
	for _, n := range append(b.in, b.out...) {
		C.free(unsafe.Pointer(n))
	}
	*b = binding{c: C.binding{api: b.c.api}} // resident tensors may be closed later
}

// hostMemory is the allocator of memory that each provider's device copies from
// and to by itself, and ORT's number for its kind (OrtMemTypeDefault, OrtMemTypeCPUOutput).
var hostMemory = map[string]struct {
	name string
	kind C.int
}{"CPU": {"Cpu", 0}, "CUDA": {"CudaPinned", -1}}

// floats is Session.Floats.
func (s *Session) floats(n int) (*Host, error) {
	path, where := C.CString(environment.runtime.Path), hostMemory[s.Provider]
	name := C.CString(where.name)
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(name))
	api := C.find_api(path, APIVersion)
	if api == nil {
		return nil, errors.New("the library has no OrtGetApiBase")
	}
	var allocator, data unsafe.Pointer
	err := failed(C.host_memory(api, field(s.s, "s", "ortSession"), name, where.kind, C.size_t(4*n), &allocator, &data))
	if err != nil {
		C.free_host(api, allocator, data)
		return nil, err
	}
	h := &Host{Data: unsafe.Slice((*float32)(data), n), free: func() { C.free_host(api, allocator, data) }}
	clear(h.Data)
	return h, nil
}

// handles are ONNX Runtime's values of tensors, nil for nil.
func handles(list []*Tensor) []unsafe.Pointer {
	out := make([]unsafe.Pointer, len(list))
	for i, t := range list {
		switch {
		case t == nil:
		case t.resident != nil:
			out[i] = t.resident
		default:
			out[i] = field(t.value.GetInternals(), "ortValue")
		}
	}
	return out
}

// field reads a handle of ONNX Runtime that onnxruntime_go keeps to itself.
func field(v any, path ...string) unsafe.Pointer {
	r := reflect.ValueOf(v)
	for _, name := range path {
		r = reflect.Indirect(r).FieldByName(name)
	}
	return r.UnsafePointer()
}

func failed(message *C.char) error {
	if message == nil {
		return nil
	}
	defer C.free(unsafe.Pointer(message))
	return errors.New(C.GoString(message))
}

// table is ONNX Runtime's table of functions.
func table() (unsafe.Pointer, error) {
	path := C.CString(environment.runtime.Path)
	defer C.free(unsafe.Pointer(path))
	api := C.find_api(path, APIVersion)
	if api == nil {
		return nil, errors.New("the library has no OrtGetApiBase")
	}
	return unsafe.Pointer(api), nil
}

// registerOneDNN makes the operators of onednn known to a session that so will open.
func registerOneDNN(so *ort.SessionOptions, threads int) error {
	api, err := table()
	if err != nil {
		return err
	}
	status := onednn.Register(api, field(so, "o"), threads)
	return failed(C.explain((*C.fn)(api), status))
}
