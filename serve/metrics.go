package serve

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// meters are what GET /metrics shows.
type meters struct {
	registry *prometheus.Registry
	requests *prometheus.CounterVec
	seconds  prometheus.Histogram
	photos   *prometheus.CounterVec
	odd      prometheus.Histogram
	sizes    prometheus.Histogram
	predict  prometheus.Histogram
	active   prometheus.Gauge
}

func newMeters() *meters {
	m := &meters{
		registry: prometheus.NewRegistry(),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "finetune_requests_total",
			Help: "Requests to /predict by status code."}, []string{"code"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "finetune_request_seconds",
			Help: "Time of a request, its upload included.", Buckets: prometheus.ExponentialBuckets(0.002, 2, 14)}),
		photos: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "finetune_photographs_total",
			Help: "Photographs by status."}, []string{"status"}),
		odd: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "finetune_oddness",
			Help:    "How unlike the training photographs predicted ones were; above 1 they are odd.",
			Buckets: []float64{.25, .5, .75, 1, 1.25, 1.5, 2, 3, 5}}),
		sizes: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "finetune_batch_photographs",
			Help: "Photographs predicted together.", Buckets: []float64{1, 2, 4, 8, 16, 32, 64}}),
		predict: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "finetune_batch_seconds",
			Help: "Time of a batch in the network.", Buckets: prometheus.ExponentialBuckets(0.001, 2, 14)}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{Name: "finetune_requests_active", Help: "Requests being answered."}),
	}
	m.registry.MustRegister(m.requests, m.seconds, m.photos, m.odd, m.sizes, m.predict, m.active,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func (m *meters) photo(status string) { m.photos.WithLabelValues(status).Inc() }

// oddness counts that of a photograph, nil where it is not known.
func (m *meters) oddness(v *float32) {
	if v != nil {
		m.odd.Observe(float64(*v))
	}
}

func (m *meters) batch(size int, seconds float64) {
	m.sizes.Observe(float64(size))
	m.predict.Observe(seconds)
}

// counted measures a handler inside observed.
func (s *Server) counted(h http.Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s.metrics.active.Inc()
		defer s.metrics.active.Dec()
		start, code := time.Now(), http.StatusOK
		h.ServeHTTP(w, r)
		if answer, ok := w.(*seen); ok {
			code = answer.code
		}
		s.metrics.requests.WithLabelValues(strconv.Itoa(code)).Inc()
		s.metrics.seconds.Observe(time.Since(start).Seconds())
	}
}
