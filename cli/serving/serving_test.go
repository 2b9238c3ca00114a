package serving

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"finetune/cli/shell"
	"finetune/internal/failure"
	"finetune/serve"
)

func TestServeRefusesAnOpenDoor(t *testing.T) {
	limits := serve.Options{Batch: 1, MaxBody: 1, MaxPixels: 1, MaxImages: 1, Uploads: 2, MinRate: 1, Timeout: 1}
	for _, tt := range []struct {
		addr   string
		change func(*serveOptions)
		want   string // "" is fine
	}{
		{"127.0.0.1:80", nil, ""}, {"localhost:80", nil, ""}, {"[::1]:80", nil, ""},
		{":80", nil, "--token-file"}, {"0.0.0.0:80", nil, "--allow-anonymous"}, {"[::]:80", nil, "--token-file"},
		{"192.0.2.1:80", nil, "--token-file"},
		{"0.0.0.0:80", func(o *serveOptions) { o.anonymous = true }, ""},
		{"0.0.0.0:80", func(o *serveOptions) { o.serve.Tokens = []string{"x"} }, ""},
		{"127.0.0.1:80", func(o *serveOptions) { o.serve.Uploads = 1 }, "--max-uploads"},
	} {
		o := serveOptions{addr: tt.addr, serve: limits}
		if tt.change != nil {
			tt.change(&o)
		}
		err := o.check()
		if tt.want == "" && err != nil ||
			tt.want != "" && (failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.addr, err, tt.want)
		}
	}
}

func TestTokenFiles(t *testing.T) {
	file := filepath.Join(t.TempDir(), "tokens")
	for text, want := range map[string]string{
		"# ours\n0123456789abcdef\n\n fedcba9876543210 \r\n": "0123456789abcdef fedcba9876543210",
		"short\n": "!at least 16", "": "!no token", "0123456789 abcdef": "!no spaces",
		strings.Repeat("x", maxTokens+1): "!more than",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		list, err := tokens(file, "ignored-beside-a-file")
		got := strings.Join(list, " ")
		if reason, bad := strings.CutPrefix(want, "!"); bad {
			if failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), reason) {
				t.Errorf("%.20q: %v, want %q", text, err, reason)
			}
		} else if got != want || err != nil {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	if list, err := tokens("", "0123456789abcdef"); len(list) != 1 || err != nil {
		t.Errorf("from the variable: %v, %v", list, err)
	}
	if list, err := tokens("", ""); len(list) != 0 || err != nil {
		t.Errorf("without: %v, %v", list, err)
	}
	if _, err := tokens(filepath.Join(t.TempDir(), "none"), ""); err == nil ||
		!strings.Contains(err.Error(), "--token-file") {
		t.Errorf("no such file: %v", err)
	}
}

// SIGTERM drains, Ctrl-C does not, and both are a cancelled context to the rest.
func TestPatience(t *testing.T) {
	o := serveOptions{drain: time.Second}
	for s, want := range map[os.Signal]time.Duration{os.Interrupt: 0, syscall.SIGTERM: time.Second} {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(shell.Signalled{Signal: s})
		if got := o.patience(ctx); got != want {
			t.Errorf("%v: %v, want %v", s, got, want)
		}
		if failure.KindOf(context.Cause(ctx)) != failure.Interrupted || !errors.Is(ctx.Err(), context.Canceled) {
			t.Errorf("%v: %v is not an interruption", s, context.Cause(ctx))
		}
	}
}
