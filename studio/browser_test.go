package studio

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"finetune/internal/uitest/browser"
	"finetune/studio/session"
)

// tab is a page that waits for what its server does.
type tab struct {
	*browser.Tab
	t *testing.T
}

func open(t *testing.T, address string) tab {
	t.Helper()
	return tab{browser.Open(t, browser.Start(t), address, 1440, 900), t}
}

// quiet fails where the page complained, or asked anybody but its server.
func (b tab) quiet(address string) {
	b.t.Helper()
	messages, requests := b.Heard()
	if len(messages) > 0 {
		b.t.Errorf("console: %q", messages)
	}
	host := hostOf(b.t, address)
	if i := slices.IndexFunc(requests, func(r string) bool { return hostOf(b.t, r) != host }); i >= 0 {
		b.t.Errorf("the page asks %s", requests[i])
	}
}

func value[T any](b tab, script string) T {
	b.t.Helper()
	v, err := chromedp.Run(b, chromedp.Evaluate[T](script))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return v
}

// until waits for a condition of the page.
func (b tab) until(what, script string) {
	b.t.Helper()
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if value[bool](b, script) {
			return
		}
		if time.Now().After(end) {
			b.t.Fatalf("%s: not within 30 s; the page says %q", what, value[string](b, "document.body.innerText"))
		}
	}
}

// fits fails where the page is wider than the window, or text was read as HTML.
func (b tab) fits(width int64) {
	b.t.Helper()
	b.Do(chromedp.EmulateViewport(width, 900))
	time.Sleep(200 * time.Millisecond)
	if over := value[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth"); over > 0 {
		b.t.Errorf("at %d px the page is %d px too wide", width, over)
	}
	if title := value[string](b, "document.title"); title != "finetune studio" {
		b.t.Errorf("title %q", title)
	}
}

const (
	nameShown = `document.getElementById("name").textContent`
	imageHere = `(i => Boolean(i && i.complete && i.naturalWidth))(document.querySelector("#frame img"))`
)

func hostOf(t *testing.T, address string) string {
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u.Host
}

// Sixty photographs are labelled by keyboard: the next one is there at once, accuracy rises, and neither loading the
// page again nor another process loses a label.
func TestLabelByKeyboard(t *testing.T) {
	st := newStand(t, 400, 100)
	o := session.Options{Classes: []string{"circle", "square"}, Who: "ann"}
	v, address, end := st.start(t, o, true)
	b := open(t, address)
	b.until("a photograph", imageHere)
	if at := value[string](b, "location.href"); strings.Contains(at, "token") {
		t.Errorf("the address keeps the token: %s", at)
	}
	var slowest time.Duration
	for i := range 60 {
		name := value[string](b, nameShown)
		key := map[string]string{"circle": "1", "square": "2"}[class(name)]
		pressed := time.Now()
		b.Do(chromedp.KeyEvent(key))
		b.until("the next photograph", nameShown+" !== "+fmt.Sprintf("%q", name)+" && "+imageHere)
		slowest = max(slowest, time.Since(pressed))
		b.until("its label", fmt.Sprintf(`Number(document.getElementById("counts").textContent) === %d`, 100+i+1))
	}
	t.Logf("from key to next photograph at most %v", slowest)
	b.until("a head that knows all", `document.getElementById("accuracy").textContent.includes("%")`)
	state := v.s.State()
	first, last := state.History[0].Value, state.History[len(state.History)-1].Value
	if last < first+.05 || last < .75 {
		t.Errorf("accuracy went from %.2f to %.2f", first, last)
	}
	b.Shoot("label-1440")
	b.fits(1440)

	b.Do(chromedp.Reload())
	b.until("the labels after loading again", `document.getElementById("counts").textContent === "160"`)
	b.Do(chromedp.KeyEvent("z"))
	b.until("a label taken back", `document.getElementById("counts").textContent === "159"`)
	name := value[string](b, nameShown)
	b.Do(chromedp.KeyEvent(" "))
	b.until("the next photograph after one is skipped", nameShown+" !== "+fmt.Sprintf("%q", name))
	b.until("that it was skipped", `document.getElementById("learned").textContent.includes("1 skipped")`)
	b.fits(360)
	b.Shoot("label-360")
	b.quiet(address)

	end()
	_, address, _ = st.start(t, session.Options{}, true)
	again := open(t, address)
	again.until("the labels in another process", `document.getElementById("counts").textContent === "159"`)
	again.quiet(address)
}

// A photograph that is not of the folder is judged, beside those that are like it.
func TestTry(t *testing.T) {
	st := newStand(t, 60, 0)
	v, address, _ := st.start(t, session.Options{Classes: []string{"circle", "square"}}, true)
	v.Embed = func(_ context.Context, data []byte) ([]float32, error) { // stands for the body: knows photograph 7
		if want, err := os.ReadFile(filepath.Join(st.photos, st.name(7))); err != nil || !bytes.Equal(data, want) {
			return nil, fmt.Errorf("another photograph (%v)", err)
		}
		return st.rows()[7], nil
	}
	for range 20 {
		a := v.s.Next(1, nil, false)[0]
		if err := v.s.Label([]string{a.ID}, []string{class(a.Path)}, a.Source); err != nil {
			t.Fatal(err)
		}
	}
	b := open(t, address)
	b.until("a photograph", imageHere)
	value[bool](b, `location.hash = "#try", true`)
	b.Do(chromedp.SetUploadFiles("#file-try", []string{filepath.Join(st.photos, st.name(7))}))
	b.until("an answer", `document.querySelectorAll("#try-near img").length === 6`)
	if got := value[string](b, `document.querySelector("#try-guess").textContent`); !strings.HasPrefix(got, "square") {
		t.Errorf("%q", got)
	}
	b.until("the pictures", `[...document.querySelectorAll("#tried img")].every(i => i.complete && i.naturalWidth)`)
	b.Shoot("try-1440")
	b.fits(360)
	b.quiet(address)
}

// Several alike photographs are labelled at once, and what was wrong is put right in the list of labels.
func TestLabelSeveral(t *testing.T) {
	st := newStand(t, 300, 60)
	v, address, _ := st.start(t, session.Options{Classes: []string{"circle", "square", "<b>other</b>"}}, true)
	b := open(t, address)
	b.until("a photograph", imageHere)
	b.Do(chromedp.Click(`input[value=grid] + span`))
	b.until("a grid", `document.querySelectorAll(".pick img").length === 60`)
	b.until("its pictures",
		`[...document.querySelectorAll(".pick img")].filter(i => i.complete && i.naturalWidth).length > 20`)
	value[bool](b, `document.querySelectorAll(".pick")[2].click(), true`)
	value[bool](b,
		`document.querySelectorAll(".pick")[6].dispatchEvent(new MouseEvent("click",{shiftKey:true,bubbles:true}))`)
	if got := value[string](b, `document.getElementById("picked").textContent`); got != "5 photographs selected" {
		t.Errorf("%q", got)
	}
	b.fits(1440)
	b.Shoot("grid-1440")
	b.Do(chromedp.KeyEvent("1"))
	b.until("five labels", `document.getElementById("counts").textContent === "65"`)
	b.Do(chromedp.Click(`input[value=labelled] + span`))
	b.until("the list of labels", `document.querySelectorAll(".pick span").length === 60`)
	value[bool](b, `document.querySelectorAll(".pick")[0].click(), true`)
	b.Do(chromedp.KeyEvent("3"))
	b.until("a label put right", `document.querySelector(".pick span").textContent === "<b>other</b>"`)
	if st := v.s.State(); st.Classes[2].N != 1 || st.Classes[0].N != 4 {
		t.Errorf("%+v", st.Classes)
	}
	b.fits(360)
	b.Shoot("labelled-360")
	b.Do(chromedp.SendKeys("#class", "fourth\r"))
	b.until("a new class", `document.querySelectorAll("#classes button").length === 4`)
	b.quiet(address)
}
