package guard

import (
	"sync"
	"time"
)

// limiter is a token bucket a client: burst requests at once, then rate a second.
type limiter struct {
	rate, burst float64

	mu      sync.Mutex
	clients map[string]bucket
}

type bucket struct {
	left float64
	at   time.Time
}

// mostClients bounds the memory. Full buckets are forgotten first: they say nothing.
const mostClients = 10000

func newLimiter(rate float64, burst int) *limiter {
	return &limiter{rate: rate, burst: float64(burst), clients: map[string]bucket{}}
}

// allow takes one request off a client's bucket, if there is one left.
func (l *limiter) allow(client string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.clients) >= mostClients {
		l.forget(now)
	}
	b, known := l.clients[client]
	if !known {
		b = bucket{l.burst, now}
	}
	b.left = l.filled(b, now)
	b.at = now
	ok := b.left >= 1
	if ok {
		b.left--
	}
	l.clients[client] = b
	return ok
}

func (l *limiter) filled(b bucket, now time.Time) float64 {
	return min(l.burst, b.left+l.rate*max(0, now.Sub(b.at).Seconds()))
}

// forget drops the clients whose buckets are full again, or all if none is.
func (l *limiter) forget(now time.Time) {
	for name, b := range l.clients {
		if l.filled(b, now) >= l.burst {
			delete(l.clients, name)
		}
	}
	if len(l.clients) >= mostClients {
		clear(l.clients)
	}
}
