package learner

import (
	"errors"
	"fmt"
	"hash/crc32"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unsafe"

	"finetune/internal/digest"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/onnx/weights"
)

// sumsFile lists the SHA-256 of a run's files, as sha256sum does: of the
// configuration while the run goes on, of all once it is finished. What is
// written over and over has its checksum inside (writeTensors).
const sumsFile = "SHA256SUMS"

// writeSums lists the named files, those that are there.
func (r *Run) writeSums(names ...string) error {
	var b strings.Builder
	for _, name := range names {
		sum, err := digest.File(r.Path(name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("learner: %w", err)
		}
		fmt.Fprintf(&b, "%s  %s\n", sum, name)
	}
	return durable.WriteFile(r.Path(sumsFile), []byte(b.String()))
}

// maxSums bounds a list, which has a line of 100 bytes for each file of a run.
const maxSums = 1 << 20

// checkSums compares files of a run with its list. A run without a list passes,
// and while it goes on all but its configuration. Damage is failure.Data and names the file.
func checkSums(run string, names ...string) error {
	list, err := readBounded(filepath.Join(run, sumsFile), maxSums, "delete it")
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	listed := map[string]string{}
	for line := range strings.Lines(string(list)) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		if !ok {
			return failure.Data(fmt.Errorf("learner: %s: damaged: %q is no digest and name; compare the run with a backup, then delete this list", filepath.Join(run, sumsFile), line))
		}
		listed[name] = sum
	}
	for _, name := range names {
		want, ok := listed[name]
		path := filepath.Join(run, name)
		got, err := digest.File(path)
		if !ok && (len(listed) < 2 || errors.Is(err, os.ErrNotExist)) {
			continue
		}
		if err != nil || got != want {
			return failure.Data(fmt.Errorf("learner: %s: damaged: not what %s says (%s); %s", path, filepath.Join(run, sumsFile), cause(err), mend(run, name)))
		}
	}
	return nil
}

func cause(err error) string {
	if err != nil {
		return err.Error()
	}
	return "another SHA-256"
}

func mend(run, name string) string {
	if name == configFile {
		return "take it from a backup, or train again with --overwrite"
	}
	return fmt.Sprintf("take it from a backup, or write it again with `finetune train --run %s --resume`", run)
}

// tensorSum is the CRC-32C of tensors, in the order of their names, and of the
// metadata beside them.
func tensorSum(tensors []weights.Tensor, meta map[string]string) string {
	h := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	for _, k := range slices.Sorted(maps.Keys(meta)) {
		fmt.Fprintf(h, "%q %q\n", k, meta[k])
	}
	sorted := slices.SortedFunc(slices.Values(tensors), func(a, b weights.Tensor) int { return strings.Compare(a.Name, b.Name) })
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
