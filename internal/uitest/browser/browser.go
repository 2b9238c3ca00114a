// Package browser lets tests use pages as a person does, in a headless Chromium: what the
// page says on its console, what it asks of the network, what it looks like, and what
// axe-core finds that hinders people.
package browser

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// Start starts a headless Chromium that has a camera of made-up pictures, or skips the
// test where there is none. It ends with the test. Flags are chromedp.Flag and its like.
func Start(t testing.TB, flags ...chromedp.ExecAllocatorOption) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Skip("no chromium in PATH: install Debian's package chromium to test pages in a browser")
	}
	opts := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("use-fake-device-for-media-stream", true), chromedp.Flag("use-fake-ui-for-media-stream", true))
	opts = append(opts, flags...)
	if os.Geteuid() == 0 {
		opts = append(opts, chromedp.NoSandbox) // Chromium's sandbox refuses root
	}
	ctx, stop := chromedp.NewExecAllocator(context.Background(), opts...)
	t.Cleanup(stop)
	ctx, stop = chromedp.NewContext(ctx)
	t.Cleanup(stop)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// Tab is a page in a window of its own.
type Tab struct {
	context.Context // of chromedp's actions
	t               testing.TB

	mu       sync.Mutex
	messages []string
	requests []string
}

// Open opens a page in a window of so many pixels.
func Open(t testing.TB, browser context.Context, address string, width, height int64) *Tab {
	t.Helper()
	p := &Tab{t: t}
	tab, stop := chromedp.NewContext(browser, chromedp.WithListener(p.hear))
	t.Cleanup(stop)
	p.Context = tab
	p.Do(chromedp.EmulateViewport(width, height), chromedp.Navigate(address))
	return p
}

func (p *Tab) hear(event any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		p.messages = append(p.messages, e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		p.messages = append(p.messages, fmt.Sprint("console.", e.Type))
	case *runtime.EventExceptionThrown:
		p.messages = append(p.messages, e.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		if u := e.Request.URL; !strings.HasPrefix(u, "data:") && !strings.HasPrefix(u, "blob:") {
			p.requests = append(p.requests, u)
		}
	}
}

// Do takes steps, and fails the test at the first that fails.
func (p *Tab) Do(steps ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	if err := chromedp.Do(p, steps...); err != nil {
		p.t.Fatal(err)
	}
}

// Scheme shows the page to somebody who prefers light or dark colours.
func (p *Tab) Scheme(name string) {
	p.t.Helper()
	p.Do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: name}}})
		return err
	}))
}

// Text is the value of a JavaScript expression, as text; promises are awaited.
func (p *Tab) Text(expression string) string {
	p.t.Helper()
	s, err := chromedp.Run(p, chromedp.Evaluate[string]("(async () => String(await ("+expression+")))()",
		chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("%s: %v", expression, err)
	}
	return s
}

// Heard is what the page said on its console, and the addresses that it asked for since it was opened.
func (p *Tab) Heard() (messages, requests []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages, p.requests
}

// Shoot writes a picture of the whole page into the folder that the variable SCREENSHOTS names, to
// be looked at; without the variable it does nothing.
func (p *Tab) Shoot(name string) {
	p.t.Helper()
	folder := os.Getenv("SCREENSHOTS")
	if folder == "" {
		return
	}
	shot, err := chromedp.Run(p, chromedp.FullScreenshot(100))
	if err == nil {
		err = os.WriteFile(filepath.Join(folder, name+".png"), shot, 0o666)
	}
	if err != nil {
		p.t.Fatal(err)
	}
}
