package serve

import (
	"context"
	"slices"
	"sync"
)

// turns hands out places so that clients take turns: one that waits with a
// hundred photographs holds up another's first by one turn, not by a hundred.
type turns struct {
	mu      sync.Mutex
	free    int
	waiting map[string][]chan struct{} // by client, the longest waiting first
	order   []string                   // clients that wait, the next first
}

func newTurns(places int) *turns {
	return &turns{free: places, waiting: map[string][]chan struct{}{}}
}

// acquire waits for a place or the end of ctx.
func (t *turns) acquire(ctx context.Context, client string) error {
	t.mu.Lock()
	if t.free > 0 && ctx.Err() == nil {
		t.free--
		t.mu.Unlock()
		return nil
	}
	mine := make(chan struct{})
	if len(t.waiting[client]) == 0 {
		t.order = append(t.order, client)
	}
	t.waiting[client] = append(t.waiting[client], mine)
	t.mu.Unlock()
	select {
	case <-mine:
		return nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(t.waiting[client], mine)
	if i >= 0 {
		t.drop(client, i)
	}
	t.mu.Unlock()
	if i < 0 { // the place came at the same moment
		t.release()
	}
	return ctx.Err()
}

// drop takes a waiting one out; t.mu is held.
func (t *turns) drop(client string, i int) {
	t.waiting[client] = slices.Delete(t.waiting[client], i, i+1)
	if len(t.waiting[client]) == 0 {
		delete(t.waiting, client)
		t.order = slices.DeleteFunc(t.order, func(c string) bool { return c == client })
	}
}

// release gives a place to the next client.
func (t *turns) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.order) == 0 {
		t.free++
		return
	}
	client := t.order[0]
	next := t.waiting[client][0]
	t.order = append(t.order[1:], client)
	t.drop(client, 0)
	close(next)
}
