package serve

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"finetune/internal/uitest/browser"
)

// hostile is a file name that would run in a page that takes it for HTML.
const hostile = `<img src=x onerror="document.title='owned'">.png`

// try hands a photograph to the page as a script of the page could, with a
// hostile name, and waits for the answer.
const handOver = `(async () => {
	const answer = document.getElementById("answer");
	const canvas = document.createElement("canvas");
	canvas.width = canvas.height = 60;
	const g = canvas.getContext("2d");
	g.fillStyle = "%s"; g.fillRect(0, 0, 60, 60);
	const blob = await new Promise(done => canvas.toBlob(done));
	const all = new DataTransfer();
	all.items.add(new File([blob], %q, {type: "image/png"}));
	dispatchEvent(%s);
	await new Promise(done => setTimeout(done, 20));
	while (answer.hasAttribute("aria-busy")) await new Promise(done => setTimeout(done, 20));
	return answer.innerText;
})()`

func TestPageInBrowser(t *testing.T) {
	ctx := browser.Start(t)
	const token = "a-token-of-this-test"
	url, _ := start(t, &fake{}, Options{Page: true, Coverage: .9, Limit: .2, Tokens: []string{token}})
	file := filepath.Join(t.TempDir(), "dusk.png")
	if err := os.WriteFile(file, grey(110), 0o666); err != nil {
		t.Fatal(err)
	}
	none, err := filepath.Abs("page_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, width := range []int64{360, 1440} {
		t.Run(fmt.Sprint(width), func(t *testing.T) {
			p := browser.Open(t, ctx, url+"/?token="+token, width, 800)
			looks := func(name string) {
				t.Helper()
				if wide := p.Text("document.documentElement.scrollWidth - document.documentElement.clientWidth"); wide != "0" {
					t.Errorf("%s: the page is %s px wider than the window", name, wide)
				}
				for _, f := range p.Faults() {
					t.Errorf("%s: %+v", name, f)
				}
				p.Shoot(fmt.Sprintf("serve-%s-%d", name, width))
			}
			if at := p.Text("location.href"); at != url+"/" {
				t.Errorf("the address is %s, still with its token", at)
			}
			looks("empty")

			p.Do(chromedp.SetUploadFiles("#file", []string{file}), chromedp.WaitVisible(".first"))
			said := p.Text("answer.innerText")
			for _, part := range []string{"dark\n", "56.9 %", "43.1 %", "Prediction set, 90 %", "dark, light",
				"0.86: like the training photographs"} {
				if !strings.Contains(said, part) {
					t.Errorf("the answer has no %q:\n%s", part, said)
				}
			}
			looks("answer")
			p.Scheme("dark")
			looks("dark")
			p.Scheme("light")

			for _, tt := range []struct{ event, colour, want string }{
				{`new ClipboardEvent("paste", {clipboardData: all})`, "#eee", "light\n"},
				{`new DragEvent("drop", {dataTransfer: all, cancelable: true})`, "#111", "dark\n"},
			} {
				said := p.Text(fmt.Sprintf(handOver, tt.colour, hostile, tt.event))
				if !strings.HasPrefix(said, tt.want) {
					t.Errorf("%s: %s", tt.event, said)
				}
				if alt := p.Text("picture.alt"); alt != hostile {
					t.Errorf("the name is %q", alt)
				}
			}
			if got := p.Text("document.title + document.querySelectorAll('img').length"); got != "Try the classifier1" {
				t.Errorf("after a hostile name: %s", got)
			}

			p.Do(chromedp.Click("#camera"), chromedp.WaitVisible("#shoot"))
			if _, err := chromedp.Run(p, chromedp.Poll[bool]("video.videoWidth > 0")); err != nil {
				t.Fatal(err)
			}
			looks("camera")
			p.Do(chromedp.Click("#shoot"))
			if _, err := chromedp.Run(p, chromedp.Poll[bool](`picture.alt.startsWith("The camera") && `+
				`!answer.hasAttribute("aria-busy")`)); err != nil {
				t.Fatal(err)
			}
			if got := p.Text("[picture.alt, video.hidden, video.srcObject].join()"); got != "The camera's photograph,true," {
				t.Errorf("after the camera: %s", got)
			}

			p.Do(chromedp.SetUploadFiles("#file", []string{none}), chromedp.WaitVisible(".error"))
			if said := p.Text("answer.innerText"); !strings.HasPrefix(said, "unreadable: ") {
				t.Errorf("of no photograph: %s", said)
			}
			looks("refused")

			messages, requests := p.Heard()
			messages = slices.DeleteFunc(messages, func(m string) bool { return strings.Contains(m, "status of 422") })
			if len(messages) > 0 {
				t.Errorf("console: %q", messages)
			}
			for _, r := range requests {
				if !strings.HasPrefix(r, url+"/") {
					t.Errorf("it asks for %s", r)
				}
			}
			if len(requests) < 8 {
				t.Errorf("only %d requests were seen", len(requests))
			}
		})
	}
}

// Nothing of the page is there without the flag.
func TestNoPageUnlessAsked(t *testing.T) {
	url, _ := start(t, &fake{}, Options{})
	for _, path := range []string{"/", "/page.js", "/page.css", "/index.html", "/?token=x"} {
		if r, _ := ask(t, "GET", url+path, nil); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %d", path, r.StatusCode)
		}
	}
}
