package serve

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"finetune/internal/plural"
)

// budget bounds the memory that requests may hold, all together and by client.
// It is taken as bytes arrive: who announces much and sends nothing holds nothing.
type budget struct {
	mu    sync.Mutex
	free  int64
	share int64 // the most that one client may hold
	held  map[string]int64
}

func newBudget(all, share int64) *budget {
	return &budget{free: all, share: share, held: map[string]int64{}}
}

// take never waits: uploads that waited for one another could wait for ever.
func (b *budget) take(client string, n int64) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case n > b.free:
		return refuse(http.StatusServiceUnavailable, "too many requests at once; try again")
	case b.held[client]+n > b.share:
		return refuse(http.StatusTooManyRequests, "too many requests of this client at once; send fewer")
	}
	b.free -= n
	b.held[client] += n
	return nil
}

func (b *budget) give(client string, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free += n
	if b.held[client] -= n; b.held[client] <= 0 {
		delete(b.held, client)
	}
}

// grace is the time before an upload must have the least rate.
const grace = 5 * time.Second

// upload is the body of one request: read at a least rate, paid for as it grows.
type upload struct {
	body     io.Reader
	budget   *budget
	client   string
	held     int64
	most     int64 // bytes of the body
	deadline func(time.Time) error
	start    time.Time
	end      time.Time // of the request
	rate     int64     // bytes a second
	got      int64
}

// Read implements io.Reader. Each read must end when the rate says so: 5 s, and
// as many seconds more as the bytes that came are worth.
func (u *upload) Read(p []byte) (int, error) {
	due := u.start.Add(grace + time.Duration(float64(u.got)/float64(u.rate)*float64(time.Second)))
	if due.After(u.end) {
		due = u.end
	}
	_ = u.deadline(due) // a server without deadlines, as in tests, has the request's own
	n, err := u.body.Read(p[:min(len(p), 256<<10)])
	u.got += int64(n)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		err = refuse(http.StatusRequestTimeout, "the upload is too slow: %s in %.1f s, at least %s a second "+
			"are needed", plural.Count(u.got, "byte"), time.Since(u.start).Seconds(), plural.Count(u.rate, "byte"))
	}
	return n, err
}

// An upload gets little room before its first bytes, then more, then twice as much each time.
const (
	least = 512
	some  = 64 << 10
)

// grown is the next size of a buffer of n bytes that is to hold most.
func grown(n, most int64) int64 {
	next := 2 * n
	switch {
	case n == 0:
		next = least
	case n == least:
		next = some
	}
	if next = min(next, most); next <= n {
		next = n + some // base64 and forms end by their own limit
	}
	return next
}

// all reads r, a part of the body, to its end; size is its length or below 0.
func (u *upload) all(r io.Reader, size int64) ([]byte, error) {
	most := u.most + 1 // one more byte shows the end
	if size >= 0 {
		most = min(size+1, most)
	}
	var data []byte
	for {
		if len(data) == cap(data) {
			room := grown(int64(cap(data)), most)
			if err := u.take(room); err != nil {
				return nil, err
			}
			old := int64(cap(data))
			data = append(make([]byte, 0, room), data...)
			u.give(old)
		}
		n, err := r.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if err == io.EOF {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// passOver reads the rest of a refused body without keeping it: most clients look
// for the answer only when they have sent all.
func (u *upload) passOver() {
	u.release()
	_, _ = io.Copy(io.Discard, u) // ends at the limit, the least rate or the time-out
}

func (u *upload) take(n int64) error {
	err := u.budget.take(u.client, n)
	if err == nil {
		u.held += n
	}
	return err
}

func (u *upload) give(n int64) {
	u.held -= n
	u.budget.give(u.client, n)
}

// release gives back all that the request held.
func (u *upload) release() { u.give(u.held) }
