package serve

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"

	"finetune/augment"
)

// Prediction is the answer for one photograph.
type Prediction struct {
	Name          string             `json:"name,omitempty"` // of the uploaded file
	Predicted     string             `json:"predicted,omitempty"`
	Labels        []string           `json:"labels,omitempty"` // several labels: those above one half
	Probability   float32            `json:"probability,omitempty"`
	Probabilities map[string]float32 `json:"probabilities,omitempty"`
	Status        string             `json:"status"` // ok, or as in score files
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

// predict answers POST /predict.
func (s *Server) predict(w http.ResponseWriter, r *http.Request) {
	size := s.o.MaxBody
	if n := r.ContentLength; n > s.o.MaxBody {
		fail(w, refuse(http.StatusRequestEntityTooLarge, "%d bytes; at most %d are read", n, s.o.MaxBody))
		return
	} else if n >= 0 {
		size = n
	}
	if !s.uploads.TryAcquire(size) {
		w.Header().Set("Retry-After", "1")
		fail(w, refuse(http.StatusServiceUnavailable, "too many requests wait; try again"))
		return
	}
	defer s.uploads.Release(size)
	ctx, cancel := context.WithTimeout(r.Context(), s.o.Timeout)
	defer cancel()
	photos, single, err := s.read(w, r)
	if err != nil {
		fail(w, err)
		return
	}
	list, err := s.all(ctx, photos)
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

// failed is the status of a photograph that the network can make nothing of.
const failed = "failed"

// codes are the answers to a single photograph that has no prediction.
var codes = map[string]int{
	string(augment.Unreadable): http.StatusUnprocessableEntity, string(augment.Empty): http.StatusBadRequest,
	string(augment.TooLarge): http.StatusRequestEntityTooLarge, string(augment.Unsupported): http.StatusUnsupportedMediaType,
	failed: http.StatusUnprocessableEntity,
}

// read takes the photographs out of a request; single says that it is the body itself.
func (s *Server) read(w http.ResponseWriter, r *http.Request) (photos []photo, single bool, err error) {
	body := http.MaxBytesReader(w, r.Body, s.o.MaxBody)
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case kind == "multipart/form-data":
		photos, err = s.multipart(multipart.NewReader(body, params["boundary"]))
	case kind == "application/json":
		photos, err = s.json(body)
	default:
		single = true
		photos = []photo{{}}
		photos[0].data, err = io.ReadAll(body)
	}
	if err != nil {
		return nil, false, unread(err)
	}
	if len(photos) == 0 {
		return nil, false, refuse(http.StatusBadRequest, "no photographs in the request")
	}
	return photos, single, nil
}

// unread gives an error of reading a request its status code.
func unread(err error) error {
	var r *refusal
	var large *http.MaxBytesError
	var slow net.Error
	switch {
	case errors.As(err, &r):
		return err
	case errors.As(err, &large):
		return refuse(http.StatusRequestEntityTooLarge, "more than %d bytes", large.Limit)
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &slow) && slow.Timeout():
		return refuse(http.StatusRequestTimeout, "the upload took too long")
	}
	return refuse(http.StatusBadRequest, "the request cannot be read: %v", err)
}

func (s *Server) multipart(r *multipart.Reader) ([]photo, error) {
	var photos []photo
	for {
		part, err := r.NextPart()
		if err == io.EOF {
			return photos, nil
		}
		if err != nil {
			return nil, err
		}
		if part.FileName() == "" {
			continue
		}
		if len(photos) == s.o.MaxImages {
			return nil, refuse(http.StatusRequestEntityTooLarge, "more than %d photographs in one request", s.o.MaxImages)
		}
		data, err := io.ReadAll(part)
		if err != nil {
			return nil, err
		}
		photos = append(photos, photo{part.FileName(), data})
	}
}

func (s *Server) json(r io.Reader) ([]photo, error) {
	var in struct {
		Images []string `json:"images"`
	}
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&in); err != nil {
		return nil, err
	}
	if len(in.Images) > s.o.MaxImages {
		return nil, refuse(http.StatusRequestEntityTooLarge, "%d photographs in one request; at most %d", len(in.Images), s.o.MaxImages)
	}
	photos := make([]photo, len(in.Images))
	for i, text := range in.Images {
		if _, data, ok := strings.Cut(text, ";base64,"); ok && strings.HasPrefix(text, "data:") {
			text = data
		}
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, refuse(http.StatusBadRequest, "images[%d] is not base64: %v", i, err)
		}
		photos[i].data = data
	}
	return photos, nil
}

// all predicts the photographs of a request side by side.
func (s *Server) all(ctx context.Context, photos []photo) ([]Prediction, error) {
	list, errs := make([]Prediction, len(photos)), make([]error, len(photos))
	var wg sync.WaitGroup
	for i := range photos {
		wg.Go(func() { list[i], errs[i] = s.one(ctx, photos[i]) })
	}
	wg.Wait()
	return list, errors.Join(errs...)
}

func (s *Server) one(ctx context.Context, p photo) (Prediction, error) {
	out := Prediction{Name: p.name}
	if err := acquire(ctx, s.images); err != nil {
		return out, err
	}
	defer func() { <-s.images }()
	if err := acquire(ctx, s.decoding); err != nil {
		return out, err
	}
	image := make([]float32, s.c.Len())
	err := s.load(ctx, image, p.data)
	<-s.decoding
	if err != nil {
		var bad *augment.DecodeError
		if errors.As(err, &bad) {
			out.Status, out.Reason = string(bad.Status), bad.Reason
			s.metrics.photo(out.Status)
			return out, nil
		}
		return out, err
	}
	logp, err := s.batches.submit(ctx, image)
	if errors.Is(err, errNoNumbers) {
		out.Status, out.Reason = failed, err.Error()
		s.metrics.photo(out.Status)
		return out, nil
	}
	if err != nil {
		return out, err
	}
	s.metrics.photo("ok")
	s.fill(&out, logp)
	return out, nil
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
			err = &augment.DecodeError{Status: augment.Unreadable, Reason: "the decoder gave up"}
		}
	}()
	return s.c.Load(dst, data, augment.Limits{MaxPixels: s.o.MaxPixels, Context: ctx})
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
}

// fail answers with an error as JSON.
func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	var r *refusal
	switch {
	case errors.As(err, &r):
		code = r.code
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
