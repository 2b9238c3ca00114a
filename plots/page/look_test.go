package page

import (
	"bytes"
	"context"
	"encoding/base64"
	"image"
	"image/png"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"finetune/internal/uitest/browser"
)

// TestLookLiesOverItsPlace: the strongest place of a map is coloured where it is in the picture, and what the model
// does not get is left alone.
func TestLookLiesOverItsPlace(t *testing.T) {
	corner := Look{Class: "ants", Rows: 2, Columns: 2, Levels: []uint8{0, 255, 0, 0}}
	for _, c := range []struct {
		name         string
		view         View
		size         image.Point
		on, off, out image.Point // in fortieths of the longer side; out is not seen
	}{
		{"the middle square", View{Share: 1}, image.Pt(80, 40), image.Pt(26, 4), image.Pt(13, 4), image.Pt(36, 4)},
		{"a narrow picture", View{Share: 1}, image.Pt(40, 80), image.Pt(16, 13), image.Pt(3, 26), image.Pt(16, 3)},
		{"all of it", View{Whole: true, Share: 1}, image.Pt(80, 40), image.Pt(36, 4), image.Pt(3, 4), image.Pt(3, 16)},
		{"half of a square", View{Share: .5}, image.Pt(80, 80), image.Pt(26, 13), image.Pt(13, 26), image.Pt(36, 4)},
	} {
		b := &builder{r: Report{Looks: map[string]Look{"a": corner}, View: c.view},
			thumbs: map[string]thumb{"a": {card: image.NewRGBA(image.Rectangle{Max: c.size})}}}
		_, data, _ := strings.Cut(string(b.look("a")), "base64,")
		raw, err := base64.StdEncoding.DecodeString(data)
		if err != nil {
			t.Fatal(err)
		}
		im, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		alpha := func(p image.Point) uint32 { _, _, _, a := im.At(p.X, p.Y).RGBA(); return a }
		if alpha(c.on) < 0xb000 || alpha(c.off) > 0x3000 || alpha(c.out) != 0 {
			t.Errorf("%s: %x where it looks, %x beside, %x outside", c.name, alpha(c.on), alpha(c.off), alpha(c.out))
		}
		if len(raw) > 1000 {
			t.Errorf("%s: %d bytes", c.name, len(raw))
		}
	}
	b := &builder{r: Report{Looks: map[string]Look{"a": corner, "b": {Rows: 2, Columns: 2, Levels: []uint8{1}}}},
		thumbs: map[string]thumb{"b": {card: image.NewRGBA(image.Rect(0, 0, 9, 9))}}}
	if b.look("a") != "" || b.look("b") != "" || b.look("c") != "" {
		t.Error("a look without a picture, or of another size")
	}
}

// looked is run with a look of every photograph.
func looked() Report {
	r := run(2, 153)
	r.Looks, r.View = map[string]Look{}, View{Share: 1}
	for _, p := range r.Valid {
		r.Looks[p.Path] = Look{Class: "ants", Rows: 7, Columns: 7, Levels: bytes.Repeat([]uint8{0, 90, 255, 30, 0, 0, 10}, 7)}
	}
	return r
}

// TestSwitchInBrowser: looks appear when the box is ticked, by the keyboard too, and without a script.
func TestSwitchInBrowser(t *testing.T) {
	ctx := browser.Start(t)
	dir := t.TempDir()
	if err := WriteReport(dir, looked()); err != nil {
		t.Fatal(err)
	}
	tab, stop := chromedp.NewContext(ctx)
	defer stop()
	tab, stop = context.WithTimeout(tab, 2*time.Minute)
	defer stop()
	address := (&url.URL{Scheme: "file", Path: filepath.Join(dir, "index.html")}).String()
	visible := func() int {
		n, err := chromedp.Run(tab, chromedp.Evaluate[int](
			`[...document.querySelectorAll(".look")].filter(e => getComputedStyle(e).visibility === "visible").length`))
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	if err := chromedp.Do(tab, chromedp.EmulateViewport(360, 800), chromedp.Navigate(address)); err != nil {
		t.Fatal(err)
	}
	if n := visible(); n != 0 {
		t.Errorf("%d looks are there before anybody asks", n)
	}
	press := func(how string) {
		if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](how+"; true")); err != nil {
			t.Fatal(err)
		}
	}
	press(`document.querySelector(".switch").click()`)
	if n := visible(); n < 30 {
		t.Errorf("%d looks appear", n)
	}
	press(`document.querySelector(".switch input").focus()`)
	if err := chromedp.Do(tab, chromedp.KeyEvent(" ")); err != nil {
		t.Fatal(err)
	}
	if n := visible(); n != 0 {
		t.Errorf("%d looks stay", n)
	}
}
