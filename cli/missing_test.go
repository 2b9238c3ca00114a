package cli

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/learner/runs"
)

// A path that is no run is called that, by each command that takes one. Only a
// run that has begun is said to be gone on with.
func TestNotARun(t *testing.T) {
	t.Setenv("FINETUNE_HOME", t.TempDir())
	t.Chdir(t.TempDir())
	for path, text := range map[string]string{
		"photos/mine.jpg":           "any",
		"file":                      "any",
		"begun/" + runs.ConfigFile:  "{}",
		"set.replaced/summary.json": "{}",
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	opening := []string{"evaluate P", "score P photos -o out.csv", "export P -o out.onnx", "serve P"}
	reporting, inspecting := []string{"report P"}, []string{"inspect P"}
	for _, tt := range []struct {
		path     string
		commands []string
		code     int
		says     string
	}{
		{"nothere", append(opening, "report P"), 2, "nothere: there is no such folder; check the path"},
		{"nothere", inspecting, 2, "nothere: there is no such file"},
		{"nothere.onnx", append(opening, "inspect P"), 2, "nothere.onnx: there is no such file"},
		{"nothere.onnx", reporting, 2, "nothere.onnx: there is no such folder"},
		{"photos", append(opening, "report P"), 2, "photos is not a run (it has no config.json)"},
		{"photos", inspecting, 3, "photos: not a regular file"},
		{"set", append(opening, "report P"), 2, "set: the command was killed while it replaced this run"},
		{"file", reporting, 2, "file is not a run but a file"},
		{"file", append(opening, "inspect P"), 3, "file: not an ONNX model"},
		{"begun", opening, 2, "begun: training has not finished; continue with"},
		{"begun", reporting, 2, "begun: this run is not finished; continue with"},
	} {
		for _, command := range tt.commands {
			var errs bytes.Buffer
			args := strings.Fields("finetune " + strings.ReplaceAll(command, "P", tt.path))
			code := Main(context.Background(), args, Streams{Out: &bytes.Buffer{}, Err: &errs})
			if got := errs.String(); code != tt.code || !strings.Contains(got, tt.says) ||
				strings.Contains(got, "continue with") != strings.Contains(tt.says, "continue with") {
				t.Errorf("%v: exit code %d, %q; want %d, %q", args, code, got, tt.code, tt.says)
			}
		}
	}
}
