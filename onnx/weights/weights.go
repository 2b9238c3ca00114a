// Package weights reads and writes named tensors: state dicts and checkpoints.
//
// A file is data and nothing else. The pickle inside a .pth is run by a reader
// that knows only the names which build tensors (OrderedDict,
// _rebuild_tensor_v2, _rebuild_parameter, the storage types); any other name is
// an error that says which. Every size is checked against the file before
// memory is taken, so a broken or hostile file costs an error and no more.
//
// Checkpoints of this project are .safetensors: WriteSafetensors gives equal
// bytes for equal tensors, ReadSafetensors gives them back.
package weights

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"finetune/internal/dims"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/reading"
)

// Bounds that every reader keeps. The largest state dict in use here (ResNet50)
// has 25.6 million elements in 320 tensors and a header of 30 KB.
const (
	maxHeader   = 8 << 20 // bytes of pickle or JSON
	maxTensors  = 1 << 16
	maxElements = 1 << 28 // over all tensors of a file: 1 GiB as float32
	maxDims     = 16
)

// Tensor is a named array, row-major. One of Data, Ints and Bytes holds the
// elements and the other two are nil; with all three nil it is an empty Data.
// Their number is the product of Shape, so a scalar has Shape [] and one element.
type Tensor struct {
	Name  string
	Shape []int64
	Data  []float32 // float32; files may hold float64, float16 or bfloat16
	Ints  []int64   // int64; files may hold int32, int16 or int8
	Bytes []uint8   // uint8; bool becomes 0 and 1
}

// Len is the number of elements held.
func (t Tensor) Len() int { return len(t.Data) + len(t.Ints) + len(t.Bytes) }

// ByName indexes tensors by their name.
func ByName(tensors []Tensor) map[string]Tensor {
	m := make(map[string]Tensor, len(tensors))
	for _, t := range tensors {
		m[t.Name] = t
	}
	return m
}

// Read returns the state dict in path, in the file's order: a PyTorch .pth
// (zip archive, or the format before PyTorch 1.6) or a .safetensors. The format
// is told by content.
//
// A state dict kept inside a checkpoint ({"state_dict": ...}, "model", ...) is
// taken out, and a prefix "module." or "model." that every name has is removed.
//
// Errors name path and the cause and are failure.Data, except those of the
// file system.
func Read(path string) ([]Tensor, error) {
	f, size, err := open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	tensors, err := parse(f, size)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	return tensors, nil
}

// cannotRead names path, and blames the file unless the system could not read it.
func cannotRead(path string, err error) error {
	system := errors.As(err, new(*fs.PathError))
	if err = fmt.Errorf("weights: %s: %w", path, err); system {
		return err
	}
	return failure.Data(err)
}

func open(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("weights: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = failure.Data(errors.New("not a file"))
	}
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("weights: %s: %w", path, err)
	}
	return f, info.Size(), nil
}

// parse tells the format by the first bytes and reads it.
func parse(r io.ReaderAt, size int64) ([]Tensor, error) {
	head := make([]byte, 64)
	n, err := r.ReadAt(head, 0)
	if err != nil && err != io.EOF {
		return nil, err
	}
	head = head[:n]
	var tensors []Tensor
	switch {
	case bytes.HasPrefix(head, []byte("PK\x03\x04")):
		tensors, err = parseZip(r, size)
	case len(head) > 1 && head[0] == opProto:
		tensors, err = parseLegacy(r, size)
	case len(head) > 8 && head[8] == '{':
		tensors, _, err = parseSafetensors(r, size)
	default:
		if what := reading.Other(head); what != "" {
			return nil, errors.New(what)
		}
		return nil, errors.New("neither a PyTorch .pth nor a .safetensors file; " +
			"save the weights with torch.save(model.state_dict(), FILE)")
	}
	if err != nil {
		return nil, err
	}
	return stripPrefix(tensors), nil
}

// stripPrefix removes what wrappers put before every name: "module."
// (DataParallel) and "model." (Lightning and others), once each or nested.
func stripPrefix(tensors []Tensor) []Tensor {
	for range 4 {
		prefix, _, found := strings.Cut(firstName(tensors), ".")
		if !found || (prefix != "module" && prefix != "model") {
			return tensors
		}
		for _, t := range tensors {
			if !strings.HasPrefix(t.Name, prefix+".") {
				return tensors
			}
		}
		for i := range tensors {
			tensors[i].Name = tensors[i].Name[len(prefix)+1:]
		}
	}
	return tensors
}

func firstName(tensors []Tensor) string {
	if len(tensors) == 0 {
		return ""
	}
	return tensors[0].Name
}

// elements is the product of shape, or an error if a size is negative, there
// are too many dimensions or the product passes maxElements.
func elements(shape []int64) (int64, error) {
	if len(shape) > maxDims {
		return 0, fmt.Errorf("%s, at most %d are read", plural.Count(len(shape), "dimension"), maxDims)
	}
	if slices.ContainsFunc(shape, func(d int64) bool { return d < 0 }) {
		return 0, fmt.Errorf("shape %v has a negative size", shape)
	}
	n := dims.Product(shape)
	if n < 0 || n > maxElements || slices.ContainsFunc(shape, func(d int64) bool { return d > maxElements }) {
		return 0, fmt.Errorf("shape %v has more than %d elements", shape, maxElements)
	}
	return n, nil
}

// fit reports tensors that have more than maxElements between them, before any
// is read. A shape that is wrong by itself is reported where it is read.
func fit(shapes [][]int64) error {
	var total int64
	for _, s := range shapes {
		n, _ := elements(s)
		if total += n; total > maxElements {
			return fmt.Errorf("more than %d elements", maxElements)
		}
	}
	return nil
}
