package heif

import "encoding/binary"

// stoppable returns a program of WebAssembly with one more global, stop, and a
// look at it at the start of every function, which traps when it is not zero.
// wazero's own way to end a program with a context looks in every loop, which
// makes these decoders four times as slow; decoders call functions all the time.
func stoppable(program []byte) ([]byte, error) {
	if len(program) < 8 || string(program[:4]) != "\x00asm" {
		return nil, Format("no program of WebAssembly")
	}
	out := append(make([]byte, 0, len(program)+len(program)/16), program[:8]...)
	global := uint64(0)
	for in := (&wasm{b: program[8:]}); len(in.b) > 0 && !in.bad; {
		id := in.byte()
		body := &wasm{b: in.bytes(in.number())}
		rest := body.b
		switch id {
		case 2: // imports
			for n := body.number(); n > 0; n-- {
				body.bytes(body.number())
				body.bytes(body.number())
				if body.byte() != 0 { // a memory, table or global would shift what follows
					return nil, Format("a program that imports more than functions")
				}
				body.number()
			}
		case 6: // globals: i32, mutable, 0
			global = body.number()
			rest = append(append(binary.AppendUvarint(nil, global+1), body.b...), 0x7f, 1, 0x41, 0, 0x0b)
		case 7: // exports
			n := body.number()
			rest = append(binary.AppendUvarint(nil, n+1), body.b...)
			rest = binary.AppendUvarint(append(rest, 4, 's', 't', 'o', 'p', 3), global)
		case 10: // code
			rest = body.functions(global)
		}
		in.bad = in.bad || body.bad
		out = append(binary.AppendUvarint(append(out, id), uint64(len(rest))), rest...)
		if in.bad {
			return nil, Format("a program of WebAssembly that is cut")
		}
	}
	return out, nil
}

// functions rewrites the bodies of the code section.
func (w *wasm) functions(global uint64) []byte {
	n := w.number()
	out := binary.AppendUvarint(nil, n)
	look := append(binary.AppendUvarint([]byte{0x23}, global), 0x04, 0x40, 0x00, 0x0b) // global.get; if; unreachable; end
	for ; n > 0 && !w.bad; n-- {
		f := &wasm{b: w.bytes(w.number())}
		whole := f.b
		for groups := f.number(); groups > 0 && !f.bad; groups-- { // of local variables
			f.number()
			f.byte()
		}
		w.bad = w.bad || f.bad
		locals := whole[:len(whole)-len(f.b)]
		out = binary.AppendUvarint(out, uint64(len(whole)+len(look)))
		out = append(append(append(out, locals...), look...), f.b...)
	}
	return out
}

// wasm reads the binary form; past the end everything is 0 and bad is set.
type wasm struct {
	b   []byte
	bad bool
}

func (w *wasm) byte() byte {
	if b := w.bytes(1); len(b) == 1 {
		return b[0]
	}
	return 0
}

func (w *wasm) bytes(n uint64) []byte {
	if n > uint64(len(w.b)) {
		w.b, w.bad = nil, true
		return nil
	}
	b := w.b[:n:n]
	w.b = w.b[n:]
	return b
}

func (w *wasm) number() uint64 {
	v, n := binary.Uvarint(w.b)
	if n <= 0 {
		w.b, w.bad = nil, true
		return 0
	}
	w.b = w.b[n:]
	return v
}
