// Package libjpeg decodes JPEG files with libjpeg-turbo, a library of C that is three
// times as fast as Go's decoder. It is loaded when the first file needs it, from the
// first of these places: what FINETUNE_JPEG names, what `finetune fetch jpeg` brought,
// lib beside the program, the system's libraries. FINETUNE_JPEG=go leaves it out.
package libjpeg

import (
	"errors"
	"fmt"
	"os"
	"sync"

	"finetune/internal/failure"
	"finetune/internal/fetch"
)

// Library is the one that was loaded; the zero value is none.
type Library struct {
	Path    string // as the loader was given it: a bare name is the system's
	Fetched bool   // by `finetune fetch jpeg`, or came with the program
}

// Loaded is libjpeg-turbo, loaded by the first call. Without it, err says what is wrong
// with one that should be used; nil where there is none, or it is not wanted.
var Loaded = sync.OnceValues(func() (Library, error) {
	switch named := os.Getenv("FINETUNE_JPEG"); named {
	case "go":
		return Library{}, nil
	case "":
		return find()
	default:
		if err := open(named); err != nil {
			return Library{}, failure.Usage(fmt.Errorf("libjpeg: FINETUNE_JPEG: %w; name libjpeg-turbo's libjpeg.so.62, or "+
				"go for the decoder without it", err))
		}
		return Library{Path: named}, nil
	}
})

func find() (Library, error) {
	path, err := fetch.Load("libjpeg-turbo", "libjpeg*.so*", open)
	if err != nil { // no other takes its place without a word
		return Library{}, fmt.Errorf("libjpeg: %w", err)
	}
	if path != "" {
		return Library{Path: path, Fetched: true}, nil
	}
	for _, name := range system {
		if open(name) == nil {
			return Library{Path: name}, nil
		}
	}
	return Library{}, nil
}

// ErrNone says that this system's libjpeg is not libjpeg-turbo, or that there is none.
var ErrNone = errors.New("no libjpeg-turbo")

// Size is what a decode gives.
type Size struct{ Width, Height int }

// Decode reads a grey or YCbCr file, whose header declares size, into RGB pixels
// [Height, Width, 3] of eighths/8 of that size, rounded up. It shrinks in the inverse
// cosine transform. nil stands for every warning and error, a premature end among
// them, for files of other colours, and where no library is loaded.
// Borrowed: data, during the call.
func Decode(data []byte, size Size, eighths int) (pix []uint8, got Size) {
	if lib, _ := Loaded(); lib.Path == "" || len(data) == 0 {
		return nil, Size{}
	}
	got = Size{(size.Width*eighths + 7) / 8, (size.Height*eighths + 7) / 8}
	pix = make([]uint8, 3*got.Width*got.Height)
	if !decode(data, size, eighths, pix, got) {
		return nil, Size{}
	}
	return pix, got
}
