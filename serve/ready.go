package serve

import (
	"bytes"
	"context"
	"image"
	"image/png"
	"net/http"
	"time"
)

// probing is how often a server without work tests itself.
const probing = 10 * time.Second

// probe predicts a photograph of its own where no other was predicted lately, in
// a client's turn: while every place hangs, it hangs too and the server is not ready.
func (s *Server) probe(ctx context.Context) {
	var grey bytes.Buffer
	if err := png.Encode(&grey, image.NewGray(image.Rect(0, 0, 32, 32))); err != nil {
		return // into memory: cannot fail
	}
	ticks := time.NewTicker(s.o.Probe)
	defer ticks.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticks.C:
		}
		if time.Since(s.last()) < s.o.Probe {
			continue
		}
		limited, cancel := context.WithTimeout(ctx, s.o.Probe)
		err := s.classify(limited, &request{client: "self-test"}, grey.Bytes()).err
		cancel()
		if err != nil && ctx.Err() == nil && s.o.Log != nil {
			s.o.Log.Printf("serve: the self-test failed: %v", err)
		}
	}
}

// last is when a photograph was last predicted.
func (s *Server) last() time.Time { return time.Unix(0, s.predicted.Load()) }

// ready says whether a photograph would be answered: the server does not end,
// and one was predicted not long ago.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	age := time.Since(s.last())
	switch {
	case s.closing.Load():
		write(w, http.StatusServiceUnavailable, map[string]string{"status": "shutting down"})
	case age > 5*s.o.Probe/2:
		write(w, http.StatusServiceUnavailable,
			map[string]any{"status": "busy", "seconds_since_last_prediction": int(age.Seconds())})
	default:
		write(w, http.StatusOK, map[string]any{"status": "ok", "classes": len(s.o.Classes)})
	}
}

// live says that the process answers, whatever else it does.
func (s *Server) live(w http.ResponseWriter, _ *http.Request) {
	write(w, http.StatusOK, map[string]string{"status": "ok"})
}

// health is the older of the three: 503 once the server ends, else 200.
func (s *Server) health(w http.ResponseWriter, _ *http.Request) {
	if s.closing.Load() {
		write(w, http.StatusServiceUnavailable, map[string]string{"status": "shutting down"})
		return
	}
	write(w, http.StatusOK, map[string]any{"status": "ok", "classes": len(s.o.Classes)})
}
