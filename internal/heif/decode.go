package heif

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync"
	_ "unsafe" // for go:linkname

	_ "github.com/gen2brain/avif" // carries libavif
	_ "github.com/gen2brain/heic" // carries libheif and libde265
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// The modules have no way to bound memory or to end a decode, so their programs
// are run from here. The names are theirs; the versions are pinned in go.mod.
//
//go:linkname heifProgram github.com/gen2brain/heic.heifWasm
var heifProgram []byte

//go:linkname avifProgram github.com/gen2brain/avif.decodeWasm
var avifProgram []byte

// compiled keeps machine code of the programs from file to file.
var compiled = wazero.NewCompilationCache()

var heicCode = sync.OnceValues(func() ([]byte, error) { return unzip(heifProgram) })
var avifCode = sync.OnceValues(func() ([]byte, error) { return unzip(avifProgram) })

// Picture is a decoded picture, one of three forms.
type Picture struct {
	Width, Height int
	Y, Cb, Cr     []uint8 // planes; Cb and Cr are nil for grey
	Stride        int     // of Y
	ChromaStride  int
	H, V          int     // pixels to a sample of chroma
	RGBA          []uint8 // 4 bytes a pixel
	Wide          []uint8 // RGBA of 16 bits, little-endian
	Premultiplied bool
	RowBytes      int // of RGBA and Wide
}

// Memory estimates what Decode takes, in bytes: the program's own planes, the
// joined picture, the result and its copy.
func (c *Container) Memory() int64 {
	each := int64(24)
	if c.AVIF {
		each = 40 // 16 bits, RGBA
	}
	return 64<<20 + each*c.Coded
}

// Decode decodes the primary picture. HEIC comes turned, AVIF as it is stored.
func (c *Container) Decode(ctx context.Context) (*Picture, error) {
	pages := uint32(min(c.Memory()>>16+1, 65536))
	r := wazero.NewRuntimeWithConfig(ctx,
		wazero.NewRuntimeConfig().WithCompilationCache(compiled).WithMemoryLimitPages(pages))
	defer r.Close(context.WithoutCancel(ctx))
	m, err := c.load(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("heif: %w", err)
	}
	stop, ok := m.ExportedGlobal("stop").(api.MutableGlobal)
	if !ok {
		return nil, errors.New("heif: the program cannot be stopped")
	}
	defer context.AfterFunc(ctx, func() { stop.Set(1) })()
	p := &sandbox{ctx: ctx, m: m}
	out := c.run(p)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return out, p.err
}

// load compiles and starts the program for the file. The machine code stays
// compiled when the runtime is closed.
func (c *Container) load(ctx context.Context, r wazero.Runtime) (api.Module, error) {
	code, err := heicCode()
	if c.AVIF {
		code, err = avifCode()
	}
	if err != nil {
		return nil, err
	}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return nil, err
	}
	module, err := r.CompileModule(ctx, code)
	if err != nil {
		return nil, err
	}
	return r.InstantiateModule(ctx, module, wazero.NewModuleConfig().WithStartFunctions("_initialize"))
}

func unzip(b []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	program, err := io.ReadAll(z)
	if err != nil {
		return nil, err
	}
	return stoppable(program)
}

// sandbox is a running program. After the first error its methods do nothing.
type sandbox struct {
	ctx context.Context
	m   api.Module
	err error
}

const untouched = 0xa5

const damaged = Format("the picture cannot be decoded")

func (p *sandbox) call(name string, args ...uint64) uint32 {
	if p.err != nil {
		return 0
	}
	out, err := p.m.ExportedFunction(name).Call(p.ctx, args...)
	if err != nil || len(out) == 0 || uint32(out[0]) == 0 {
		p.err = damaged
		return 0
	}
	return uint32(out[0])
}

func (p *sandbox) write(data []byte) uint64 {
	at := p.call("malloc", uint64(len(data)))
	if p.err == nil && !p.m.Memory().Write(at, data) {
		p.err = damaged
	}
	return uint64(at)
}

func (p *sandbox) read(at, n uint64) []byte {
	if p.err != nil {
		return nil
	}
	b, ok := p.m.Memory().Read(uint32(at), uint32(n))
	if !ok {
		p.err = damaged
	}
	return bytes.Clone(b) // the memory goes with the program
}

func (p *sandbox) number(at uint64) int {
	b := p.read(at, 4)
	if len(b) < 4 {
		return 0
	}
	return int(binary.LittleEndian.Uint32(b))
}

func (c *Container) run(p *sandbox) *Picture {
	in := p.write(c.data)
	n := uint64(len(c.data))
	v := p.write(bytes.Repeat([]byte{untouched}, 64)) // where numbers are put
	if c.AVIF {
		return c.runAVIF(p, in, n, v)
	}
	return c.runHEIC(p, in, n, v)
}

// fits refuses sizes that the container did not declare, whichever way up.
func (c *Container) fits(p *sandbox, w, h int) bool {
	if p.err == nil && (w <= 0 || h <= 0 || int64(w)*int64(h) > int64(c.Width)*int64(c.Height)) {
		p.err = Format("the coded picture is larger than the file declares")
	}
	return p.err == nil
}

func (c *Container) runAVIF(p *sandbox, in, n, v uint64) *Picture {
	p.call("decode", in, n, 1, 0, v, v+4, v+8, v+12, 0, 0)
	o := &Picture{Width: p.number(v), Height: p.number(v + 4), Premultiplied: true}
	if !c.fits(p, o.Width, o.Height) {
		return nil
	}
	o.RowBytes = 4 * o.Width
	wide := p.number(v+8) > 8
	if wide {
		o.RowBytes *= 2
	}
	size := uint64(o.RowBytes) * uint64(o.Height)
	out := uint64(p.call("malloc", size))
	p.call("decode", in, n, 0, 0, v, v+4, v+8, v+12, v+16, out)
	if t := p.read(v+16, 8); bytes.Count(t, []byte{untouched}) == len(t) && p.err == nil {
		p.err = damaged // the program calls it a success; it writes the time of a picture that it decoded
	}
	if pix := p.read(out, size); wide {
		o.Wide = pix
	} else {
		o.RGBA = pix
	}
	return o
}

// The numbers of libheif.
const (
	spaceYCC, spaceRGB, spaceGrey = 0, 1, 2
	chroma420, chroma422          = 1, 2
)

func (c *Container) runHEIC(p *sandbox, in, n, v uint64) *Picture {
	p.call("decode", in, n, 1, v, v+4, v+8, v+12, v+16, 0)
	o := &Picture{Width: p.number(v), Height: p.number(v + 4), H: 1, V: 1}
	if !c.fits(p, o.Width, o.Height) {
		return nil
	}
	// Planes of libheif are 64 samples wide at least, an even number, and rows 16 bytes or a multiple.
	aligned := func(n, size int) int { return (max((n+1)&^1, 64)*size + 15) &^ 15 }
	space, chroma := p.number(v+8), p.number(v+12)
	o.Stride, o.RowBytes = aligned(o.Width, 1), aligned(o.Width, 4)
	luma := o.Stride * o.Height
	size, colour := luma, 0
	switch space {
	case spaceRGB:
		size = o.RowBytes * o.Height
	case spaceYCC:
		if o.H = 1; chroma == chroma420 || chroma == chroma422 {
			o.H = 2
		}
		if chroma == chroma420 {
			o.V = 2
		}
		o.ChromaStride = aligned((o.Width+o.H-1)/o.H, 1)
		colour = o.ChromaStride * ((o.Height + o.V - 1) / o.V)
		size += 2 * colour
	}
	out := uint64(p.call("malloc", uint64(size)))
	p.call("decode", in, n, 0, v, v+4, v+8, v+12, v+16, out)
	pix := p.read(out, uint64(size))
	if p.err != nil {
		return nil
	}
	if space == spaceRGB {
		o.RGBA, o.Premultiplied = pix, p.number(v+16) == 1
		return o
	}
	o.Y = pix[:luma]
	if colour > 0 {
		o.Cb, o.Cr = pix[luma:luma+colour], pix[luma+colour:]
	}
	return o
}
