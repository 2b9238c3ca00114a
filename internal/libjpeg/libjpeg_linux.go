//go:build linux && cgo

package libjpeg

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdlib.h>

// What libjpeg's interface fixes, of versions 6.2 to 8: the fields that a program
// reads and writes. What follows them is the library's own, whose length it tells.
struct errors {
	void (*error_exit)(void *);
	void (*emit_message)(void *, int);
	void (*output_message)(void *);
	void (*format_message)(void *, char *);
	void (*reset)(void *);
	int code;
	union { int i[8]; char s[80]; } parameters;
	char rest[128];
};

struct decompress {
	struct errors *errors;
	void *memory, *progress, *client;
	int is_decompressor, state;
	void *source;
	unsigned width, height;
	int components, colours, out_colours;
	unsigned scale, scale_by;
	double gamma;
	int buffered, raw, method, fancy_upsampling, block_smoothing, quantize;
	int dither, two_pass, wanted_colours, one_pass, external, second_pass;
	unsigned out_width, out_height;
	int out_colour_components, out_components, rows_at_once, actual_colours;
	void *colour_map;
	unsigned row;
};

enum { RGB = 2 };

// trap is where the library's errors and warnings end a decode. It begins with what
// the library is given, from which a callback finds it.
struct trap {
	struct errors errors;
	jmp_buf back;
};

static struct {
	struct errors *(*std_error)(struct errors *);
	void (*create)(struct decompress *, int, size_t);
	void (*mem_src)(struct decompress *, const unsigned char *, unsigned long);
	int (*read_header)(struct decompress *, int);
	int (*start)(struct decompress *);
	unsigned (*read)(struct decompress *, unsigned char **, unsigned);
	int (*finish)(struct decompress *);
	void (*destroy)(struct decompress *);
	int version;
	size_t size; // of the whole struct
} lib;

static void leave(void *info) {
	longjmp(((struct trap *)((struct decompress *)info)->errors)->back, 1);
}

static void warned(void *info, int level) {
	if (level < 0) leave(info);
}

static void silent(void *info) {}

static void arm(struct decompress *info, struct trap *trap) {
	info->errors = lib.std_error(&trap->errors);
	trap->errors.error_exit = leave;
	trap->errors.emit_message = warned;
	trap->errors.output_message = silent;
}

// asks is the number that the library expects in the place of a wrong version, or of
// a wrong size where the version is right: its error says so. 0 for none.
static int asks(int version) {
	void *room = calloc(1, 1 << 14);
	struct decompress *info = room;
	struct trap trap;
	int wanted = 0;
	if (!room) return 0;
	arm(info, &trap);
	if (_setjmp(trap.back) == 0)
		lib.create(info, version, 0);
	else
		wanted = trap.errors.parameters.i[0];
	free(room);
	return wanted;
}

// load is NULL, or what is wrong.
static const char *load(const char *path) {
	void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
	if (!library) return dlerror();
	if (!dlsym(library, "jpeg_skip_scanlines")) { // libjpeg-turbo has it, other libjpegs have not
		dlclose(library);
		return "not libjpeg-turbo";
	}
	*(void **)&lib.std_error = dlsym(library, "jpeg_std_error");
	*(void **)&lib.create = dlsym(library, "jpeg_CreateDecompress");
	*(void **)&lib.mem_src = dlsym(library, "jpeg_mem_src");
	*(void **)&lib.read_header = dlsym(library, "jpeg_read_header");
	*(void **)&lib.start = dlsym(library, "jpeg_start_decompress");
	*(void **)&lib.read = dlsym(library, "jpeg_read_scanlines");
	*(void **)&lib.finish = dlsym(library, "jpeg_finish_decompress");
	*(void **)&lib.destroy = dlsym(library, "jpeg_destroy_decompress");
	if (lib.std_error && lib.create && lib.mem_src && lib.read_header && lib.start && lib.read && lib.finish &&
	    lib.destroy) {
		lib.version = asks(0);
		lib.size = asks(lib.version);
		if (lib.version >= 62 && lib.version <= 80 && lib.size > sizeof(struct decompress) && lib.size < 1 << 13)
			return NULL;
	}
	dlclose(library);
	return "not a libjpeg-turbo that this program knows";
}

// decode is 1, or 0 for every error, every warning and a header that is not as declared.
static int decode(const unsigned char *data, unsigned long length, unsigned width, unsigned height, int eighths,
                  unsigned char *pixels, unsigned out_width, unsigned out_height) {
	struct decompress *info = calloc(1, lib.size);
	struct trap trap;
	volatile int done = 0;
	if (!info) return 0;
	arm(info, &trap);
	if (_setjmp(trap.back) == 0) {
		lib.create(info, lib.version, lib.size);
		lib.mem_src(info, data, length);
		lib.read_header(info, 1);
		if (info->width == width && info->height == height && info->components <= 3 && info->colours != RGB) {
			info->out_colours = RGB;
			info->scale = eighths;
			info->scale_by = 8;
			lib.start(info);
			if (info->out_width == out_width && info->out_height == out_height && info->out_components == 3) {
				while (info->row < out_height) {
					unsigned char *rows[16];
					unsigned n = out_height - info->row < 16 ? out_height - info->row : 16;
					for (unsigned i = 0; i < n; i++)
						rows[i] = pixels + 3 * (size_t)out_width * (info->row + i);
					lib.read(info, rows, n);
				}
				lib.finish(info);
				done = 1;
			}
		}
	}
	lib.destroy(info);
	free(info);
	return done;
}
*/
import "C"

import (
	"fmt"
	"unsafe"
)

// system are the names that Debian, Fedora and others give libjpeg-turbo, and Ubuntu.
var system = []string{"libjpeg.so.62", "libjpeg.so.8"}

func open(path string) error {
	name := C.CString(path)
	defer C.free(unsafe.Pointer(name))
	if says := C.load(name); says != nil {
		return fmt.Errorf("%s: %w: %s", path, ErrNone, C.GoString(says))
	}
	return nil
}

func decode(data []byte, size Size, eighths int, pix []uint8, got Size) bool {
	return C.decode((*C.uchar)(unsafe.SliceData(data)), C.ulong(len(data)), C.uint(size.Width), C.uint(size.Height),
		C.int(eighths), (*C.uchar)(unsafe.SliceData(pix)), C.uint(got.Width), C.uint(got.Height)) != 0
}
