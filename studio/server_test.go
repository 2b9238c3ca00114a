package studio

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"finetune/studio/session"
)

// Whatever is asked for, nobody gets a file, and nothing is said that no page of the studio said.
func TestAttacks(t *testing.T) {
	st := newStand(t, 20, 0)
	v, address, _ := st.start(t, session.Options{Classes: []string{"circle", "square"}}, true)
	host, _, _ := strings.Cut(strings.TrimPrefix(address, "http://"), "/")
	base := "http://" + host
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	if a, err := client.Get(address); err != nil || a.StatusCode != 200 {
		t.Fatalf("%v, %v", a, err)
	}
	id := v.s.Photos()[3].ID
	good := `{"ids":["` + id + `"],"labels":["circle"]}`
	json := map[string]string{"Content-Type": "application/json"}
	with := func(k, v string) map[string]string {
		h := map[string]string{k: v}
		for k, v := range json {
			h[k] = v
		}
		return h
	}
	for _, c := range []struct {
		name, method, path, body string
		header                   map[string]string
		anonymous                bool
		want                     int
	}{
		{"no token", "POST", "/api/label", good, json, true, 401},
		{"no token, a picture", "GET", "/photo/" + id, "", nil, true, 401},
		{"another origin", "POST", "/api/label", good, with("Origin", "http://evil.example"), false, 403},
		{"a form of another origin", "POST", "/api/label", good, map[string]string{"Content-Type": "text/plain",
			"Sec-Fetch-Site": "cross-site"}, false, 403},
		{"a picture on a page elsewhere", "GET", "/photo/" + id, "", map[string]string{"Sec-Fetch-Site": "cross-site"},
			false, 403},
		{"rebinding", "GET", "/api/state", "", map[string]string{"Host": "evil.example"}, false, 403},
		{"a form", "POST", "/api/label", "ids=1", map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			false, 400},
		{"traversal", "GET", "/photo/..%2f..%2f..%2fetc%2fpasswd", "", nil, false, 404},
		{"traversal of the page", "GET", "/..%2fpage.go", "", nil, false, 404},
		{"source code", "GET", "/page.go", "", nil, false, 404},
		{"a path for an ID", "POST", "/api/label", `{"ids":["p0001.png"],"labels":["circle"]}`, json, false, 400},
		{"no photograph", "POST", "/api/label", `{"ids":[],"labels":["circle"]}`, json, false, 400},
		{"two labels", "POST", "/api/label", `{"ids":["` + id + `"],"labels":["circle","square"]}`, json, false, 400},
		{"a class with a line break", "POST", "/api/class", `{"name":"a\nb"}`, json, false, 400},
		{"too much JSON", "POST", "/api/class", `{"name":"` + strings.Repeat("x", 2<<20) + `"}`, json, false, 413},
		{"a huge body", "POST", "/api/class", strings.Repeat(" ", maxBody+1), json, false, 413},
		{"labels by GET", "GET", "/api/label", "", nil, false, 405},
		{"a label", "POST", "/api/label", good, json, false, 200},
	} {
		r, err := http.NewRequest(c.method, base+c.path, strings.NewReader(c.body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range c.header {
			r.Header.Set(k, v)
		}
		r.Host = c.header["Host"]
		by := client
		if c.anonymous {
			by = &http.Client{}
		}
		a, err := by.Do(r)
		if err != nil {
			if c.want != 413 { // the server may hang up on who sends too much
				t.Errorf("%s: %v", c.name, err)
			}
			continue
		}
		text, _ := io.ReadAll(a.Body)
		a.Body.Close()
		if a.StatusCode != c.want {
			t.Errorf("%s: %d %.100s, want %d", c.name, a.StatusCode, text, c.want)
		}
		if csp := a.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") {
			t.Errorf("%s: policy %q", c.name, csp)
		}
		if a.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: other origins may read", c.name)
		}
	}
	text, err := os.ReadFile(filepath.Join(st.folder, session.LabelsFile))
	if err != nil || strings.Count(string(text), "\n") != 2 || !strings.Contains(string(text), ",circle,") {
		t.Errorf("labels.csv: %s, %v", text, err)
	}
}

// Pictures that were made are forgotten before they fill the memory.
func TestPicturesAreBounded(t *testing.T) {
	h := newShots(nil)
	for i := range 300 {
		h.keep(strings.Repeat("k", i+1), make([]byte, 1<<20))
	}
	first, last := h.have("k"), h.have(strings.Repeat("k", 300))
	if h.bytes > mostShots || h.order.Len() != len(h.byKey) || first != nil || last == nil {
		t.Errorf("%d bytes in %d pictures", h.bytes, h.order.Len())
	}
}
