package serve

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/semaphore"

	"finetune/augment"
)

// Classifier is what is served. Load is called by several goroutines, Predict by
// one; it gives NaN for an image of which the network makes no numbers.
type Classifier interface {
	Len() int // floats of an image
	Load(dst []float32, data []byte, l augment.Limits) error
	Predict(ctx context.Context, images []float32, n int) (logp []float32, err error)
}

// Options may be left zero, but for Classes.
type Options struct {
	Classes   []string
	Multi     bool          // several labels a photograph
	MaxBody   int64         // bytes of a request; 0: 32 MB
	MaxPixels int64         // of a photograph; 0: augment.DefaultMaxPixels
	MaxImages int           // of a request; 0: 64
	Batch     int           // photographs predicted together; 0: 16
	Delay     time.Duration // longest wait for a batch to fill; 0: 2 ms
	Timeout   time.Duration // of a request, its upload included; 0: 30 s
	Decoders  int           // photographs decoded at once; 0: one a core
	Uploads   int64         // bytes of all requests at once; more are told 503; 0: 512 MB
	Log       *log.Logger   // of failures; nil: none
}

func (o Options) withDefaults() Options {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&o.MaxImages, 64)
	set(&o.Batch, 16)
	set(&o.Decoders, runtime.GOMAXPROCS(0))
	if o.MaxBody <= 0 {
		o.MaxBody = 32 << 20
	}
	if o.Uploads <= 0 {
		o.Uploads = 512 << 20
	}
	o.Uploads = max(o.Uploads, o.MaxBody)
	if o.Delay <= 0 {
		o.Delay = 2 * time.Millisecond
	}
	if o.Timeout <= 0 {
		o.Timeout = 30 * time.Second
	}
	return o
}

// Server serves one classifier.
type Server struct {
	o        Options
	c        Classifier
	batches  *batcher
	metrics  *meters
	decoding chan struct{}       // a place for each photograph being decoded
	images   chan struct{}       // a place for each decoded photograph that waits
	uploads  *semaphore.Weighted // bytes of the requests that are read or answered
	closing  atomic.Bool
}

// New prepares a server; ListenAndServe or Serve runs it.
func New(c Classifier, o Options) *Server {
	o = o.withDefaults()
	s := &Server{o: o, c: c, metrics: newMeters(), decoding: make(chan struct{}, o.Decoders),
		images: make(chan struct{}, o.Decoders+4*o.Batch), uploads: semaphore.NewWeighted(o.Uploads)}
	s.batches = &batcher{predict: c.Predict, pixels: c.Len(), max: o.Batch, delay: o.Delay, jobs: make(chan *job, o.Batch), observe: s.metrics.batch}
	return s
}

// Handler is the server's routes, for tests and other servers. Predictions need
// Serve, or Run, to be running.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /predict", s.counted(s.predict))
	mux.HandleFunc("GET /healthz", s.health)
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{}))
	return mux
}

// Run predicts what Handler is asked until ctx ends.
func (s *Server) Run(ctx context.Context) { s.batches.run(ctx) }

// ListenAndServe serves on addr until ctx ends.
func (s *Server) ListenAndServe(ctx context.Context, addr string, ready func(net.Addr)) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("serve: %w; choose another --addr", err)
	}
	ready(l.Addr())
	return s.Serve(ctx, l)
}

// Serve serves on l until ctx ends: then it takes no new connections and
// finishes the requests that it has.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := &http.Server{
		Handler: s.Handler(), ErrorLog: log.New(discard{}, "", 0), MaxHeaderBytes: 64 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: s.o.Timeout, WriteTimeout: 2 * s.o.Timeout, IdleTimeout: time.Minute,
	}
	predicting, stop := context.WithCancel(context.WithoutCancel(ctx))
	finished := make(chan struct{})
	go func() { defer close(finished); s.Run(predicting) }()
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		s.closing.Store(true)
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.Timeout)
		err = errors.Join(h.Shutdown(last), h.Close())
		cancel()
	}
	stop()
	<-finished
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if s.closing.Load() {
		write(w, http.StatusServiceUnavailable, map[string]string{"status": "shutting down"})
		return
	}
	write(w, http.StatusOK, map[string]any{"status": "ok", "classes": len(s.o.Classes)})
}

// discard swallows what net/http says about clients that break off.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
