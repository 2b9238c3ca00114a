package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// finetune runs a command with a $FINETUNE_HOME of its own.
func runAlone(t *testing.T, args ...string) (code int, out, err string) {
	t.Helper()
	t.Setenv("FINETUNE_HOME", t.TempDir())
	t.Setenv("ONNXRUNTIME_LIB", filepath.Join(t.TempDir(), "absent.so"))
	var o, e bytes.Buffer
	code = Main(t.Context(), append([]string{"finetune"}, args...), Streams{Out: &o, Err: &e})
	return code, o.String(), e.String()
}

func TestFetchCommand(t *testing.T) {
	other := filepath.Join(t.TempDir(), "other.pth")
	if err := os.WriteFile(other, []byte("other"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"fetch", "resnet99"}, 2, "resnet34"},
		{[]string{"fetch", "resnet18", "resnet34"}, 2, "one NAME"},
		{[]string{"fetch", "--from", other}, 2, "one NAME"},
		{[]string{"fetch", "resnet34", "--from", other}, 3, other},
		{[]string{"demo", "photos"}, 2, "finetune train DATA"},
		{[]string{"doctor", "please"}, 2, "no argument"},
	} {
		code, out, err := runAlone(t, tt.args...)
		if code != tt.code || !strings.Contains(err, tt.says) || out != "" {
			t.Errorf("%q: code %d, stdout %q, stderr %q; want code %d and %q on stderr", tt.args, code, out, err, tt.code,
				tt.says)
		}
	}
}

func TestFetchList(t *testing.T) {
	code, out, _ := runAlone(t, "fetch", "--json")
	var list []fetchable
	if err := json.Unmarshal([]byte(out), &list); err != nil || code != 0 {
		t.Fatalf("code %d, %v in %q", code, err, out)
	}
	for _, f := range list {
		if f.State != "absent" {
			t.Errorf("%s is %s in an empty home", f.Name, f.State)
		}
	}
	if code, out, _ := runAlone(t, "fetch"); code != 0 || !strings.Contains(out, "solar-cells         absent") {
		t.Errorf("code %d, %q", code, out)
	}
}

func TestDoctorCommand(t *testing.T) {
	code, out, _ := runAlone(t, "doctor", "--json")
	var found []struct{ Name, Status, Fix string }
	if err := json.Unmarshal([]byte(out), &found); err != nil || code != 1 {
		t.Fatalf("code %d (want 1: things are missing), %v in %q", code, err, out)
	}
	code, out, _ = runAlone(t, "doctor", "--quiet")
	if code != 1 || strings.Contains(out, "processor") || !strings.Contains(out, "missing  runtime") {
		t.Errorf("code %d, %q; want only what is missing", code, out)
	}
}
