package serve

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"sync"
	"time"

	"finetune/augment/picture"
	"finetune/internal/plural"
)

// Prediction is the answer for one photograph.
type Prediction struct {
	Name          string             `json:"name,omitempty"` // of the uploaded file
	Predicted     string             `json:"predicted,omitempty"`
	Labels        []string           `json:"labels,omitempty"` // several labels: those above one half
	Probability   float32            `json:"probability,omitempty"`
	Probabilities map[string]float32 `json:"probabilities,omitempty"`
	Coverage      float64            `json:"coverage,omitempty"` // of Set
	Set           []string           `json:"set,omitzero"`       // classes that hold the true one so often, most probable first
	Oddness       *float32           `json:"oddness,omitempty"`  // above 1: unlike the training photographs
	Status        string             `json:"status"`             // ok, or as in score files
	Reason        string             `json:"reason,omitempty"`
}

// answer is the JSON of a request with several photographs.
type answer struct {
	Predictions []Prediction `json:"predictions"`
}

// refusal is an error that is the client's, with its status code.
type refusal struct {
	code   int
	reason string
}

func (r *refusal) Error() string { return r.reason }

func refuse(code int, format string, a ...any) error {
	return &refusal{code, fmt.Sprintf(format, a...)}
}

// photo is an uploaded file.
type photo struct {
	name string
	data []byte
}

// request is a POST /predict as it is answered.
type request struct {
	client string // fairness is by this
	upload *upload
	work   sync.WaitGroup // decoders that still read the upload
}

// predict answers POST /predict.
func (s *Server) predict(w http.ResponseWriter, r *http.Request) {
	if n := r.ContentLength; n > s.o.MaxBody {
		fail(w, refuse(http.StatusRequestEntityTooLarge, "%s; at most %d are read", plural.Count(n, "byte"), s.o.MaxBody))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.o.Timeout)
	defer cancel()
	q := &request{client: s.client(r)}
	q.upload = s.newUpload(w, r, q.client)
	defer q.end(ctx)
	photos, single, err := s.read(r, q.upload)
	if err != nil {
		q.upload.passOver()
		fail(w, err)
		return
	}
	_ = q.upload.deadline(time.Time{}) // all is read: ctx bounds the rest
	note(w, len(photos))
	list, err := s.all(ctx, q, photos)
	switch {
	case err != nil:
		if s.o.Log != nil && ctx.Err() == nil {
			s.o.Log.Print(err)
		}
		fail(w, err)
	case !single:
		write(w, http.StatusOK, answer{list})
	case list[0].Status != "ok":
		fail(w, refuse(codes[list[0].Status], "%s: %s", list[0].Status, list[0].Reason))
	default:
		write(w, http.StatusOK, list[0])
	}
}

// end gives the upload's memory back: after a time-out, when the last decoder
// has noticed.
func (q *request) end(ctx context.Context) {
	if ctx.Err() == nil {
		q.upload.release()
		return
	}
	go func() { q.work.Wait(); q.upload.release() }()
}

// failed is the status of a photograph that the network can make nothing of.
const failed = "failed"

// codes are the answers to a single photograph that has no prediction.
var codes = map[string]int{
	string(picture.Unreadable): http.StatusUnprocessableEntity, string(picture.Empty): http.StatusBadRequest,
	string(picture.TooLarge):    http.StatusRequestEntityTooLarge,
	string(picture.Unsupported): http.StatusUnsupportedMediaType,
	failed:                      http.StatusUnprocessableEntity,
}

// all predicts the photographs of a request side by side.
func (s *Server) all(ctx context.Context, q *request, photos []photo) ([]Prediction, error) {
	list, errs := make([]Prediction, len(photos)), make([]error, len(photos))
	var wg sync.WaitGroup
	for i := range photos {
		wg.Go(func() { list[i], errs[i] = s.one(ctx, q, photos[i]) })
	}
	wg.Wait()
	return list, errors.Join(errs...)
}

func (s *Server) one(ctx context.Context, q *request, p photo) (Prediction, error) {
	out := Prediction{Name: p.name}
	r := s.classify(ctx, q, p.data)
	err := r.err
	var bad *picture.DecodeError
	switch {
	case errors.As(err, &bad):
		out.Status, out.Reason = string(bad.Status), bad.Reason
	case errors.Is(err, errNoNumbers):
		out.Status, out.Reason = failed, err.Error()
	case err != nil:
		return out, err
	default:
		s.fill(&out, r.logp)
		out.Oddness = r.odd
		s.metrics.oddness(r.odd)
	}
	s.metrics.photo(out.Status)
	return out, nil
}

// classify decodes a photograph in the client's turn and waits for its batch.
func (s *Server) classify(ctx context.Context, q *request, data []byte) result {
	if err := s.decoding.acquire(ctx, q.client); err != nil {
		return result{err: err}
	}
	if err := acquire(ctx, s.images); err != nil {
		s.decoding.release()
		return result{err: err}
	}
	image := make([]float32, s.c.Len())
	decoded := make(chan error, 1)
	q.work.Go(func() {
		defer s.decoding.release()
		decoded <- s.load(ctx, image, data)
	})
	select {
	case err := <-decoded:
		defer func() { <-s.images }()
		if err != nil {
			return result{err: err}
		}
		return s.batches.submit(ctx, image)
	case <-ctx.Done(): // the client has its answer now; the place is the decoder's until it ends
		go func() { <-decoded; <-s.images }()
		return result{err: ctx.Err()}
	}
}

// acquire takes a place of a semaphore.
func acquire(ctx context.Context, places chan struct{}) error {
	select {
	case places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// load decodes; a decoder that panics on hostile bytes fails that photograph alone.
func (s *Server) load(ctx context.Context, dst []float32, data []byte) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &picture.DecodeError{Status: picture.Unreadable, Reason: "the decoder gave up"}
		}
	}()
	return s.c.Load(dst, data, picture.Limits{MaxPixels: s.o.MaxPixels, Context: ctx})
}

func (s *Server) fill(out *Prediction, logp []float32) {
	out.Status, out.Probabilities = "ok", map[string]float32{}
	for i, name := range s.o.Classes {
		p := float32(math.Exp(float64(logp[i])))
		out.Probabilities[name] = p
		if out.Predicted == "" || p > out.Probability {
			out.Predicted, out.Probability = name, p
		}
		if s.o.Multi && p > 0.5 {
			out.Labels = append(out.Labels, name)
		}
	}
	if s.o.Coverage == 0 {
		return
	}
	out.Coverage, out.Set = s.o.Coverage, []string{}
	for _, name := range s.o.Classes {
		if out.Probabilities[name] >= s.o.Limit {
			out.Set = append(out.Set, name)
		}
	}
	slices.SortStableFunc(out.Set, func(a, b string) int {
		return cmp.Compare(out.Probabilities[b], out.Probabilities[a])
	})
}

// fail answers with an error as JSON.
func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	var r *refusal
	switch {
	case errors.As(err, &r):
		if code = r.code; (code == http.StatusServiceUnavailable || code == http.StatusTooManyRequests) &&
			w.Header().Get("Retry-After") == "" {
			w.Header().Set("Retry-After", "1")
		}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errClosed):
		code = http.StatusServiceUnavailable
	case errors.Is(err, context.Canceled):
		code = 499 // nginx's word for a client that has left; nobody reads it but the metrics
	}
	write(w, code, map[string]string{"error": err.Error()})
}

func write(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v) // the client may have left
}
