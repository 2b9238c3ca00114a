package serve

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"finetune/internal/uitest/browser"
)

// The attacks of docs/lab/serve-attacks.md that no other test has.

// predicted is how many photographs the network has seen.
func (f *fake) predicted() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range f.batches {
		n += b
	}
	return n
}

// Another site's page is open in a browser that may use the server, token and all.
func TestAnotherSitesPageReachesNothing(t *testing.T) {
	ctx := browser.Start(t)
	const token = "a-token-of-this-test"
	f := &fake{}
	ours, _ := start(t, f, Options{Page: true, Tokens: []string{token}})
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, "<!doctype html><title>other</title>",
			"<form method=post enctype=text/plain action=", ours, "/predict></form>")
	}))
	defer other.Close()
	browser.Open(t, ctx, ours+"/?token="+token, 800, 600) // the browser has the cookie now
	known := map[string]string{"Authorization": "Bearer " + token}
	if r, text := ask(t, "POST", ours+"/predict", known); r.StatusCode != 200 {
		t.Fatal(text)
	}
	before := f.predicted()
	p := browser.Open(t, ctx, other.URL, 800, 600)
	const attempt = `(async () => {
		const at = %q, out = [];
		for (const o of [{method: "POST", body: "x"},
				{method: "POST", body: "x", mode: "no-cors", credentials: "include"}, {mode: "no-cors", credentials: "include"}]) {
			const path = o.method ? "/predict" : "/openapi.json";
			try { const r = await fetch(at + path, o); out.push(r.type + ":" + (await r.text()).length); }
			catch { out.push("refused"); }
		}
		for (const [name, address] of [["script", "/page.js"], ["img", "/page.js"], ["iframe", "/"]]) {
			const e = document.createElement(name);
			e.src = at + address;
			out.push(name + ":" + await new Promise(done => {
				e.onload = () => done("loaded"); e.onerror = () => done("refused"); document.body.append(e); }));
		}
		return out.join(" ") + " " + (typeof ask) + " " + frames.length;
	})()`
	// an iframe "loads" a refusal too, of which the page sees nothing
	got := p.Text(fmt.Sprintf(attempt, ours))
	if want := "refused opaque:0 opaque:0 script:refused img:refused iframe:loaded undefined 1"; got != want &&
		got != strings.Replace(want, "opaque:0 opaque:0", "refused refused", 1) {
		t.Errorf("the other page got %q", got)
	}
	p.Do(chromedp.Evaluate[chromedp.Void](`document.forms[0].submit()`))
	for range 100 {
		if p.Text("document.title") != "other" {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if n := f.predicted(); n != before {
		t.Errorf("another site's page had %d photographs predicted", n-before)
	}
	if r, _ := ask(t, "GET", ours+"/metrics", known); r.StatusCode != 200 {
		t.Errorf("afterwards: %d", r.StatusCode)
	}
}

// A name of another site leads to this machine: to the browser it is one site.
func TestRebindingReachesNothing(t *testing.T) {
	ctx := browser.Start(t, chromedp.Flag("host-resolver-rules", "MAP evil.example 127.0.0.1"))
	f := &fake{}
	ours, _ := start(t, f, Options{Page: true})
	u, err := url.Parse(ours)
	if err != nil {
		t.Fatal(err)
	}
	p := browser.Open(t, ctx, "http://evil.example:"+u.Port()+"/", 800, 600)
	if text := p.Text("document.body.innerText"); !strings.Contains(text, "does not answer for the host evil.example") {
		t.Errorf("the page is %s", text)
	}
	if got := p.Text(`fetch("/predict", {method: "POST", body: "x"}).then(r => r.status)`); got != "403" {
		t.Errorf("a request of it: %s", got)
	}
	if n := f.predicted(); n != 0 {
		t.Errorf("%d photographs were predicted", n)
	}
}

func TestNoPathLeadsToAFile(t *testing.T) {
	ours, _ := start(t, &fake{}, Options{Page: true})
	addr := strings.TrimPrefix(ours, "http://")
	for _, path := range []string{
		"/../../../etc/passwd", "/page/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd",
		"/page/",
		"/page/index.html", "/page.js/../serve.go", "/page.js%00.html", "/.git/config", "//etc/passwd",
		"/\\..\\serve.go",
		"/page.css/", "/debug/pprof/", "/openapi.json/..%2f..%2fgo.mod", "/index.html", "http://evil.example/", "*",
	} {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", path, addr)
		text, _ := io.ReadAll(c)
		c.Close()
		status, _, _ := strings.Cut(string(text), "\r\n")
		if strings.Contains(status, " 200 ") || bytes.Contains(text, []byte("root:")) ||
			bytes.Contains(text, []byte("package")) || !strings.HasPrefix(status, "HTTP/1.1 ") {
			t.Errorf("%s: %.300s", path, text)
		}
	}
}

// One client asks 10,000 times as fast as it can; others are served meanwhile, and nothing of it stays.
func TestTenThousandRequests(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it takes seconds")
	}
	f := &fake{}
	ours, _ := start(t, f, Options{Rate: 20, TrustProxy: true})
	send := func(client string) int {
		r, err := http.NewRequest("POST", ours+"/predict", bytes.NewReader(grey(200)))
		if err != nil {
			t.Error(err)
			return 0
		}
		r.Header.Set("X-Forwarded-For", client)
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return 0
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
		return answer.StatusCode
	}
	send("192.0.2.9")
	before := runtime.NumGoroutine()
	start := time.Now()
	var ok, told, left atomic.Int64
	left.Store(10_000)
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			for left.Add(-1) >= 0 {
				switch code := send("192.0.2.1"); code {
				case 200:
					ok.Add(1)
				case 429:
					told.Add(1)
				default:
					t.Errorf("%d", code)
				}
			}
		})
	}
	polite := 0
	for left.Load() > 0 && !t.Failed() {
		if code := send("192.0.2.2"); code != 200 {
			t.Errorf("another client: %d", code)
		}
		polite++
		time.Sleep(100 * time.Millisecond) // half its rate
	}
	wg.Wait()
	took := time.Since(start)
	if n := ok.Load() + told.Load(); n != 10_000 {
		t.Errorf("%d answers", n)
	}
	if most := int64(20*took.Seconds()) + 21; ok.Load() > most {
		t.Errorf("%d were predicted in %v, at most %d should be", ok.Load(), took, most)
	}
	if polite == 0 {
		t.Error("no other client asked")
	}
	http.DefaultClient.CloseIdleConnections()
	for range 200 {
		if runtime.NumGoroutine() <= before+4 {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%d goroutines, before it %d", runtime.NumGoroutine(), before)
}

// Guessing tokens is slowed as asking is.
func TestGuessesOfTokensAreSlowed(t *testing.T) {
	ours, _ := start(t, &fake{}, Options{Rate: 1, Tokens: []string{"a-token-of-this-test"}})
	codes := map[int]int{}
	for i := range 200 {
		r, _ := ask(t, "POST", ours+"/predict", map[string]string{"Authorization": fmt.Sprint("Bearer guess-", i)})
		codes[r.StatusCode]++
	}
	if codes[401]+codes[429] != 200 || codes[429] < 150 {
		t.Errorf("%v", codes)
	}
}
