//go:build unix

package engine

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"finetune/internal/failure"
)

// The scripts give the program the arguments that were meant, whatever is in them.
func TestScriptsGiveTheProgramItsArguments(t *testing.T) {
	o := order()
	o.Place = "s3://bucket/a'b?region=x&y=$(touch /tmp/pwned)"
	s, err := o.Write("slurm")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := "#!/bin/sh\nfor a; do echo \"<$a>\"; done\nexit ${CODE:-0}\n"
	o.Args[0] = filepath.Join(dir, "fine tune")
	for name, text := range map[string]string{"fine tune": program, "scontrol": "#!/bin/sh\necho requeued \"$@\"\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if s, err = o.Write("slurm"); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ code, restarts, want string }{
		{"0", "", ""}, {"2", "", ""}, {"3", "", ""}, {"1", "", "requeued requeue 5_3\n"},
		{"137", "1", "requeued requeue 5_3\n"}, {"1", "2", ""}} {
		c := exec.Command("sh")
		c.Stdin = strings.NewReader(s.Text)
		c.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "CODE="+tt.code, "SLURM_RESTART_COUNT="+tt.restarts,
			"SLURM_ARRAY_JOB_ID=5", "SLURM_ARRAY_TASK_ID=3")
		out, err := c.Output()
		want := "<work>\n<--quiet>\n<--shard>\n<auto>\n<-->\n<" + o.Place + ">\n" + tt.want
		if string(out) != want || c.ProcessState.String() != "exit status "+tt.code {
			t.Errorf("%+v: %v, %v\n%s\nwant\n%s", tt, c.ProcessState, err, out, want)
		}
	}
	for _, want := range []string{"#SBATCH --array=0-6\n", "#SBATCH --cpus-per-task=2\n", "#SBATCH --requeue"} {
		if !strings.Contains(s.Text, want) {
			t.Errorf("%q is missing:\n%s", want, s.Text)
		}
	}
	if strings.Contains(s.Text, "--output") {
		t.Errorf("logs in a bucket:\n%s", s.Text)
	}
	k, err := order().Write("kubernetes")
	if err != nil ||
		!strings.Contains(k.Text, `command: ["/opt/fine tune","work","--quiet","--shard","/7","--","/jobs/o'ne/é"]`) {
		t.Errorf("%v\n%s", err, k.Text)
	}
}

func TestSparkGetsTheNumbersOfAllTasks(t *testing.T) {
	o := order()
	o.Tasks, o.Place = 1234, `/jobs/a\b'c`
	s, err := o.Write("spark")
	for _, want := range []string{"FROM range(0, 1234, 1, 7);",
		`USING '\'/opt/fine tune\' work --quiet --stream -- \'/jobs/a\\b\'\\\'\'c\'' AS (line STRING)`} {
		if err != nil || !strings.Contains(s.Text, want) {
			t.Errorf("%q is missing: %v\n%s", want, err, s.Text)
		}
	}
}

func TestOrdersThatNoClusterTakes(t *testing.T) {
	for name, change := range map[string]func(*Order){
		"name":    func(o *Order) { o.Name = "a\n#SBATCH --uid=0" },
		"workers": func(o *Order) { o.Workers = 100_000 },
		"none":    func(o *Order) { o.Workers = 0 },
		"image":   func(o *Order) { o.Image = "" },
		"lines":   func(o *Order) { o.Place = "/jobs/a\n#SBATCH --uid=0" },
		"logs":    func(o *Order) { o.Place = "/jobs/a b" },
	} {
		o := order()
		change(&o)
		refused := 0
		for _, cluster := range Clusters {
			if _, err := o.Write(cluster); failure.KindOf(err) == failure.UsageKind {
				refused++
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
		if refused == 0 {
			t.Errorf("%s: every cluster takes it", name)
		}
	}
	if _, err := order().Write("beam"); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("%v", err)
	}
}

func TestSubmittingNeedsTheClient(t *testing.T) {
	_, err := Script{Submit: []string{"sbatch-that-is-not-there"}}.Run(t.Context())
	if failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), "--dry-run") {
		t.Errorf("%v", err)
	}
	if out, err := (Script{Text: "17\n", Submit: []string{"cat"}}).Run(t.Context()); out != "17" || err != nil {
		t.Error(out, err)
	}
	_, err = Script{Text: "no partition\n\tat java.lang.Thread\n", Submit: []string{"sh", "-c", "cat >&2; exit 1"}}.
		Run(t.Context())
	if err == nil || !strings.HasSuffix(err.Error(), ": no partition") {
		t.Errorf("%v", err)
	}
}
