package finetuning

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"

	"finetune/internal/plural"
	"finetune/onnx/artifacts"
)

// Memory estimates the peak bytes of a process that trains m with runs of batch
// images. It is within a tenth of what was measured for ResNet34 and
// EfficientNet-Lite0 at batches of 2 and 8 with ONNX Runtime 1.32 on a CPU: its
// arena grows by doubling, and the filters lie there in two more layouts.
func Memory(m artifacts.Manifest, batch int) int64 {
	const process, arena = 100 << 20, 2.2
	params := int64(0)
	for _, p := range m.Params {
		params += 4 * int64(p.Len())
	}
	held := params * int64(2+len(m.Slots())) // in Go memory: parameters, gradients, the optimizer's buffers
	run := m.Memory.Of(batch) - 2*params     // the graph's inputs and outputs are those
	return process + held + 3*params + int64(arena*float64(run))
}

// FitBatch returns the largest batch size up to want whose Memory is at most limit
// bytes. It returns 0 if not even two images fit.
func FitBatch(m artifacts.Manifest, want int, limit int64) int {
	for b := want; b >= 2; b-- {
		if Memory(m, b) <= limit {
			return b
		}
	}
	return 0
}

// CheckMemory returns an error if a run of batch images is expected to need more
// than limit bytes; 0 is no limit. The error names the micro-batch that fits.
func CheckMemory(m artifacts.Manifest, batch int, limit int64) error {
	need := Memory(m, batch)
	if limit <= 0 || need <= limit {
		return nil
	}
	next := "a smaller network or --freeze-to"
	if b := FitBatch(m, batch, limit); b > 0 {
		next = fmt.Sprintf("--micro-batch %d", b)
	}
	return fmt.Errorf("finetuning: a batch of %s needs about %d MB, and %d MB are free; use %s",
		plural.Count(batch, "image"), need>>20, limit>>20, next)
}

// Available is the memory that this process can still take: what the machine
// has free or the container's limit leaves, whichever is less; 0 if the system
// does not say (anything but Linux).
func Available() int64 {
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	free := field(info, "MemAvailable:") << 10
	limit, used := number("/sys/fs/cgroup/memory.max"), number("/sys/fs/cgroup/memory.current")
	if limit > 0 && limit-used < free {
		return max(limit-used, 0)
	}
	return free
}

func field(text []byte, name string) int64 {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), name); ok {
			if f := strings.Fields(rest); len(f) > 0 {
				n, _ := strconv.ParseInt(f[0], 10, 64)
				return n
			}
		}
	}
	return 0
}

// number reads a file that holds one; 0 if it is absent or says "max".
func number(path string) int64 {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n
}
