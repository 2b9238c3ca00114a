package runs

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unsafe"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/onnx/weights"
)

// metaSum is the key of the checksum of all else that a tensor file says.
const metaSum = "finetune.crc32c"

// WriteTensors adds a checksum of all that the file says to its metadata.
func WriteTensors(path string, tensors []weights.Tensor, meta map[string]string) error {
	meta = maps.Clone(meta)
	meta[metaSum] = tensorSum(tensors, meta)
	return durable.Write(path, func(w io.Writer) error { return weights.WriteSafetensors(w, tensors, meta) })
}

// ReadTensors reads what writeTensors wrote; other bytes are failure.Data.
func ReadTensors(path string) ([]weights.Tensor, map[string]string, error) {
	tensors, meta, err := weights.ReadSafetensors(path)
	if err != nil {
		return nil, nil, err
	}
	want := meta[metaSum]
	delete(meta, metaSum)
	if got := tensorSum(tensors, meta); got != want {
		return nil, nil, failure.Data(fmt.Errorf("learner: %s: damaged: checksum %s, its metadata has %q; take it from a "+
			"backup, or train again with --overwrite", path, got, want))
	}
	return tensors, meta, nil
}

// tensorSum is the CRC-32C of tensors, in the order of their names, and of the
// metadata beside them.
func tensorSum(tensors []weights.Tensor, meta map[string]string) string {
	h := digest.NewCRC32C()
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		fmt.Fprintf(h, "%q %q\n", k, meta[k])
	}
	sorted := slices.SortedFunc(slices.Values(tensors),
		func(a, b weights.Tensor) int { return strings.Compare(a.Name, b.Name) })
	for _, t := range sorted {
		fmt.Fprintf(h, "%q %v %d %d %d\n", t.Name, t.Shape, len(t.Data), len(t.Ints), len(t.Bytes))
		h.Write(memory(t.Data))
		h.Write(memory(t.Ints))
		h.Write(t.Bytes)
	}
	return fmt.Sprintf("%08x", h.Sum32())
}

// memory is v as bytes in the machine's order, without a copy.
func memory[T float32 | int64](v []T) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*int(unsafe.Sizeof(*new(T))))
}

// WithPrefix puts prefix before each name.
func WithPrefix(prefix string, list []weights.Tensor) []weights.Tensor {
	out := make([]weights.Tensor, len(list))
	for i, t := range list {
		t.Name = prefix + t.Name
		out[i] = t
	}
	return out
}

// WithoutPrefix takes the tensors that have the prefix in their names, without it.
func WithoutPrefix(prefix string, list []weights.Tensor) []weights.Tensor {
	var out []weights.Tensor
	for _, t := range list {
		if name, ok := strings.CutPrefix(t.Name, prefix); ok {
			t.Name = name
			out = append(out, t)
		}
	}
	return out
}
