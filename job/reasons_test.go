package job

import (
	"fmt"
	"strings"
	"testing"
)

func TestTasksThatFailAlikeAreToldTogether(t *testing.T) {
	var list []Fail
	for i := range 30 {
		list = append(list, Fail{i, fmt.Sprintf("job: task %d: no photographs at /data/%d.jpg", i, i*i)})
	}
	list = append(list, Fail{30, "killed"}, Fail{31, "job: task 31: disk full"}, Fail{32, "killed"})
	var told []string
	for _, r := range Reasons(list) {
		told = append(told, fmt.Sprintf("%s: %s", r, r.Error))
	}
	want := `30 tasks (0, 1, 2, 3, 4, 5, 6, 7, 8, 9 …): job: task 0: no photographs at /data/0.jpg
2 tasks (30, 32): killed
task 31: job: task 31: disk full`
	if got := strings.Join(told, "\n"); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
}
