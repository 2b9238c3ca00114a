package job

import (
	"fmt"
	"slices"
	"strings"

	"finetune/internal/plural"
)

// Reason is why tasks failed: one error, but for what it names and counts.
type Reason struct {
	Error string // of the first task
	Tasks []int
}

// Reasons are those of a list, the one of most tasks first.
func Reasons(list []Fail) (reasons []Reason) {
	at := map[string]int{}
	for _, f := range list {
		kind := sort(f.Error)
		i, known := at[kind]
		if !known {
			i = len(reasons)
			at[kind], reasons = i, append(reasons, Reason{Error: f.Error})
		}
		reasons[i].Tasks = append(reasons[i].Tasks, f.Task)
	}
	slices.SortStableFunc(reasons, func(a, b Reason) int { return len(b.Tasks) - len(a.Tasks) })
	return reasons
}

// sort is an error without its particulars, which are the words with a digit or a slash.
func sort(text string) string {
	words := strings.Fields(text)
	for i, w := range words {
		if strings.ContainsAny(w, `0123456789/\`) {
			words[i] = "…"
		}
	}
	return strings.Join(words, " ")
}

// String names the tasks, the first of many.
func (r Reason) String() string {
	if len(r.Tasks) == 1 {
		return fmt.Sprintf("task %d", r.Tasks[0])
	}
	names := make([]string, min(len(r.Tasks), shown))
	for i := range names {
		names[i] = fmt.Sprint(r.Tasks[i])
	}
	text := plural.Count(len(r.Tasks), "task") + " (" + strings.Join(names, ", ")
	if len(r.Tasks) > shown {
		text += " …"
	}
	return text + ")"
}
