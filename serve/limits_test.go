package serve

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"finetune/augment/picture"
)

// dial opens a connection and sends head on it.
func dial(t *testing.T, url, head string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err == nil {
		_, err = io.WriteString(c, head)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// Who announces much and sends nothing holds nothing.
func TestIdleUploadsStarveNobody(t *testing.T) {
	for name, announced := range map[string]string{"length": "Content-Length: 1048575",
		"chunked": "Transfer-Encoding: chunked"} {
		// two of the announced size would take all there is
		url, _ := start(t, &fake{}, Options{MaxBody: 1<<20 - 1, Uploads: 2 << 20, TrustProxy: true})
		for i := range 40 { // of clients each, so that no share ends them
			dial(t, url, fmt.Sprintf("POST /predict HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 10.0.0.%d\r\n%s\r\n\r\n", i,
				announced))
		}
		time.Sleep(50 * time.Millisecond)
		if code, text := post(t, url, "image/png", grey(200)); code != 200 {
			t.Errorf("%s: a good request beside 40 idle ones: %d %s", name, code, text)
		}
	}
}

func TestBudget(t *testing.T) {
	b := newBudget(100, 60)
	code := func(err error) int {
		var r *refusal
		if errors.As(err, &r) {
			return r.code
		}
		return 0
	}
	if err := b.take("a", 60); err != nil {
		t.Fatal(err)
	}
	if got := code(b.take("a", 1)); got != http.StatusTooManyRequests {
		t.Errorf("more than a client's share: %d", got)
	}
	if err := b.take("b", 40); err != nil {
		t.Errorf("another client: %v", err)
	}
	if got := code(b.take("c", 1)); got != http.StatusServiceUnavailable {
		t.Errorf("more than there is: %d", got)
	}
	b.give("a", 60)
	b.give("b", 40)
	if b.free != 100 || len(b.held) != 0 {
		t.Errorf("all given back: %d free, %v held", b.free, b.held)
	}
}

// What a request holds is at least what it keeps, and all of it comes back.
func TestUploadsPayForWhatTheyKeep(t *testing.T) {
	for _, size := range []int64{-1, 300_000} {
		u := &upload{budget: newBudget(1<<20, 1<<20), most: 1 << 20}
		data, err := u.all(bytes.NewReader(make([]byte, 300_000)), size)
		if err != nil || len(data) != 300_000 || u.held < int64(cap(data)) || u.held > 600_000 {
			t.Errorf("size %d: %d bytes in %d, %d paid for, %v", size, len(data), cap(data), u.held, err)
		}
		if u.release(); u.budget.free != 1<<20 {
			t.Errorf("size %d: %d of %d given back", size, u.budget.free, 1<<20)
		}
	}
	u := &upload{budget: newBudget(100_000, 100_000), most: 1 << 20}
	if _, err := u.all(bytes.NewReader(make([]byte, 300_000)), -1); err == nil {
		t.Error("three times the budget was read")
	}
	if u.release(); u.budget.free != 100_000 {
		t.Errorf("after a refusal %d of 100000 are free", u.budget.free)
	}
}

func TestSlowUploadEnds(t *testing.T) {
	var due []time.Duration
	begin := time.Now()
	u := &upload{body: bytes.NewReader(make([]byte, 1000)), rate: 100, start: begin, end: begin.Add(time.Minute),
		deadline: func(at time.Time) error {
			due = append(due, at.Sub(begin))
			return nil
		}}
	for range 3 {
		if _, err := u.Read(make([]byte, 400)); err != nil {
			t.Fatal(err)
		}
	}
	if want := []time.Duration{5 * time.Second, 9 * time.Second, 13 * time.Second}; fmt.Sprint(due) != fmt.Sprint(want) {
		t.Errorf("reads were to end after %v, want %v", due, want)
	}
	u.end = begin.Add(time.Second)
	_, _ = u.Read(make([]byte, 1))
	if due[3] != time.Second {
		t.Errorf("past the request's own end: %v", due[3])
	}
}

func TestTurns(t *testing.T) {
	turn := newTurns(1)
	ctx := t.Context()
	if err := turn.acquire(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var order []string
	var wg sync.WaitGroup
	for i, client := range []string{"a", "a", "a", "b"} {
		wg.Go(func() {
			if err := turn.acquire(ctx, client); err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			order = append(order, client)
			mu.Unlock()
			turn.release()
		})
		for { // until it waits
			turn.mu.Lock()
			n := len(turn.waiting["a"]) + len(turn.waiting["b"])
			turn.mu.Unlock()
			if n == i+1 {
				break
			}
			time.Sleep(time.Millisecond)
		}
	}
	left, cancel := context.WithCancel(ctx)
	gone := make(chan error)
	go func() { gone <- turn.acquire(left, "c") }()
	time.Sleep(5 * time.Millisecond)
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("a client that left: %v", err)
	}
	turn.release()
	wg.Wait()
	if got := strings.Join(order, ""); got != "abaa" {
		t.Errorf("order %s, want abaa: b does not wait for all of a", got)
	}
	if turn.free != 1 || len(turn.waiting) != 0 || len(turn.order) != 0 {
		t.Errorf("afterwards %d free, %d waiting", turn.free, len(turn.waiting))
	}
}

// hanging is a classifier whose decoder does not end.
type hanging struct {
	fake
	end chan struct{}
}

func (h *hanging) Load(dst []float32, data []byte, l picture.Limits) error {
	<-h.end
	return h.fake.Load(dst, data, l)
}

// waiting is a classifier whose decoder takes long, and ends with its context.
type waiting struct {
	fake
	begun, ended chan struct{}
}

func (w *waiting) Load(_ []float32, _ []byte, l picture.Limits) error {
	close(w.begun)
	var left <-chan struct{}
	if l.Context != nil {
		left = l.Context.Done()
	}
	select {
	case <-left:
		close(w.ended)
		return l.Context.Err()
	case <-time.After(20 * time.Second):
		return errors.New("nobody stopped the decoder")
	}
}

// What a client that has left asked for is decoded no further.
func TestDecodingEndsWhenTheClientLeaves(t *testing.T) {
	c := &waiting{begun: make(chan struct{}), ended: make(chan struct{})}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	serving, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- New(c, Options{Classes: []string{"dark", "light"}, Timeout: time.Minute}).Serve(serving, l)
	}()
	request, leave := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(request, http.MethodPost, "http://"+l.Addr().String()+"/predict",
		bytes.NewReader(grey(1)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "image/png")
	go func() {
		if answer, err := http.DefaultClient.Do(r); err == nil {
			answer.Body.Close()
		}
	}()
	<-c.begun
	leave()
	select {
	case <-c.ended:
	case <-time.After(5 * time.Second):
		t.Error("5 s after its client has left, the photograph is still being decoded")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A client has its answer after the time-out, whatever the decoder does; and
// while all of them hang the server is not ready, but alive.
func TestHangingDecoder(t *testing.T) {
	h := &hanging{end: make(chan struct{})}
	s := New(h, Options{Classes: []string{"dark", "light"}, Timeout: 200 * time.Millisecond, Decoders: 1,
		Probe: 50 * time.Millisecond})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l) }()
	url := "http://" + l.Addr().String()
	before := time.Now()
	if code, text := post(t, url, "image/png", grey(1)); code != http.StatusServiceUnavailable ||
		time.Since(before) > 2*time.Second {
		t.Errorf("%d %s after %v, want 503 after 0.2 s", code, text, time.Since(before))
	}
	status := func(path string) int {
		r, err := http.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		return r.StatusCode
	}
	if ready, live := status("/readyz"), status("/livez"); ready != 503 || live != 200 {
		t.Errorf("while the decoder hangs: ready %d, live %d", ready, live)
	}
	close(h.end)
	for until := time.Now().Add(5 * time.Second); status("/readyz") != 200; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatal("not ready again")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	given := func() int64 {
		s.uploads.mu.Lock()
		defer s.uploads.mu.Unlock()
		return s.uploads.free
	}
	// once the decoder has ended
	for until := time.Now().Add(5 * time.Second); given() != s.o.Uploads; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d of %d bytes given back", given(), s.o.Uploads)
		}
	}
}

// A client that sends all before it looks for the answer reads why it was refused.
func TestRefusedClientsReadWhy(t *testing.T) {
	url, _ := start(t, &fake{}, Options{})
	body := []byte(`{"images":[` + strings.Repeat(`"",`, 5_000_000) + `""]}`)
	c := dial(t, url, fmt.Sprintf("POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: "+
		"application/json\r\nContent-Length: %d\r\n\r\n", len(body)))
	if _, err := c.Write(body); err != nil {
		t.Fatalf("cut off while it sent: %v", err)
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 413" {
		t.Errorf("%q, %v; want 413", answer, err)
	}
}

func TestFormsAreBounded(t *testing.T) {
	url, _ := start(t, &fake{}, Options{})
	part := "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n"
	code, text := post(t, url, "multipart/form-data; boundary=b", []byte(strings.Repeat(part, 5000)+"--b--\r\n"))
	if code != http.StatusRequestEntityTooLarge || !strings.Contains(text, "no files") {
		t.Errorf("5000 nameless parts: %d %s", code, text)
	}
}

func FuzzForm(f *testing.F) {
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=a; filename=x\r\n\r\nabc\r\n--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\r\n--b--\r\n"))
	f.Add([]byte("--b\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Disposition: form-data; " +
		"filename=\"\xff\"\r\n\r\n=\r\n--b"))
	s := New(&fake{}, Options{MaxBody: 1 << 16, MaxImages: 3})
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := http.NewRequest("POST", "/predict", bytes.NewReader(body))
		if err != nil {
			t.Skip()
		}
		r.Header.Set("Content-Type", "multipart/form-data; boundary=b")
		u := &upload{body: r.Body, budget: newBudget(1<<18, 1<<18), most: 1 << 16, rate: 1, end: time.Now().Add(time.Hour),
			deadline: func(time.Time) error { return nil }}
		photos, _, err := s.read(r, u)
		if err == nil && (len(photos) == 0 || len(photos) > 3) {
			t.Errorf("%d photographs", len(photos))
		}
		if u.release(); u.budget.free != 1<<18 {
			t.Errorf("%d of %d bytes given back", u.budget.free, 1<<18)
		}
	})
}
