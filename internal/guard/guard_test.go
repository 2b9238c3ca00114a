package guard

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

const secret = "0123456789abcdef"

var local = map[string]string{"Host": "localhost"}

var inner = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}
})

func ask(g *Guard, method, target string, header map[string]string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(header["body"]))
	for k, v := range header {
		switch k {
		case "Host":
			r.Host = v
		case "body":
		case "chunked":
			r.ContentLength = -1
		default:
			r.Header.Set(k, v)
		}
	}
	w := httptest.NewRecorder()
	g.Protect(inner).ServeHTTP(w, r)
	return w
}

func TestWhoIsLetIn(t *testing.T) {
	g := New(Options{Tokens: []string{"another-token-too", secret}, InPath: true, MaxBody: 10,
		Hosts: []string{"own.example"}})
	bearer := "Bearer " + secret
	for _, c := range []struct {
		name, method string
		header       map[string]string
		want         int
	}{
		{"a token", "GET", map[string]string{"Authorization": bearer}, 200},
		{"small letters", "POST", map[string]string{"Authorization": "bearer " + secret}, 200},
		{"no token", "GET", nil, 401},
		{"a wrong token", "GET", map[string]string{"Authorization": bearer + "x"}, 401},
		{"another kind", "GET", map[string]string{"Authorization": "Basic " + secret}, 401},
		{"the own name", "GET", map[string]string{"Authorization": bearer, "Host": "OWN.example.:8080"}, 200},
		{"an address", "GET", map[string]string{"Authorization": bearer, "Host": "[::1]:80"}, 200},
		{"rebinding", "GET", map[string]string{"Authorization": bearer, "Host": "evil.example"}, 403},
		{"rebinding to a prefix", "GET", map[string]string{"Authorization": bearer, "Host": "localhost.evil.example"}, 403},
		{"a post from elsewhere", "POST", map[string]string{"Authorization": bearer, "Origin": "http://evil.example",
			"Host": "localhost"}, 403},
		{"another port", "POST", map[string]string{"Authorization": bearer, "Origin": "http://localhost:1",
			"Host": "localhost:2"}, 403},
		{"a post from here", "POST", map[string]string{"Authorization": bearer, "Origin": "http://localhost:2",
			"Host": "localhost:2"}, 200},
		{"a picture on a page elsewhere", "GET", map[string]string{"Authorization": bearer, "Sec-Fetch-Site": "cross-site",
			"Sec-Fetch-Mode": "no-cors"}, 403},
		{"a link elsewhere", "GET", map[string]string{"Authorization": bearer, "Sec-Fetch-Site": "cross-site",
			"Sec-Fetch-Mode": "navigate"}, 200},
		{"a large body", "POST", map[string]string{"Authorization": bearer, "body": "01234567890"}, 413},
		{"a large body in chunks", "POST", map[string]string{"Authorization": bearer, "body": "01234567890",
			"chunked": "1"}, 413},
	} {
		h := map[string]string{"Host": "127.0.0.1:1"}
		for k, v := range c.header {
			h[k] = v
		}
		w := ask(g, c.method, "/x", h)
		if w.Code != c.want {
			t.Errorf("%s: %d %s, want %d", c.name, w.Code, w.Body, c.want)
		}
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control") {
				t.Errorf("%s: %s was sent", c.name, name)
			}
		}
	}
}

// The token in the address becomes a cookie, and the address loses it.
func TestEntering(t *testing.T) {
	g := New(Options{Tokens: []string{secret}, InPath: true})
	for path, want := range map[string]string{"/?token=" + secret: "/", "/a?b=1&token=" + secret: "/a?b=1",
		"//evil.example/?token=" + secret: "/evil.example/"} {
		r := httptest.NewRequest("GET", "http://localhost/", nil)
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(path, "?")
		w := httptest.NewRecorder()
		g.Protect(inner).ServeHTTP(w, r)
		if w.Code != http.StatusSeeOther || w.Header().Get("Location") != want {
			t.Errorf("%s: %d, %q, want %q", path, w.Code, w.Header().Get("Location"), want)
		}
		c := w.Result().Cookies()
		if len(c) != 1 || !c[0].HttpOnly || c[0].SameSite != http.SameSiteStrictMode {
			t.Fatalf("cookies %v", c)
		}
		if again := ask(g, "GET", "/", map[string]string{"Host": "localhost", "Cookie": c[0].String()}); again.Code != 200 {
			t.Errorf("with the cookie: %d", again.Code)
		}
	}
	if w := ask(g, "GET", "/?token=wrong", local); w.Code != 401 || len(w.Result().Cookies()) > 0 {
		t.Errorf("a wrong token: %d", w.Code)
	}
	if w := ask(New(Options{Tokens: []string{secret}}), "GET", "/?token="+secret, local); w.Code != 401 {
		t.Errorf("a token in the address of a server for programs: %d", w.Code)
	}
}

func TestRate(t *testing.T) {
	l, now := newLimiter(2, 3), time.Unix(1000, 0)
	for i, want := range []bool{true, true, true, false} {
		if l.allow("a", now) != want {
			t.Errorf("request %d: not %t", i, want)
		}
	}
	if !l.allow("b", now) || !l.allow("a", now.Add(500*time.Millisecond)) || l.allow("a", now.Add(500*time.Millisecond)) {
		t.Error("one client stands in another's way, or a bucket fills at another rate")
	}
	for i := range 3 * mostClients {
		l.allow(fmt.Sprint(i), now)
	}
	if len(l.clients) > mostClients {
		t.Errorf("%d clients are remembered", len(l.clients))
	}
	g := New(Options{Rate: 0.001, Burst: 2})
	ask(g, "GET", "/", local)
	ask(g, "GET", "/", local)
	if w := ask(g, "GET", "/", local); w.Code != 429 || w.Header().Get("Retry-After") == "" {
		t.Errorf("the third of two: %d", w.Code)
	}
}

func TestAddressAndToken(t *testing.T) {
	a, b := NewToken(), NewToken()
	if len(a) != 32 || a == b {
		t.Errorf("tokens %q, %q", a, b)
	}
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80}
	if got := Address(at, "x"); got != "http://127.0.0.1:80/?token=x" {
		t.Error(got)
	}
}
