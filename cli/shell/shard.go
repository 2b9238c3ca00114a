package shell

import (
	"fmt"
	"strconv"
	"strings"

	"finetune/internal/failure"
)

// Shard is part Index of Count equal parts, counted from 0.
type Shard struct{ Index, Count int }

// ParseShard reads I/N. Without I ("/N"), or as "auto", the place in a job
// array is used: SLURM_ARRAY_TASK_ID (with _MIN and _COUNT) or Kubernetes'
// JOB_COMPLETION_INDEX. An empty text is the whole.
func ParseShard(text string, getenv func(string) string) (Shard, error) {
	if text == "" {
		return Shard{0, 1}, nil
	}
	i, n, _ := strings.Cut(text, "/")
	if text == "auto" {
		i, n = "", getenv("SLURM_ARRAY_TASK_COUNT")
	}
	if i == "" {
		i = arrayIndex(getenv)
	}
	index, errI := strconv.Atoi(i)
	count, errN := strconv.Atoi(n)
	if errI != nil || errN != nil || index < 0 || count < 1 || index >= count {
		return Shard{}, failure.Usagef("--shard %s: write I/N with 0 <= I < N, or /N in a job array (SLURM_ARRAY_TASK_ID or "+
			"JOB_COMPLETION_INDEX), or auto under Slurm", text)
	}
	return Shard{index, count}, nil
}

func arrayIndex(getenv func(string) string) string {
	id := getenv("SLURM_ARRAY_TASK_ID")
	if id == "" {
		return getenv("JOB_COMPLETION_INDEX")
	}
	n, err := strconv.Atoi(id)
	first, _ := strconv.Atoi(getenv("SLURM_ARRAY_TASK_MIN")) // 0 where it is not set
	if err != nil {
		return id
	}
	return strconv.Itoa(n - first)
}

// Bounds are the items [lo, hi) of n that belong to the part: contiguous ranges
// that make the whole.
func (s Shard) Bounds(n int) (lo, hi int) {
	return s.Index * n / s.Count, (s.Index + 1) * n / s.Count
}

func (s Shard) String() string { return fmt.Sprintf("%d/%d", s.Index, s.Count) }
