package studio

import (
	"bytes"
	"container/list"
	"context"
	"image/jpeg"
	"net/http"
	"runtime"
	"sync"

	"github.com/nfnt/resize"

	"finetune/augment/picture"
	"finetune/internal/failure"
	"finetune/internal/reading"
)

// Sides of the pictures that a page gets, the longer one in pixels.
const (
	smallSide = 320
	viewSide  = 1280
)

// mostShots bounds the memory of pictures that were made, in bytes.
const mostShots = 64 << 20

// shots makes small pictures when they are asked for, and keeps those that were asked for last.
type shots struct {
	limits func(context.Context) picture.Limits
	slots  chan struct{} // as many are made at once as there are processors

	mu    sync.Mutex
	byKey map[string]*list.Element
	order *list.List // of *shot, the last one used first
	bytes int
}

type shot struct {
	key  string
	data []byte
}

func newShots(limits func(context.Context) picture.Limits) *shots {
	return &shots{limits: limits, slots: make(chan struct{}, runtime.GOMAXPROCS(0)), byKey: map[string]*list.Element{},
		order: list.New()}
}

// get is the JPEG of a photograph's file with that longer side at most.
func (h *shots) get(ctx context.Context, id, file string, side uint) ([]byte, error) {
	key := id
	if side == viewSide {
		key += "+"
	}
	if data := h.have(key); data != nil {
		return data, nil
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if data := h.have(key); data != nil { // made while we waited
		return data, nil
	}
	var data []byte
	err := failure.Guard(func() (err error) { data, err = h.shrink(ctx, file, side); return err })
	if err != nil {
		return nil, err
	}
	h.keep(key, data)
	return data, nil
}

func (h *shots) shrink(ctx context.Context, file string, side uint) ([]byte, error) {
	data, err := reading.File(file, reading.MaxPhoto)
	if err != nil {
		return nil, err
	}
	limits := h.limits(ctx)
	limits.MinSide = int(side) // the smaller side keeps as many: narrow pictures stay sharp
	im, err := picture.Decode(data, limits)
	if err != nil {
		return nil, failure.Data(err)
	}
	var b bytes.Buffer
	err = jpeg.Encode(&b, resize.Thumbnail(side, side, im.NRGBA(), resize.Bilinear), &jpeg.Options{Quality: 85})
	return b.Bytes(), err
}

func (h *shots) have(key string) []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.byKey[key]
	if e == nil {
		return nil
	}
	h.order.MoveToFront(e)
	return e.Value.(*shot).data
}

func (h *shots) keep(key string, data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byKey[key] != nil {
		return
	}
	h.byKey[key] = h.order.PushFront(&shot{key, data})
	for h.bytes += len(data); h.bytes > mostShots && h.order.Len() > 1; {
		last := h.order.Remove(h.order.Back()).(*shot)
		delete(h.byKey, last.key)
		h.bytes -= len(last.data)
	}
}

func (v *Server) photo(w http.ResponseWriter, r *http.Request) {
	p, ok := v.s.Find(r.PathValue("id"))
	if !ok {
		http.NotFound(w, r)
		return
	}
	side := uint(smallSide)
	if r.URL.Query().Get("size") == "view" {
		side = viewSide
	}
	data, err := v.shots.get(r.Context(), p.ID, p.File, side)
	if err != nil {
		fail(w, err)
		return
	}
	w.Header().Set("Content-Type", "image/jpeg")
	w.Header().Set("Cache-Control", "private, max-age=3600")
	_, _ = w.Write(data)
}
