package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"finetune/internal/plural"
)

// legacyMagic is the number 0x1950a86a20f9469cfc6c, little-endian.
const legacyMagic = bigInt("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19")

// parseLegacy reads what torch.save wrote before PyTorch 1.6: five pickles
// (magic number, protocol, machine, state dict, storage keys), then for each key
// the number of elements in 8 bytes and the elements.
func parseLegacy(r io.ReaderAt, size int64) ([]Tensor, error) {
	head := make([]byte, min(size, maxHeader))
	if _, err := r.ReadAt(head, 0); err != nil && err != io.EOF {
		return nil, err
	}
	m := newMachine(head)
	seen := map[string]storage{}
	m.persistent = func(id any) (any, error) { return remember(seen, id) }
	var values [5]any
	for i := range values {
		v, err := m.load()
		if err != nil {
			return nil, err
		}
		values[i] = v
		if i == 0 && v != legacyMagic {
			return nil, errors.New("a pickle, but not one written by torch.save")
		}
	}
	if values[1] != int64(1001) {
		return nil, fmt.Errorf("PyTorch file protocol %v, 1001 is read", values[1])
	}
	s := &legacyStorages{r: r, size: size, at: map[string]int64{}, bytes: binary.LittleEndian}
	if sys, ok := values[2].(*dict); ok {
		if little, ok := sys.get("little_endian").(bool); ok && !little {
			s.bytes = binary.BigEndian
		}
	}
	views, err := findState(values[3], 0)
	if err != nil {
		return nil, err
	}
	if err := s.locate(values[4], seen, int64(m.at)); err != nil {
		return nil, err
	}
	return readViews(views, s)
}

type legacyStorages struct {
	r     io.ReaderAt
	size  int64
	at    map[string]int64 // storage key -> where its elements start
	bytes binary.ByteOrder
}

func (s *legacyStorages) order() binary.ByteOrder { return s.bytes }

// remember resolves a storage and keeps its element type, which is not stored
// with its elements.
func remember(seen map[string]storage, id any) (any, error) {
	s, err := storageOf(id)
	if err != nil {
		return nil, err
	}
	if old, ok := seen[s.key]; ok && (old.numel != s.numel || old.dtype.name != s.dtype.name) {
		return nil, fmt.Errorf("storage %q has two types or sizes", s.key)
	}
	seen[s.key] = s
	return s, nil
}

// locate walks the storages that follow the pickles from byte at.
func (s *legacyStorages) locate(keys any, seen map[string]storage, at int64) error {
	l, ok := keys.(*list)
	if !ok {
		return fmt.Errorf("the list of storages is a %T", keys)
	}
	for _, k := range l.items {
		key, _ := k.(string)
		st, ok := seen[key]
		if !ok {
			return fmt.Errorf("storage %q belongs to no tensor", key)
		}
		var b [8]byte
		if at > s.size-8 {
			return fmt.Errorf("cut short before storage %q", key)
		}
		if _, err := s.r.ReadAt(b[:], at); err != nil && err != io.EOF {
			return err
		}
		if n := s.bytes.Uint64(b[:]); n != uint64(st.numel) {
			return fmt.Errorf("storage %q has %s, its tensors say %d", key, plural.Count(n, "element"), st.numel)
		}
		s.at[key] = at + 8
		if at += 8 + st.numel*st.dtype.size; at > s.size {
			return fmt.Errorf("cut short in storage %q: %s of %d", key, plural.Count(s.size, "byte"), at)
		}
	}
	return nil
}

func (s *legacyStorages) read(st storage) ([]byte, error) {
	at, ok := s.at[st.key]
	if !ok {
		return nil, fmt.Errorf("no storage %q in the file", st.key)
	}
	b := make([]byte, st.numel*st.dtype.size) // locate has seen that the file holds them
	if _, err := s.r.ReadAt(b, at); err != nil && err != io.EOF {
		return nil, err
	}
	return b, nil
}
