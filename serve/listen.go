package serve

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"
)

// ListenAndServe serves on addr until ctx ends, and metrics on MetricsAddr where
// that is set; ready is told both addresses, the latter nil without one.
func (s *Server) ListenAndServe(ctx context.Context, addr string, ready func(a, metrics net.Addr)) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("serve: %w; choose another --addr", err)
	}
	if s.o.MetricsAddr == "" {
		ready(l.Addr(), nil)
		return s.Serve(ctx, l)
	}
	m, err := net.Listen("tcp", s.o.MetricsAddr)
	if err != nil {
		return errors.Join(fmt.Errorf("serve: %w; choose another --metrics-addr", err), l.Close())
	}
	apart := s.httpServer(s.metricsHandler())
	defer apart.Close()
	go func() { _ = apart.Serve(m) }() // until the end of this function
	ready(l.Addr(), m.Addr())
	return s.Serve(ctx, l)
}

func (s *Server) httpServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler: h, ErrorLog: log.New(discard{}, "", 0), MaxHeaderBytes: 64 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: s.o.Timeout, WriteTimeout: 2 * s.o.Timeout, IdleTimeout: time.Minute,
	}
}

// Serve serves on l until ctx ends. Then it says for Drain that it is not ready,
// takes no new connections, and finishes the requests that it has.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	h := s.httpServer(s.Handler())
	predicting, stop := context.WithCancel(context.WithoutCancel(ctx))
	finished := make(chan struct{})
	go func() { defer close(finished); s.Run(predicting) }()
	last := &lastCall{Listener: l}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(last) }()
	var err error
	select {
	case err = <-failed:
	case <-ctx.Done():
		err = s.end(context.WithoutCancel(ctx), h, last, failed)
	}
	stop()
	<-finished
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// end closes a server so that nobody who reached it goes without an answer: first
// load balancers see that it is not ready, then those who are connected already
// are accepted, then the requests at hand are finished.
func (s *Server) end(ctx context.Context, h *http.Server, l *lastCall, failed <-chan error) error {
	s.closing.Store(true)
	if s.o.Drain != nil {
		select {
		case <-time.After(s.o.Drain()):
		case err := <-failed:
			return err
		}
	}
	l.announce()
	<-failed // the listener is closed; its error is ours
	limited, cancel := context.WithTimeout(ctx, s.o.Timeout+time.Second)
	defer cancel()
	err := h.Shutdown(limited)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("requests still open after %v were cut off", s.o.Timeout)
	}
	return errors.Join(err, h.Close())
}

// lastCall is a listener that can be told to accept those who are connected
// already, and then no more: closing a listener at once would reset them.
type lastCall struct{ net.Listener }

func (l *lastCall) announce() {
	d, ok := l.Listener.(interface{ SetDeadline(time.Time) error })
	if !ok || d.SetDeadline(time.Now().Add(20*time.Millisecond)) != nil {
		_ = l.Close()
	}
}

// Accept implements net.Listener.
func (l *lastCall) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	var slow net.Error
	if errors.As(err, &slow) && slow.Timeout() {
		return nil, net.ErrClosed // http.Server would try again after a time-out
	}
	return c, err
}
