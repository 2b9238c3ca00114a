package heif

import (
	"bytes"
	"context"
	"errors"
	"os"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

var names = []string{"../../testdata/images/small.heic", "../../testdata/images/small.avif"}

func read(t testing.TB, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func TestDecode(t *testing.T) {
	for _, name := range names {
		c, err := Open(read(t, name))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.Width != 64 || c.Height < 48 || c.Coded < 64*48 { // HEVC has whole blocks, and a clean aperture
			t.Errorf("%s: %d × %d, %d coded", name, c.Width, c.Height, c.Coded)
		}
		p, err := c.Decode(t.Context())
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if p.Width != 64 || p.Height != 48 || len(p.Y)+len(p.RGBA) == 0 {
			t.Errorf("%s: %d × %d, %d samples", name, p.Width, p.Height, len(p.Y)+len(p.RGBA))
		}
	}
}

// A context that ends stops the program, in whichever function it is.
func TestEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range names {
		c, err := Open(read(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Decode(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestStoppable(t *testing.T) {
	code, err := heicCode()
	if err != nil {
		t.Fatal(err)
	}
	r := wazero.NewRuntime(t.Context())
	defer r.Close(t.Context())
	wasi_snapshot_preview1.MustInstantiate(t.Context(), r)
	m, err := r.InstantiateWithConfig(t.Context(), code, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.ExportedFunction("malloc").Call(t.Context(), 100); err != nil {
		t.Fatal(err)
	}
	m.ExportedGlobal("stop").(api.MutableGlobal).Set(1)
	if _, err := m.ExportedFunction("malloc").Call(t.Context(), 100); err == nil {
		t.Error("the program goes on")
	}
}

// The program cannot take more memory than the size of the picture allows.
func TestLyingSizes(t *testing.T) {
	for _, name := range names {
		data := read(t, name)
		at := bytes.Index(data, []byte("ispe"))
		small := bytes.Clone(data)
		copy(small[at+8:], []byte{0, 0, 0, 8, 0, 0, 0, 8})
		c, err := Open(small)
		if err != nil {
			t.Fatal(err)
		}
		if p, err := c.Decode(t.Context()); err == nil && p.Width*p.Height > 64 {
			t.Errorf("%s: 64 pixels declared, %d × %d given", name, p.Width, p.Height)
		}
	}
}

func TestCutFiles(t *testing.T) {
	for _, name := range names {
		data := read(t, name)
		for n := 1; n < len(data); n += 29 {
			if c, err := Open(data[:n]); err == nil {
				if _, err := c.Decode(t.Context()); err == nil {
					t.Errorf("%s cut to %d of %d bytes was read", name, n, len(data))
				}
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	for _, name := range names {
		f.Add(read(f, name))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Open(data)
		if err == nil && (c.Width == 0 || c.Height == 0 || c.Coded <= 0) {
			t.Fatalf("%d × %d, %d coded", c.Width, c.Height, c.Coded)
		}
	})
}

func FuzzStoppable(f *testing.F) {
	code, err := heicCode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(code[:2000])
	f.Fuzz(func(t *testing.T, data []byte) { _, _ = stoppable(data) })
}
