package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"mime/multipart"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"finetune/augment"
	"finetune/augment/picture"
)

// fake is a classifier of brightness: the probability of "light" is the mean of
// the image.
type fake struct {
	delay   time.Duration
	fail    atomic.Bool
	glare   bool // a white picture is no number
	mu      sync.Mutex
	batches []int
}

var pre = augment.Preprocess{Size: 8, Std: [3]float32{1, 1, 1}}

func (f *fake) Len() int { return pre.Len() }

func (f *fake) Load(dst []float32, data []byte, l picture.Limits) error {
	return pre.Load(dst, data, l)
}

func (f *fake) PredictOdd(_ context.Context, images []float32, n int) (logp, odd []float32, err error) {
	time.Sleep(f.delay)
	f.mu.Lock()
	f.batches = append(f.batches, n)
	f.mu.Unlock()
	if f.fail.Load() {
		panic("out of memory")
	}
	out := make([]float32, 2*n)
	odd = make([]float32, n)
	for i := range n {
		sum := 0.0
		for _, v := range images[i*pre.Len() : (i+1)*pre.Len()] {
			sum += float64(v)
		}
		p := min(max(sum/float64(pre.Len()), 1e-6), 1-1e-6)
		if sum == float64(pre.Len()) && f.glare {
			p = math.NaN()
		}
		out[2*i], out[2*i+1] = float32(math.Log(1-p)), float32(math.Log(p))
		odd[i] = float32(2 * p)
	}
	return out, odd, nil
}

// grey is a PNG of one brightness.
func grey(level uint8) []byte {
	im := image.NewGray(image.Rect(0, 0, 12, 10))
	for i := range im.Pix {
		im.Pix[i] = level
	}
	im.SetGray(0, 0, color.Gray{Y: level})
	var b bytes.Buffer
	if err := png.Encode(&b, im); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// start serves f on loopback until the test ends; stop ends it earlier.
func start(t *testing.T, f *fake, o Options) (url string, stop func() error) {
	t.Helper()
	o.Classes = []string{"dark", "light"}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- New(f, o).Serve(ctx, l) }()
	stop = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return "http://" + l.Addr().String(), stop
}

func post(t *testing.T, url, kind string, body []byte) (int, string) {
	t.Helper()
	r, err := http.Post(url+"/predict", kind, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return r.StatusCode, string(text)
}

func form(t *testing.T, files map[string][]byte) (kind string, body []byte) {
	t.Helper()
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.WriteField("comment", "not a photograph"); err != nil {
		t.Fatal(err)
	}
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		p, err := w.CreateFormFile("file", name)
		if err != nil {
			t.Fatal(err)
		}
		p.Write(files[name])
	}
	w.Close()
	return w.FormDataContentType(), b.Bytes()
}

func TestOnePhotograph(t *testing.T) {
	url, _ := start(t, &fake{}, Options{})
	code, text := post(t, url, "application/octet-stream", grey(204))
	var p Prediction
	if err := json.Unmarshal([]byte(text), &p); err != nil || code != 200 {
		t.Fatalf("%d %s", code, text)
	}
	if p.Predicted != "light" || math.Abs(float64(p.Probability)-0.8) > 1e-3 ||
		math.Abs(float64(p.Probabilities["dark"])-0.2) > 1e-3 {
		t.Errorf("%+v, want light at 0.8", p)
	}
	if p.Oddness == nil || math.Abs(float64(*p.Oddness)-1.6) > 2e-3 {
		t.Errorf("%+v, want an oddness of 1.6", p)
	}
}

func TestSeveralPhotographs(t *testing.T) {
	url, _ := start(t, &fake{}, Options{})
	kind, body := form(t, map[string][]byte{"a.png": grey(255), "b.txt": []byte("hello"), "c.png": grey(0)})
	list, err := json.Marshal(map[string][]string{"images": {base64.StdEncoding.EncodeToString(grey(255)),
		"data:text/plain;base64,aGVsbG8=", base64.StdEncoding.EncodeToString(grey(0))}})
	if err != nil {
		t.Fatal(err)
	}
	for what, request := range map[string]struct {
		kind string
		body []byte
	}{"form": {kind, body}, "JSON": {"application/json", list}} {
		code, text := post(t, url, request.kind, request.body)
		var a answer
		if err := json.Unmarshal([]byte(text), &a); err != nil || code != 200 || len(a.Predictions) != 3 {
			t.Fatalf("%s: %d %s", what, code, text)
		}
		got := a.Predictions
		if got[0].Predicted != "light" || got[1].Status == "ok" || got[1].Reason == "" || got[2].Predicted != "dark" {
			t.Errorf("%s: %+v", what, got)
		}
	}
}

func TestRefusals(t *testing.T) {
	f := &fake{}
	url, _ := start(t, f, Options{MaxBody: 4000, MaxPixels: 1000, MaxImages: 2})
	manyKind, many := form(t, map[string][]byte{"a": grey(1), "b": grey(2), "c": grey(3)})
	whole := grey(9)
	heic := append([]byte("\x00\x00\x00\x18ftypheic"), make([]byte, 40)...)
	big := new(bytes.Buffer)
	if err := png.Encode(big, image.NewGray(image.Rect(0, 0, 40, 40))); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, kind string
		body       []byte
		code       int
	}{
		{"text", "image/png", []byte("hello"), 422},
		{"truncated", "image/png", whole[:len(whole)-20], 422},
		{"empty", "image/png", nil, 400},
		{"HEIC", "image/heic", heic, 415},
		{"too many pixels", "image/png", big.Bytes(), 413},
		{"too many bytes", "image/png", make([]byte, 4001), 413},
		{"JSON that is none", "application/json", []byte("{"), 400},
		{"JSON of another form", "application/json", []byte(`{"photos":[]}`), 400},
		{"not base64", "application/json", []byte(`{"images":["%"]}`), 400},
		{"no photographs", "application/json", []byte(`{"images":[]}`), 400},
		{"form without a boundary", "multipart/form-data", []byte("x"), 400},
		{"too many photographs", manyKind, many, 413},
	} {
		code, text := post(t, url, tt.kind, tt.body)
		if code != tt.code || !strings.Contains(text, `"error"`) {
			t.Errorf("%s: %d %s; want %d", tt.name, code, text, tt.code)
		}
	}
	if r, err := http.Get(url + "/predict"); err != nil || r.StatusCode != 405 {
		t.Errorf("GET /predict: %v, %v; want 405", r, err)
	}
	f.fail.Store(true)
	if code, text := post(t, url, "image/png", whole); code != 500 || !strings.Contains(text, "out of memory") {
		t.Errorf("a classifier that panics: %d %s; want 500", code, text)
	}
	f.fail.Store(false)
	if code, text := post(t, url, "image/png", whole); code != 200 {
		t.Errorf("after all these: %d %s; want 200", code, text)
	}
}

// chunks sends a body without a length, slowly.
type chunks struct {
	pause time.Duration
	n     int
}

func (c *chunks) Read(p []byte) (int, error) {
	time.Sleep(c.pause)
	if c.n--; c.n < 0 {
		return 0, io.EOF
	}
	p[0] = 'x'
	return 1, nil
}

func TestSlowAndEndlessUploads(t *testing.T) {
	url, _ := start(t, &fake{}, Options{MaxBody: 4000, Timeout: 300 * time.Millisecond})
	r, err := http.Post(url+"/predict", "image/png", &chunks{50 * time.Millisecond, 100})
	if err == nil && r.StatusCode != http.StatusRequestTimeout {
		t.Errorf("slow upload: %d, want 408", r.StatusCode)
	}
	r, err = http.Post(url+"/predict", "image/png", &chunks{0, 5000})
	if err == nil && r.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("endless upload: %d, want 413", r.StatusCode)
	}
	if code, text := post(t, url, "image/png", grey(200)); code != 200 {
		t.Errorf("after them: %d %s", code, text)
	}
}

func TestClientsShareBatches(t *testing.T) {
	f := &fake{delay: 5 * time.Millisecond}
	url, _ := start(t, f, Options{Batch: 8, Delay: 5 * time.Millisecond, Decoders: 4})
	var wg sync.WaitGroup
	var failed atomic.Int64
	for c := range 64 {
		wg.Go(func() {
			for k := range 4 {
				level := uint8((c*4 + k) % 256)
				r, err := http.Post(url+"/predict", "image/png", bytes.NewReader(grey(level)))
				if err != nil {
					failed.Add(1)
					return
				}
				var p Prediction
				err = json.NewDecoder(r.Body).Decode(&p)
				r.Body.Close()
				want := min(max(float64(level)/255, 1e-6), 1-1e-6)
				if err != nil || math.Abs(float64(p.Probabilities["light"])-want) > 1e-3 {
					failed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := failed.Load(); n > 0 {
		t.Errorf("%d of 256 answers are wrong", n)
	}
	sum, most := 0, 0
	for _, n := range f.batches {
		sum, most = sum+n, max(most, n)
	}
	if sum != 256 || most < 4 || most > 8 {
		t.Errorf("%d photographs in batches of up to %d; want 256, of 4 to 8", sum, most)
	}
	r, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	text, err := io.ReadAll(r.Body)
	for _, line := range []string{`finetune_oddness_count 256`, `finetune_requests_total{code="200"} 256`, `finetune_photographs_total{status="ok"} 256`,
		"finetune_batch_photographs_sum 256"} {
		if err != nil || !strings.Contains(string(text), line) {
			t.Errorf("metrics lack %q (%v)", line, err)
		}
	}
}

func TestShutdownFinishesRequests(t *testing.T) {
	url, stop := start(t, &fake{delay: 200 * time.Millisecond}, Options{})
	r, err := http.Get(url + "/healthz")
	if err != nil || r.StatusCode != 200 {
		t.Fatalf("health: %v, %v", r, err)
	}
	code := make(chan string, 1)
	go func() {
		r, err := http.Post(url+"/predict", "image/png", bytes.NewReader(grey(50)))
		code <- fmt.Sprint(r != nil && r.StatusCode == 200, err)
	}()
	time.Sleep(80 * time.Millisecond)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if got := <-code; got != "true <nil>" {
		t.Errorf("a request during shutdown: %s, want an answer", got)
	}
	if _, err := http.Get(url + "/healthz"); err == nil {
		t.Error("the server still listens")
	}
}

func TestFullServerSaysSo(t *testing.T) {
	f := &fake{delay: 300 * time.Millisecond}
	url, _ := start(t, f, Options{MaxBody: 1000, Uploads: 1000})
	body := grey(9)
	body = append(body, make([]byte, 990-len(body))...)
	first := make(chan int, 1)
	go func() {
		r, err := http.Post(url+"/predict", "image/png", bytes.NewReader(body))
		if err != nil {
			first <- 0
			return
		}
		first <- r.StatusCode
	}()
	time.Sleep(100 * time.Millisecond)
	if code, _ := post(t, url, "image/png", body); code != 503 {
		t.Errorf("a second request: %d, want 503", code)
	}
	if code := <-first; code != 200 {
		t.Errorf("the first request: %d, want 200", code)
	}
}

func TestListenNamesTheAddress(t *testing.T) {
	err := New(&fake{}, Options{}).ListenAndServe(t.Context(), "127.0.0.1:99999", func(a, metrics net.Addr) {})
	if err == nil || errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "--addr") {
		t.Errorf("error %v, want one that names --addr", err)
	}
}

// A photograph that the network makes no number of is that client's answer alone.
func TestNoNumberFailsAlone(t *testing.T) {
	url, _ := start(t, &fake{glare: true, delay: 5 * time.Millisecond}, Options{Delay: 20 * time.Millisecond})
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			level, want := uint8(100+i), http.StatusOK
			if i%3 == 0 {
				level, want = 255, http.StatusUnprocessableEntity
			}
			code, text := post(t, url, "image/png", grey(level))
			if code != want || code != http.StatusOK && !strings.Contains(text, "not a number") {
				t.Errorf("%d: %d %s", level, code, text)
			}
		})
	}
	wg.Wait()
	body := fmt.Sprintf(`{"images":[%q,%q]}`, base64.StdEncoding.EncodeToString(grey(255)),
		base64.StdEncoding.EncodeToString(grey(9)))
	code, text := post(t, url, "application/json", []byte(body))
	if code != http.StatusOK || !strings.Contains(text, `"status":"failed"`) || !strings.Contains(text, `"status":"ok"`) {
		t.Errorf("two in one request: %d %s", code, text)
	}
}
