package fetch

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// content is 3 MB with no repeating block, so that misplaced bytes change the digest.
var content = func() []byte {
	b := make([]byte, 3_000_000)
	for i := range b {
		b[i] = byte(i*7 + i>>8*13 + i>>16)
	}
	return b
}()

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// server serves content as ServeContent does, with the faults a test asks for.
type server struct {
	*httptest.Server
	requests atomic.Int32
	sent     atomic.Int64
	mu       sync.Mutex
	ranges   []string
}

func serve(t *testing.T, handle func(n int, w http.ResponseWriter, r *http.Request)) *server {
	t.Helper()
	needLoopback(t)
	s := &server{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.ranges = append(s.ranges, r.Header.Get("Range"))
		s.mu.Unlock()
		n := int(s.requests.Add(1))
		handle(n, &counting{w, &s.sent}, r)
	}))
	t.Cleanup(s.Close)
	return s
}

// needLoopback skips where even the machine's own address cannot be reached, as
// in a network namespace that was just made.
func needLoopback(t *testing.T) {
	t.Helper()
	s := httptest.NewServer(http.NotFoundHandler())
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Skipf("skipped: the loopback interface is down: %v", err)
	}
	c.Close()
}

type counting struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.sent.Add(int64(n))
	return n, err
}

func whole(w http.ResponseWriter, r *http.Request) {
	http.ServeContent(w, r, "body.pth", time.Time{}, bytes.NewReader(content))
}

// cut announces everything and sends the first n bytes of it.
func cut(n int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content[:n])
		w.(*counting).ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

func download(t *testing.T, url string) Download {
	return Download{URL: url + "/body.pth", Path: filepath.Join(t.TempDir(), "weights", "body.pth"),
		SHA256: digestOf(content), Wait: time.Millisecond}
}

func check(t *testing.T, d Download) {
	t.Helper()
	digest, err := d.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(d.Path)
	if err != nil || !bytes.Equal(got, content) || digest != digestOf(content) {
		t.Fatalf("%d bytes with digest %s, error %v; want %d bytes, %s", len(got), digest, err, len(content),
			digestOf(content))
	}
	if _, err := os.Stat(d.Path + ".part"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the part file is still there (%v)", err)
	}
}

// fails runs d and checks that the error says what and that no file appeared.
func fails(t *testing.T, d Download, says ...string) {
	t.Helper()
	_, err := d.Run(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, s := range append(says, d.URL) {
		if !strings.Contains(err.Error(), s) {
			t.Errorf("error %q does not mention %q", err, s)
		}
	}
	if _, err := os.Stat(d.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%s appeared all the same (%v)", d.Path, err)
	}
}

func TestDownload(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	d := download(t, s.URL)
	var last, total int64
	d.Progress = func(done, all int64) { last, total = done, all }
	check(t, d)
	if last != int64(len(content)) || total != int64(len(content)) {
		t.Errorf("progress ended at %d of %d, want %d of %d", last, total, len(content), len(content))
	}
}

func TestDownloadPrefix(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	d := download(t, s.URL)
	d.SHA256 = d.SHA256[:8]
	check(t, d)

	d = download(t, s.URL)
	d.SHA256 = "00000000"
	fails(t, d, "digest is "+digestOf(content), "expected 00000000")
	if size(d.Path+".part") != 0 {
		t.Error("bytes with a wrong digest were kept to be continued")
	}

	d.SHA256 = ""
	fails(t, d, "no digest")
}

func TestDownloadResumesAfterCut(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n <= 2 && r.Header.Get("Range") == "" {
			cut(1_000_000)(w)
		}
		whole(w, r)
	})
	check(t, download(t, s.URL))
	if sent := s.sent.Load(); sent > int64(len(content))+100_000 {
		t.Errorf("%d bytes were sent for a file of %d: the second attempt began anew", sent, len(content))
	}
	if s.requests.Load() != 2 || !strings.HasPrefix(s.ranges[1], "bytes=") {
		t.Errorf("requests asked for %q, want the second to continue", s.ranges)
	}
}

func TestDownloadResumesInNextProcess(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	for name, kept := range map[string]int{"half": 1_500_000, "all but the rename": len(content)} {
		d := download(t, s.URL)
		if err := os.MkdirAll(filepath.Dir(d.Path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.Path+".part", content[:kept], 0o644); err != nil {
			t.Fatal(err)
		}
		before := s.sent.Load()
		check(t, d)
		if sent := s.sent.Load() - before; sent > int64(len(content)-kept)+1000 {
			t.Errorf("%s: %d bytes sent, %d were missing", name, sent, len(content)-kept)
		}
	}
}

// A part left by another version of the file: longer, or equal in length but
// of other bytes. Both end in the right file.
func TestDownloadForeignPart(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	for name, part := range map[string][]byte{
		"longer": make([]byte, len(content)+10),
		"other":  make([]byte, 1000),
		"equal":  make([]byte, len(content)),
	} {
		t.Run(name, func(t *testing.T) {
			d := download(t, s.URL)
			os.MkdirAll(filepath.Dir(d.Path), 0o777)
			if err := os.WriteFile(d.Path+".part", part, 0o644); err != nil {
				t.Fatal(err)
			}
			check(t, d)
		})
	}
}

func TestDownloadServerIgnoresRange(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			cut(1_000_000)(w)
		}
		r.Header.Del("Range")
		whole(w, r)
	})
	check(t, download(t, s.URL))
}

func TestDownloadWrongRange(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		switch {
		case n == 1:
			cut(1_000_000)(w)
		case r.Header.Get("Range") != "":
			w.Header().Set("Content-Range", fmt.Sprintf("bytes 5-%d/%d", len(content)-1, len(content)))
			w.WriteHeader(http.StatusPartialContent)
			w.Write(content[5:])
		default:
			whole(w, r)
		}
	})
	check(t, download(t, s.URL))
}

func TestDownloadRefused(t *testing.T) {
	for _, code := range []int{400, 401, 403, 404, 410} {
		s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { http.Error(w, "no", code) })
		fails(t, download(t, s.URL), strconv.Itoa(code))
		if n := s.requests.Load(); n != 1 {
			t.Errorf("%d: asked %d times, no answer to come is different", code, n)
		}
	}
}

func TestDownloadBusy(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n < 4 {
			http.Error(w, "busy", http.StatusServiceUnavailable)
			return
		}
		whole(w, r)
	})
	check(t, download(t, s.URL))

	s = serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { http.Error(w, "busy", http.StatusBadGateway) })
	fails(t, download(t, s.URL), "502", "5 attempts")
	if n := s.requests.Load(); n != 5 {
		t.Errorf("asked %d times, want 5", n)
	}
}

// Without a length a cut looks like the end; the digest tells.
func TestDownloadTruncatedSilently(t *testing.T) {
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.(*counting).ResponseWriter.(http.Flusher).Flush() // chunked
		w.Write(content[:2_000_000])
	})
	fails(t, download(t, s.URL), "digest is "+digestOf(content[:2_000_000]))
}

func TestDownloadTooLong(t *testing.T) {
	for name, handle := range map[string]func(int, http.ResponseWriter, *http.Request){
		"announced": func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) },
		"endless": func(_ int, w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(content); err != nil {
					return
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t, handle)
			d := download(t, s.URL)
			d.Max = 2 << 20
			fails(t, d, "may have")
			if n := size(d.Path + ".part"); n > d.Max {
				t.Errorf("%d bytes were written, the limit is %d", n, d.Max)
			}
		})
	}
}

func TestDownloadSilence(t *testing.T) {
	s := serve(t, func(n int, w http.ResponseWriter, r *http.Request) {
		if n == 1 {
			w.Header().Set("Content-Length", strconv.Itoa(len(content)))
			w.Write(content[:1000])
			w.(*counting).ResponseWriter.(http.Flusher).Flush()
			<-r.Context().Done()
			return
		}
		whole(w, r)
	})
	d := download(t, s.URL)
	d.Stall = 100 * time.Millisecond
	check(t, d)
}

func TestDownloadCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(content)))
		w.Write(content[:1000])
		w.(*counting).ResponseWriter.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	d := download(t, s.URL)
	d.Progress = func(done, _ int64) {
		if done == 1000 {
			cancel()
		}
	}
	if _, err := d.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want the cancellation", err)
	}
	if n := size(d.Path + ".part"); n != 1000 {
		t.Errorf("%d bytes kept to be continued, want 1000", n)
	}
}

func TestDownloadProxy(t *testing.T) {
	needLoopback(t)
	var asked atomic.Value
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Store(r.URL.String())
		whole(w, r)
	}))
	defer proxy.Close()
	// ProxyFromEnvironment reads the environment once a process, so a client of
	// its own stands in; that the usual one has it is all that can be checked here.
	if client.Transport.(*http.Transport).Proxy == nil {
		t.Error("the usual client ignores proxies")
	}
	u := proxy.Listener.Addr().String()
	d := download(t, "http://photographs.invalid")
	d.Client = &http.Client{Transport: &http.Transport{Proxy: func(r *http.Request) (*url.URL,
		error) {
		return url.Parse("http://" + u)
	}}}
	check(t, d)
	if asked.Load() != "http://photographs.invalid/body.pth" {
		t.Errorf("the proxy was asked for %v", asked.Load())
	}
}

func TestDownloadNeverFromHTTPSToHTTP(t *testing.T) {
	plain := serve(t, func(_ int, w http.ResponseWriter, r *http.Request) { whole(w, r) })
	secure := httptest.NewTLSServer(http.RedirectHandler(plain.URL, http.StatusFound))
	defer secure.Close()
	d := download(t, secure.URL)
	d.Client = secure.Client()
	d.Client.CheckRedirect = client.CheckRedirect
	fails(t, d, "redirected from https")
	if plain.requests.Load() != 0 {
		t.Error("the plain address was asked")
	}
}
