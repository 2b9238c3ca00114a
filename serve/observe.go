package serve

import (
	"crypto/rand"
	"log/slog"
	"net/http"
	"regexp"
	"time"
)

// seen is a ResponseWriter that remembers what was answered.
type seen struct {
	http.ResponseWriter
	code   int
	bytes  int64
	photos int
}

// WriteHeader implements http.ResponseWriter.
func (w *seen) WriteHeader(code int) {
	w.code = code
	w.ResponseWriter.WriteHeader(code)
}

// Write implements http.ResponseWriter.
func (w *seen) Write(p []byte) (int, error) {
	n, err := w.ResponseWriter.Write(p)
	w.bytes += int64(n)
	return n, err
}

// Unwrap lets http.MaxBytesReader close the connection of an oversized upload,
// and http.ResponseController set deadlines.
func (w *seen) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// note tells the log how many photographs a request has.
func note(w http.ResponseWriter, photos int) {
	if s, ok := w.(*seen); ok {
		s.photos = photos
	}
}

// requestID is what may be taken over from a client: no text that confuses a log.
var requestID = regexp.MustCompile(`^[A-Za-z0-9._:/+=-]{1,128}$`)

// observed gives each request an id and a line in the access log, and tells
// clients of a server that ends not to keep the connection.
func (s *Server) observed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		id := r.Header.Get("X-Request-ID")
		if !requestID.MatchString(id) {
			id = rand.Text()
		}
		w.Header().Set("X-Request-ID", id)
		if s.closing.Load() {
			w.Header().Set("Connection", "close")
		}
		answer := &seen{ResponseWriter: w, code: http.StatusOK}
		h.ServeHTTP(answer, r)
		s.log(r, answer, id, time.Since(start))
	})
}

// log writes a line of the access log. Probes that were answered well leave none.
func (s *Server) log(r *http.Request, w *seen, id string, took time.Duration) {
	if s.o.Access == nil || r.Method == http.MethodGet && w.code == http.StatusOK {
		return
	}
	s.o.Access.LogAttrs(r.Context(), slog.LevelInfo, "request",
		slog.String("id", id), slog.String("client", r.RemoteAddr),
		slog.String("forwarded", clip(r.Header.Get("X-Forwarded-For"))),
		slog.String("method", clip(r.Method)), slog.String("path", clip(r.URL.Path)), slog.Int("status", w.code),
		slog.Int("photographs", w.photos), slog.Int64("bytes_in", max(r.ContentLength, 0)), slog.Int64("bytes_out", w.bytes),
		slog.Float64("seconds", took.Seconds()))
}

// clip keeps what a client sends short in the log.
func clip(text string) string {
	if len(text) > 100 {
		return text[:100] + "…"
	}
	return text
}
