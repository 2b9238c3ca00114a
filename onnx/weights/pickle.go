package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"finetune/internal/plural"
)

// The pickle format is a program for a stack machine. This machine knows the
// opcodes with which Python 2 and 3 write state dicts (protocols 2 to 5). A
// name it does not know cannot be called, because knows is asked first.
//
// Why not github.com/nlpodyssey/gopickle: it honours __builtin__.object and
// copy_reg._reconstructor whatever the caller allows, takes memory for a length
// before the bytes are there, and its reader of PyTorch's older format panics
// on storage views.

const opProto = 0x80

// Values are nil, bool, int64, float64, string, bigInt, global, tuple, *list,
// *dict and what the hooks return.
type (
	global string // "module.name"; nothing is ever imported
	bigInt string // little-endian two's complement of more than 8 bytes
	tuple  []any
	list   struct{ items []any }
	dict   struct{ keys, values []any }
)

type machine struct {
	data  []byte
	at    int
	stack []any
	marks []int
	memo  map[int64]any

	knows      func(g global) bool
	call       func(g global, args tuple) (any, error)
	persistent func(id any) (any, error)
}

var errShort = errors.New("the pickle ends early")

// load runs the program at m.at up to its STOP and returns its value. Each step
// consumes at least a byte and pushes at most one value, so memory and time are
// bounded by the input.
func (m *machine) load() (any, error) {
	m.stack, m.marks, m.memo = nil, nil, map[int64]any{}
	for {
		op, err := m.take(1)
		if err != nil {
			return nil, err
		}
		if op[0] == '.' {
			return m.pop()
		}
		run := opcodes[op[0]]
		if run == nil {
			return nil, fmt.Errorf("pickle opcode 0x%02x at byte %d does not belong in a state dict", op[0], m.at-1)
		}
		if err := run(m); err != nil {
			return nil, fmt.Errorf("pickle, byte %d: %w", m.at, err)
		}
	}
}

func (m *machine) take(n int64) ([]byte, error) {
	if n < 0 || n > int64(len(m.data)-m.at) {
		return nil, errShort
	}
	b := m.data[m.at : m.at+int(n)]
	m.at += int(n)
	return b, nil
}

// length reads an unsigned number of size bytes.
func (m *machine) length(size int64) (int64, error) {
	b, err := m.take(size)
	if err != nil {
		return 0, err
	}
	var full [8]byte
	copy(full[:], b)
	return int64(binary.LittleEndian.Uint64(full[:])), nil
}

func (m *machine) line() (string, error) {
	n := bytes.IndexByte(m.data[m.at:], '\n')
	if n < 0 {
		return "", errShort
	}
	b, err := m.take(int64(n) + 1)
	return string(b[:n]), err
}

func (m *machine) push(v any) error {
	m.stack = append(m.stack, v)
	return nil
}

func (m *machine) pop() (any, error) {
	floor := 0
	if len(m.marks) > 0 {
		floor = m.marks[len(m.marks)-1]
	}
	if len(m.stack) <= floor {
		return nil, errors.New("the stack is empty")
	}
	v := m.stack[len(m.stack)-1]
	m.stack = m.stack[:len(m.stack)-1]
	return v, nil
}

// popMark returns what was pushed since the last mark, as a copy.
func (m *machine) popMark() ([]any, error) {
	if len(m.marks) == 0 {
		return nil, errors.New("no mark is set")
	}
	mark := m.marks[len(m.marks)-1]
	m.marks = m.marks[:len(m.marks)-1]
	items := append([]any(nil), m.stack[mark:]...)
	m.stack = m.stack[:mark]
	return items, nil
}

func (m *machine) top() (any, error) {
	v, err := m.pop()
	if err == nil {
		err = m.push(v)
	}
	return v, err
}

var opcodes = [256]func(*machine) error{
	opProto: func(m *machine) error {
		v, err := m.length(1)
		if err == nil && (v < 2 || v > 5) {
			err = fmt.Errorf("protocol %d, 2 to 5 are read", v)
		}
		return err
	},
	0x95: func(m *machine) error { _, err := m.take(8); return err }, // FRAME: a hint
	'N':  func(m *machine) error { return m.push(nil) },
	0x88: func(m *machine) error { return m.push(true) },
	0x89: func(m *machine) error { return m.push(false) },
	'J': func(m *machine) error {
		v, err := m.length(4)
		return errors.Join(err, m.push(int64(int32(v))))
	},
	'K':  func(m *machine) error { v, err := m.length(1); return errors.Join(err, m.push(v)) },
	'M':  func(m *machine) error { v, err := m.length(2); return errors.Join(err, m.push(v)) },
	0x8a: long1,
	'G': func(m *machine) error {
		b, err := m.take(8)
		if err != nil {
			return err
		}
		return m.push(math.Float64frombits(binary.BigEndian.Uint64(b)))
	},

	'U': text(1), 'C': text(1), 0x8c: text(1), // SHORT_BINSTRING, SHORT_BINBYTES, SHORT_BINUNICODE
	'T': text(4), 'B': text(4), 'X': text(4), // BINSTRING, BINBYTES, BINUNICODE
	0x8d: text(8), 0x8e: text(8), // BINUNICODE8, BINBYTES8

	'(':  func(m *machine) error { m.marks = append(m.marks, len(m.stack)); return nil },
	')':  func(m *machine) error { return m.push(tuple(nil)) },
	0x85: fixedTuple(1), 0x86: fixedTuple(2), 0x87: fixedTuple(3),
	't': func(m *machine) error {
		items, err := m.popMark()
		return errors.Join(err, m.push(tuple(items)))
	},
	']': func(m *machine) error { return m.push(&list{}) },
	'}': func(m *machine) error { return m.push(&dict{}) },
	'a': func(m *machine) error {
		v, err := m.pop()
		return errors.Join(err, m.extend([]any{v}))
	},
	'e': func(m *machine) error {
		items, err := m.popMark()
		return errors.Join(err, m.extend(items))
	},
	's': func(m *machine) error {
		v, err1 := m.pop()
		k, err2 := m.pop()
		return errors.Join(err1, err2, m.setItems([]any{k, v}))
	},
	'u': func(m *machine) error {
		items, err := m.popMark()
		return errors.Join(err, m.setItems(items))
	},

	'q':  put(1),
	'r':  put(4),
	'h':  get(1),
	'j':  get(4),
	0x94: func(m *machine) error { return m.remember(int64(len(m.memo))) },

	'c':  globalLines,
	0x93: globalStack,
	'R':  reduce,
	'b':  build,
	'Q': func(m *machine) error {
		id, err := m.pop()
		if err != nil {
			return err
		}
		v, err := m.persistent(id)
		return errors.Join(err, m.push(v))
	},
}

func long1(m *machine) error {
	n, err := m.length(1)
	if err != nil {
		return err
	}
	b, err := m.take(n)
	if err != nil {
		return err
	}
	if n > 8 {
		return m.push(bigInt(b))
	}
	var v uint64
	for i, x := range b {
		v |= uint64(x) << (8 * i)
	}
	if n > 0 && n < 8 && b[n-1] >= 0x80 {
		v |= math.MaxUint64 << (8 * n)
	}
	return m.push(int64(v))
}

func text(size int64) func(*machine) error {
	return func(m *machine) error {
		n, err := m.length(size)
		if err != nil {
			return err
		}
		b, err := m.take(n)
		if err != nil {
			return err
		}
		return m.push(string(b))
	}
}

func fixedTuple(n int) func(*machine) error {
	return func(m *machine) error {
		items := make(tuple, n)
		for i := n - 1; i >= 0; i-- {
			v, err := m.pop()
			if err != nil {
				return err
			}
			items[i] = v
		}
		return m.push(items)
	}
}

func (m *machine) extend(items []any) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	l, ok := v.(*list)
	if !ok {
		return fmt.Errorf("append to a %T", v)
	}
	l.items = append(l.items, items...)
	return nil
}

func (m *machine) setItems(items []any) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	d, ok := v.(*dict)
	if !ok || len(items)%2 != 0 {
		return fmt.Errorf("%s for a %T", plural.Of(len(items), "key and value", "keys and values"), v)
	}
	for i := 0; i < len(items); i += 2 {
		d.keys, d.values = append(d.keys, items[i]), append(d.values, items[i+1])
	}
	return nil
}

func put(size int64) func(*machine) error {
	return func(m *machine) error {
		key, err := m.length(size)
		if err != nil {
			return err
		}
		return m.remember(key)
	}
}

func (m *machine) remember(key int64) error {
	v, err := m.top()
	if err != nil {
		return err
	}
	m.memo[key] = v
	return nil
}

func get(size int64) func(*machine) error {
	return func(m *machine) error {
		key, err := m.length(size)
		if err != nil {
			return err
		}
		v, ok := m.memo[key]
		if !ok {
			return fmt.Errorf("memo %d is empty", key)
		}
		return m.push(v)
	}
}

func globalLines(m *machine) error {
	module, err1 := m.line()
	name, err2 := m.line()
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	return m.pushGlobal(module, name)
}

func globalStack(m *machine) error {
	name, _ := m.pop() // of an empty stack nil, which is no name either
	module, _ := m.pop()
	n, ok1 := name.(string)
	s, ok2 := module.(string)
	if !ok1 || !ok2 {
		return errors.New("a global without a name")
	}
	return m.pushGlobal(s, n)
}

func (m *machine) pushGlobal(module, name string) error {
	g := global(module + "." + name)
	if !m.knows(g) {
		return fmt.Errorf("the file asks for %q, which does not build a tensor and is not run; "+
			"save plain weights with torch.save(model.state_dict(), FILE)", g)
	}
	return m.push(g)
}

func reduce(m *machine) error {
	args, _ := m.pop() // of an empty stack nil, which is no call either
	f, _ := m.pop()
	g, ok1 := f.(global)
	a, ok2 := args.(tuple)
	if !ok1 || !ok2 {
		return errors.New("a call of something that is no name")
	}
	v, err := m.call(g, a)
	if err != nil {
		return fmt.Errorf("%s: %w", g, err)
	}
	return m.push(v)
}

// build drops the attributes of an OrderedDict, such as the versions that
// PyTorch keeps in _metadata. Nothing else may have attributes.
func build(m *machine) error {
	if _, err := m.pop(); err != nil {
		return err
	}
	v, err := m.top()
	if _, ok := v.(*dict); err == nil && !ok {
		return fmt.Errorf("attributes for a %T", v)
	}
	return err
}
