package serve

import (
	"context"
	"log"
	"log/slog"
	"math"
	"net/http"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"finetune/augment/picture"
	"finetune/internal/guard"
)

// Classifier is what is served. Load is called by several goroutines, PredictOdd by
// one; it gives NaN for an image of which the network makes no numbers. odd says how
// unlike the training photographs each image is, above 1 odd; nil: not known.
type Classifier interface {
	Len() int // floats of an image
	Load(dst []float32, data []byte, l picture.Limits) error
	PredictOdd(ctx context.Context, images []float32, n int) (logp, odd []float32, err error)
}

// Options may be left zero, but for Classes.
type Options struct {
	Classes   []string
	Multi     bool          // several labels a photograph
	MaxBody   int64         // bytes of a request; 0: 32 MB
	MaxPixels int64         // of a photograph; 0: picture.DefaultMaxPixels
	MaxImages int           // of a request; 0: 64
	Batch     int           // photographs predicted together; 0: 16
	Delay     time.Duration // longest wait for a batch to fill; 0: 2 ms
	Timeout   time.Duration // of a request, its upload included; 0: 30 s
	Decoders  int           // photographs decoded at once; 0: one a core
	Uploads   int64         // bytes held of all requests at once, at least twice MaxBody; more are told 503; 0: 512 MB
	Share     int64         // of these, the most that one client may hold; more are told 429; 0: half
	MinRate   int64         // bytes a second that an upload must have after 5 s; 0: 16 kB
	Log       *log.Logger   // of failures; nil: none

	Coverage float64 // of the prediction sets in answers; 0: none
	Limit    float32 // least probability of a class in them
	Page     bool    // GET / shows a page to try photographs on
	Rate     float64 // requests for predictions a second and client; more are told 429; 0: no limit

	Tokens      []string             // one of them must be given; none: anybody may ask
	Hosts       []string             // names this server is called by, besides localhost and addresses; "*": any
	TrustProxy  bool                 // the client is who X-Forwarded-For says
	MetricsAddr string               // of GET /metrics; "": on the same address
	Drain       func() time.Duration // how long it listens after its end began, not ready; nil: not
	Probe       time.Duration        // without work it tests itself so often; 0: 10 s
	Access      *slog.Logger         // one line a request; nil: none
}

func (o Options) withDefaults() Options {
	o.MaxImages, o.Batch = orElse(o.MaxImages, 64), orElse(o.Batch, 16)
	o.Decoders = orElse(o.Decoders, runtime.GOMAXPROCS(0))
	o.MaxBody, o.MinRate = orElse(o.MaxBody, 32<<20), orElse(o.MinRate, 16<<10)
	o.Uploads = max(orElse(o.Uploads, 512<<20), 2*o.MaxBody) // a buffer and the larger one it moves to
	o.Share = min(max(orElse(o.Share, o.Uploads/2), 2*o.MaxBody), o.Uploads)
	o.Probe, o.Delay = orElse(o.Probe, probing), orElse(o.Delay, 2*time.Millisecond)
	o.Timeout = orElse(o.Timeout, 30*time.Second)
	return o
}

// orElse is v, or where it was left out otherwise.
func orElse[T int | int64 | time.Duration](v, otherwise T) T {
	if v <= 0 {
		return otherwise
	}
	return v
}

// Server serves one classifier.
type Server struct {
	o          Options
	c          Classifier
	batches    *batcher
	metrics    *meters
	door       *guard.Guard  // of all but probes
	predicting *guard.Guard  // the same, with the rate
	decoding   *turns        // a place for each photograph being decoded
	images     chan struct{} // a place for each decoded photograph that waits
	uploads    *budget       // bytes of the requests that are read or answered
	predicted  atomic.Int64  // when a batch was last predicted, in ns
	closing    atomic.Bool
}

// New prepares a server; ListenAndServe or Serve runs it.
func New(c Classifier, o Options) *Server {
	o = o.withDefaults()
	s := &Server{o: o, c: c, metrics: newMeters(), decoding: newTurns(o.Decoders),
		images: make(chan struct{}, o.Decoders+4*o.Batch), uploads: newBudget(o.Uploads, o.Share)}
	s.door = guard.New(s.entrance(s.o.Tokens, 0))
	s.predicting = guard.New(s.entrance(s.o.Tokens, s.o.Rate))
	s.batches = &batcher{predict: c.PredictOdd, pixels: c.Len(), max: o.Batch, delay: o.Delay,
		jobs:      make(chan *job, o.Batch),
		observe:   s.metrics.batch,
		predicted: func() { s.predicted.Store(time.Now().UnixNano()) }}
	return s
}

// routes are what the server answers, by patterns of http.ServeMux. openapi.json describes them.
func (s *Server) routes() map[string]http.Handler {
	all := map[string]http.Handler{
		"POST /predict":     s.counted(s.predicting.Protect(http.HandlerFunc(s.predict))),
		"GET /healthz":      http.HandlerFunc(s.health),
		"GET /livez":        http.HandlerFunc(s.live),
		"GET /readyz":       http.HandlerFunc(s.ready),
		"GET /openapi.json": s.door.Protect(described),
	}
	if s.o.MetricsAddr == "" {
		all["GET /metrics"] = s.door.Protect(s.prometheus())
	}
	if s.o.Page {
		for pattern, h := range pages() {
			all[pattern] = s.door.Protect(h)
		}
	}
	return all
}

// Handler is the server's routes, for tests and other servers. Predictions need
// Serve, or Run, to be running.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, h := range s.routes() {
		mux.Handle(pattern, h)
	}
	return s.observed(mux)
}

// entrance is who may ask. A browser that opens the page cannot send a header, so it
// gives its token in the address.
func (s *Server) entrance(tokens []string, rate float64) guard.Options {
	return guard.Options{Tokens: tokens, Hosts: s.o.Hosts, InPath: s.o.Page, Rate: rate, Burst: int(math.Ceil(rate)),
		Client: s.client, Host: "if it should, start it with --allow-host",
		Refuse: func(w http.ResponseWriter, _ *http.Request, code int, why string) {
			if code == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", strconv.Itoa(int(max(1, math.Ceil(1/rate)))))
			}
			fail(w, &refusal{code, why})
		}}
}

func (s *Server) prometheus() http.Handler {
	return promhttp.HandlerFor(s.metrics.registry, promhttp.HandlerOpts{})
}

// metricsHandler is what an address for metrics alone answers: no token, since
// what may reach it was chosen for that.
func (s *Server) metricsHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", guard.New(s.entrance(nil, 0)).Protect(s.prometheus()))
	return s.observed(mux)
}

// Run predicts what Handler is asked until ctx ends.
func (s *Server) Run(ctx context.Context) {
	s.batches.predicted() // who opened the classifier tried it
	go s.probe(ctx)
	s.batches.run(ctx)
}

// discard swallows what net/http says about clients that break off.
type discard struct{}

func (discard) Write(p []byte) (int, error) { return len(p), nil }
