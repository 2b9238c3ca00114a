package serve

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// ask sends a photograph with headers, of which Host is one.
func ask(t *testing.T, method, url string, headers map[string]string) (*http.Response, string) {
	t.Helper()
	r, err := http.NewRequest(method, url, bytes.NewReader(grey(200)))
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range headers {
		if r.Header.Set(k, v); k == "Host" {
			r.Host = v
		}
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer, string(text)
}

func TestHosts(t *testing.T) {
	url, _ := start(t, &fake{}, Options{Hosts: []string{"Photos.example."}})
	for host, want := range map[string]int{
		"localhost": 200, "localhost:8080": 200, "LOCALHOST.": 200, "a.localhost": 200, "127.0.0.1": 200, "10.1.2.3:80": 200,
		"[::1]:8080": 200, "[fe80::1]": 200,
		"photos.example": 200, "photos.example:8080": 200, "evil.example": 403, "photos.example.evil": 403,
		"127.0.0.1.evil.example": 403, "notlocalhost": 403,
	} {
		if r, text := ask(t, "POST", url+"/predict", map[string]string{"Host": host}); r.StatusCode != want {
			t.Errorf("%s: %d %s, want %d", host, r.StatusCode, text, want)
		}
		if r, _ := ask(t, "GET", url+"/metrics", map[string]string{"Host": host}); r.StatusCode != want {
			t.Errorf("%s, metrics: %d, want %d", host, r.StatusCode, want)
		}
	}
	any, _ := start(t, &fake{}, Options{Hosts: []string{"*"}})
	if r, _ := ask(t, "POST", any+"/predict", map[string]string{"Host": "evil.example"}); r.StatusCode != 200 {
		t.Errorf("any host: %d", r.StatusCode)
	}
}

func TestPagesOfOtherOrigins(t *testing.T) {
	url, _ := start(t, &fake{}, Options{})
	for _, tt := range []struct {
		headers map[string]string
		want    int
	}{
		{map[string]string{"Origin": "http://evil.example", "Content-Type": "text/plain"}, 403},
		{map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		{map[string]string{"Origin": "null"}, 403},
		{map[string]string{"Origin": url}, 200},
		{map[string]string{"Sec-Fetch-Site": "same-origin"}, 200},
		{nil, 200},
	} {
		if r, text := ask(t, "POST", url+"/predict", tt.headers); r.StatusCode != tt.want ||
			r.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v: %d %s, want %d", tt.headers, r.StatusCode, text, tt.want)
		}
	}
}

func TestTokens(t *testing.T) {
	url, _ := start(t, &fake{}, Options{Tokens: []string{"first-of-two-tokens", "second-of-two-tokens"}})
	for header, want := range map[string]int{
		"": 401, "Bearer": 401, "Bearer ": 401, "Bearer first-of-two-token": 401, "Basic first-of-two-tokens": 401,
		"first-of-two-tokens":        401,
		"Bearer first-of-two-tokens": 200, "bearer second-of-two-tokens": 200,
	} {
		for _, path := range []string{"POST /predict", "GET /metrics"} {
			method, path, _ := strings.Cut(path, " ")
			r, text := ask(t, method, url+path, map[string]string{"Authorization": header})
			if r.StatusCode != want || (want == 401) != (r.Header.Get("WWW-Authenticate") != "") {
				t.Errorf("%s with %q: %d %s, want %d", path, header, r.StatusCode, text, want)
			}
		}
	}
	for _, probe := range []string{"/healthz", "/livez", "/readyz"} {
		if r, text := ask(t, "GET", url+probe, nil); r.StatusCode != 200 {
			t.Errorf("%s without a token: %d %s", probe, r.StatusCode, text)
		}
	}
}

func TestClients(t *testing.T) {
	for _, tt := range []struct {
		remote, forwarded string
		trust             bool
		want              string
	}{
		{"10.0.0.1:5", "", false, "10.0.0.1"}, {"10.0.0.1:5", "9.9.9.9", false, "10.0.0.1"},
		{"10.0.0.1:5", "9.9.9.9, 8.8.8.8", true, "8.8.8.8"},
		{"[2001:db8:1:2:3::4]:5", "", false, "2001:db8:1:2::/64"}, {"[::ffff:10.0.0.1]:5", "", false, "10.0.0.1"},
		{"10.0.0.1:5", "nonsense", true, ""}, {"pipe", "", false, ""},
	} {
		s := New(&fake{}, Options{TrustProxy: tt.trust})
		r := &http.Request{RemoteAddr: tt.remote, Header: http.Header{}}
		if tt.forwarded != "" {
			r.Header.Set("X-Forwarded-For", tt.forwarded)
		}
		if got := s.client(r); got != tt.want {
			t.Errorf("%+v: %q", tt, got)
		}
	}
}

func TestRequestIDsAndAccessLog(t *testing.T) {
	var lines lockedBuffer
	url, stop := start(t, &fake{}, Options{Access: slog.New(slog.NewJSONHandler(&lines, nil))})
	r, _ := ask(t, "POST", url+"/predict", map[string]string{"X-Request-Id": "abc-1"})
	if got := r.Header.Get("X-Request-Id"); got != "abc-1" {
		t.Errorf("id %q, want the client's", got)
	}
	r, _ = ask(t, "POST", url+"/predict", map[string]string{"X-Request-Id": "a b\"c"})
	made := r.Header.Get("X-Request-Id")
	if len(made) < 16 || strings.Contains(made, " ") {
		t.Errorf("id %q, want one that was made", made)
	}
	ask(t, "GET", url+"/healthz", nil)
	ask(t, "GET", url+"/none", nil)
	stop()
	var got []map[string]any
	for line := range strings.Lines(lines.String()) {
		var m map[string]any
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		got = append(got, m)
	}
	if len(got) != 3 || got[0]["id"] != "abc-1" || got[1]["id"] != made || got[0]["status"] != 200.0 ||
		got[0]["photographs"] != 1.0 || got[2]["status"] != 404.0 {
		t.Errorf("the log has %v, want two predictions and a 404", got)
	}
}

func TestMetricsOnTheirOwnAddress(t *testing.T) {
	s := New(&fake{}, Options{Classes: []string{"dark", "light"}, MetricsAddr: "127.0.0.1:0",
		Tokens: []string{"a-token-of-letters"}})
	type pair struct{ main, metrics net.Addr }
	ready, ended := make(chan pair, 1), make(chan error, 1)
	go func() {
		ended <- s.ListenAndServe(t.Context(), "127.0.0.1:0", func(a, m net.Addr) { ready <- pair{a, m} })
	}()
	at := <-ready
	if r, text := ask(t, "GET", "http://"+at.metrics.String()+"/metrics", nil); r.StatusCode != 200 ||
		!strings.Contains(text, "finetune_requests_active") {
		t.Errorf("%d %.80s", r.StatusCode, text)
	}
	for _, url := range []string{at.main.String() + "/metrics", at.metrics.String() + "/predict"} {
		if r, _ := ask(t, "GET", "http://"+url, nil); r.StatusCode != 404 {
			t.Errorf("%s: %d, want 404", url, r.StatusCode)
		}
	}
}

// While it drains, the server still answers and says that it is not ready.
func TestDrain(t *testing.T) {
	url, stop := start(t, &fake{}, Options{Drain: func() time.Duration { return 400 * time.Millisecond }})
	ended := make(chan error, 1)
	go func() { ended <- stop() }()
	time.Sleep(100 * time.Millisecond)
	for path, want := range map[string]int{"/readyz": 503, "/healthz": 503, "/livez": 200} {
		if r, _ := ask(t, "GET", url+path, nil); r.StatusCode != want || !r.Close {
			t.Errorf("%s while it drains: %d, connection kept %v", path, r.StatusCode, !r.Close)
		}
	}
	if r, text := ask(t, "POST", url+"/predict", nil); r.StatusCode != 200 {
		t.Errorf("a new request while it drains: %d %s", r.StatusCode, text)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := http.Get(url + "/livez"); err == nil {
		t.Error("the server still listens")
	}
}

// Who is connected when the server ends, but was not accepted yet, is answered.
func TestBacklogIsAnswered(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	last := &lastCall{Listener: l}
	var waiting []net.Conn
	for range 20 {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		waiting = append(waiting, c)
	}
	last.announce()
	h := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter,
		_ *http.Request) {
		io.WriteString(w, "here")
	})}
	defer h.Close()
	if err := h.Serve(last); err == nil {
		t.Fatal("it still listens")
	}
	for i, c := range waiting {
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
		if text, err := io.ReadAll(c); err != nil || !strings.HasSuffix(string(text), "here") {
			t.Errorf("connection %d: %q, %v", i, text, err)
		}
	}
}

// lockedBuffer is a buffer that several goroutines write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
