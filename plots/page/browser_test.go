package page

import (
	"context"
	"fmt"
	"net/url"
	"os"
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

	"finetune/internal/uitest/browser"
)

// overheard collects what a page says on the console and asks of the network.
type overheard struct {
	mu       sync.Mutex
	messages []string
	requests []string
}

func (o *overheard) hear(event any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch e := event.(type) {
	case *log.EventEntryAdded:
		o.messages = append(o.messages, e.Entry.Text)
	case *runtime.EventConsoleAPICalled:
		o.messages = append(o.messages, fmt.Sprint("console.", e.Type))
	case *runtime.EventExceptionThrown:
		o.messages = append(o.messages, e.ExceptionDetails.Text)
	case *network.EventRequestWillBeSent:
		if !strings.HasPrefix(e.Request.URL, "data:") {
			o.requests = append(o.requests, e.Request.URL)
		}
	}
}

// state is what a script finds on the page.
const state = `(async () => {
	document.querySelectorAll("details").forEach(d => d.open = true);
	await Promise.all([...document.images].map(i => i.decode().catch(() => {})));
	const wide = document.documentElement.clientWidth;
	const inScroll = e => e.closest(".scroll") !== null || e.closest(".skip") !== null;
	return {
		title: document.title,
		images: document.images.length,
		broken: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).map(i => i.alt),
		overflow: document.documentElement.scrollWidth - wide,
		outside: [...document.body.querySelectorAll("*")].filter(e => !inScroll(e) && e.getBoundingClientRect().right > wide + 1).map(e => e.tagName + "." + e.className),
		scripts: document.scripts.length,
		handlers: [...document.querySelectorAll("*")].filter(e => [...e.attributes].some(a => a.name.startsWith("on"))).length,
		shown: document.body.innerText.includes("<script>document.title='owned'</script>"),
	};
})()`

type pageState struct {
	Title    string   `json:"title"`
	Images   int      `json:"images"`
	Scripts  int      `json:"scripts"`
	Handlers int      `json:"handlers"`
	Overflow int      `json:"overflow"`
	Broken   []string `json:"broken"`
	Outside  []string `json:"outside"`
	Shown    bool     `json:"shown"`
}

func TestReportInBrowser(t *testing.T) {
	ctx := browser.Start(t)
	for _, r := range []struct {
		name   string
		report Report
	}{{"2 classes", looked()}, {"120 classes", run(120, 1200)}, {"nothing", Report{}}} {
		dir := t.TempDir()
		if err := WriteReport(dir, r.report); err != nil {
			t.Fatal(err)
		}
		for _, width := range []int64{360, 1440} {
			for _, scheme := range []string{"light", "dark"} {
				t.Run(fmt.Sprintf("%s/%d px/%s", r.name, width, scheme), func(t *testing.T) {
					visit(t, ctx, filepath.Join(dir, "index.html"), width, scheme, r.name != "nothing")
				})
			}
		}
	}
}

func visit(t *testing.T, ctx context.Context, file string, width int64, scheme string, attacked bool) {
	o := &overheard{}
	tab, stop := chromedp.NewContext(ctx, chromedp.WithListener(o.hear))
	defer stop()
	address := (&url.URL{Scheme: "file", Path: file}).String()
	dark := chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
	if err := chromedp.Do(tab, chromedp.EmulateViewport(width, 800), dark, chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	s, err := chromedp.Run(tab, chromedp.Evaluate[pageState](state, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Broken) > 0 || attacked && s.Images < 30 {
		t.Errorf("%d images, broken: %q", s.Images, s.Broken)
	}
	if s.Overflow > 0 || len(s.Outside) > 0 {
		t.Errorf("the page is %d px wider than the window; beyond its edge: %q", s.Overflow, s.Outside)
	}
	if s.Scripts > 0 || s.Handlers > 0 || s.Title == "owned" || s.Shown != attacked {
		t.Errorf("file name attack: %d scripts, %d handlers, title %q, name shown as text: %t", s.Scripts, s.Handlers,
			s.Title, s.Shown)
	}
	o.mu.Lock()
	if len(o.messages) > 0 || len(o.requests) != 1 {
		t.Errorf("console: %q; requests: %q, want the page alone", o.messages, o.requests)
	}
	o.mu.Unlock()
	if folder := os.Getenv("REPORT_SCREENSHOTS"); folder != "" { // to look at, not to compare
		shot, err := chromedp.Run(tab, chromedp.FullScreenshot(90))
		if err != nil {
			t.Fatal(err)
		}
		name := strings.NewReplacer("/", "-", " ", "-").Replace(t.Name()) + ".jpg"
		if err := os.WriteFile(filepath.Join(folder, name), shot, 0o666); err != nil {
			t.Fatal(err)
		}
	}
}
