package fetch

import (
	"net/http"
	"os"
	"strings"
	"testing"

	"finetune/internal/home"
)

// TestGetUnpinned: what no digest is known of is compared with the first download's, and nothing else takes its place.
func TestGetUnpinned(t *testing.T) {
	now := content
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { w.Write(now) })
	item := Item{Name: "net", url: s.URL + "/net.safetensors", keep: weightsFile}
	withItems(t, item)
	var said []string
	o := Options{Log: func(format string, args ...any) { said = append(said, format) }}
	r := get(t, "net", o)
	if !r.Fetched || r.Path != home.Path("weights", "net.safetensors") || r.SHA256 != digestOf(content) {
		t.Fatalf("first Get: %+v", r)
	}
	if text := strings.Join(said, "\n"); !strings.Contains(text, "digest is not known") {
		t.Errorf("said %q", text)
	}
	if r := get(t, "net", o); r.Fetched {
		t.Errorf("second Get: %+v", r)
	}
	put(t, r.Path, []byte("damaged"))
	if r := get(t, "net", o); !r.Fetched || r.SHA256 != digestOf(content) {
		t.Errorf("after damage: %+v", r)
	}
	now = []byte("another version")
	put(t, r.Path, []byte("damaged"))
	if _, err := Get(t.Context(), "net", o); err == nil || !strings.Contains(err.Error(), digestOf(content)) {
		t.Errorf("another file at the address: %v", err)
	}
	mine := put(t, t.TempDir()+"/mine.safetensors", now)
	if r := get(t, "net", Options{From: mine}); r.SHA256 != digestOf(now) {
		t.Errorf("--from: %+v", r)
	}
	if err := os.Remove(r.Path + ".sha256"); err != nil {
		t.Fatal(err)
	}
	if r := get(t, "net", o); !r.Fetched || r.SHA256 != digestOf(now) {
		t.Errorf("without a record: %+v", r)
	}
}
