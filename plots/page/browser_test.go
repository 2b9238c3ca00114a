package page

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"finetune/internal/uitest/browser"
)

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
	tab := browser.Open(t, ctx, "about:blank", width, 800)
	tab.Scheme(scheme)
	tab.Do(chromedp.Navigate((&url.URL{Scheme: "file", Path: file}).String()))
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
	if messages, requests := tab.Heard(); len(messages) > 0 || len(requests) != 1 {
		t.Errorf("console: %q; requests: %q, want the page alone", messages, requests)
	}
	tab.Shoot(strings.NewReplacer("/", "-", " ", "-").Replace(t.Name())) // to look at, not to compare
}
