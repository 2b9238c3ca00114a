package tarshard

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"finetune/internal/failure"
)

// block is the size of a tar's header, which lies right before a member's bytes.
const block = 512

// check returns an error unless a member's header lies before its bytes: the shard may be
// another one than that whose index was made. Of names that do not fit into a header, it
// compares the size alone.
func (m Member) check(r io.ReaderAt) error {
	head := make([]byte, block)
	if m.Offset < block {
		return m.gone()
	}
	if n, err := r.ReadAt(head, m.Offset-block); n < block {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return m.gone()
		}
		return err
	}
	sum := 8 * int(' ') // its own field counts as blanks
	for i, c := range head {
		if i < 148 || i >= 156 {
			sum += int(c)
		}
	}
	if said, err := octal(head[148:156]); err != nil || said != int64(sum) {
		return m.gone()
	}
	if size, err := octal(head[124:136]); err == nil && size != m.Size && size != 0 { // 0: a longer header has it
		return m.gone()
	}
	name := field(head[:100])
	if prefix := field(head[345:500]); prefix != "" && string(head[257:263]) == "ustar\x00" {
		name = prefix + "/" + name
	}
	plain := !strings.ContainsFunc(m.Name, func(r rune) bool { return r >= 0x80 })
	if plain && len(m.Name) < 100 && name != m.Name {
		return m.gone()
	}
	return nil
}

func (m Member) gone() error {
	return failure.Data(fmt.Errorf("tarshard: %q is not at byte %d, where it was when the job was planned; put the tar "+
		"back, or plan the job again", m.Name, m.Offset))
}

// field is a text that ends at its first zero.
func field(b []byte) string { s, _, _ := bytes.Cut(b, []byte{0}); return string(s) }

// octal reads a number as headers have it; sizes of 8 GB and more are written otherwise.
func octal(b []byte) (int64, error) {
	return strconv.ParseInt(strings.Trim(field(b), " "), 8, 64)
}
