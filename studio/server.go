// Package studio is a page in the browser beside the command line: it labels photographs, and tries one that is not of
// the folder.
//
//	GET  /                      the page, and the files that belong to it
//	GET  /api/state?seen=V      session.State, as soon as its version is above V, at the latest after 20 s
//	GET  /api/next?n=N&not=IDS  photographs to ask about; measure=1: drawn at random, to measure by
//	GET  /api/grid?like=ID&n=N  unlabelled photographs, the likest first
//	GET  /api/labelled          photographs that have a label; class=, skip=, n=
//	GET  /photo/ID?size=view    a photograph as JPEG; without size small
//	POST /api/label             {"ids": […], "labels": […], "source": "chosen"}
//	POST /api/skip              {"id": …}
//	POST /api/undo              takes back what was said last
//	POST /api/class             {"name": …}
//	POST /api/try               a photograph's file; what the head says of it, and the likest that have a label
//
// Photographs have IDs, made from their paths; no request names a file. What is said is in labels.csv when its answer
// leaves. Package internal/guard decides who may ask.
package studio

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"finetune/augment/picture"
	"finetune/dataset/journal"
	"finetune/internal/failure"
	"finetune/internal/guard"
	"finetune/studio/page"
	"finetune/studio/session"
)

// Server answers for one session.
type Server struct {
	s      *session.Session
	shots  *shots
	status func() Status
	trying sync.Mutex

	Command string // that trains on the labels, for the page to show

	// Embed makes features of a photograph's file, for Try; nil: there is no body.
	Embed func(ctx context.Context, data []byte) ([]float32, error)
}

// Status is what a page shows while features are computed.
type Status struct {
	What  string `json:"what"`
	Done  int    `json:"done"`
	Total int    `json:"total"`
}

// New makes a server. decode says what decoding a photograph may take; status may be nil.
func New(s *session.Session, decode func(context.Context) picture.Limits, status func() Status) *Server {
	if status == nil {
		status = func() Status { return Status{} }
	}
	return &Server{s: s, shots: newShots(decode), status: status}
}

// Limits of a client. A page asks for 60 small pictures at once, and for more as it is scrolled.
const (
	maxBody   = 32 << 20
	maxJSON   = 1 << 20
	rate      = 300 // requests a second
	burst     = 1500
	longPoll  = 20 * time.Second
	mostAsked = 200 // photographs in an answer
)

// Handler is the server behind its guard: without token and own Host nobody gets anything.
func (v *Server) Handler(token string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { page.Serve(w, "index.html") })
	mux.HandleFunc("GET /{file}", func(w http.ResponseWriter, r *http.Request) { page.Serve(w, r.PathValue("file")) })
	mux.HandleFunc("GET /photo/{id}", v.photo)
	mux.HandleFunc("GET /api/state", v.state)
	mux.HandleFunc("GET /api/next", v.next)
	mux.HandleFunc("GET /api/grid", v.grid)
	mux.HandleFunc("GET /api/labelled", v.labelled)
	mux.HandleFunc("POST /api/label", v.label)
	mux.HandleFunc("POST /api/skip", v.skip)
	mux.HandleFunc("POST /api/undo", v.undo)
	mux.HandleFunc("POST /api/class", v.class)
	mux.HandleFunc("POST /api/try", v.try)
	g := guard.New(guard.Options{Tokens: []string{token}, InPath: true, MaxBody: maxBody, Rate: rate, Burst: burst,
		Refuse: func(w http.ResponseWriter, _ *http.Request, code int, why string) {
			guard.Page(w.Header(), photographs)
			http.Error(w, why, code)
		}})
	return g.Protect(secured(mux))
}

// photographs come from this server, or are being tried.
const photographs = "'self' blob:"

func secured(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guard.Page(w.Header(), photographs)
		h.ServeHTTP(w, r)
	})
}

// Serve serves on l until ctx ends.
func (v *Server) Serve(ctx context.Context, l net.Listener, token string) error {
	h := &http.Server{Handler: v.Handler(token), ErrorLog: log.New(io.Discard, "", 0), MaxHeaderBytes: 64 << 10,
		ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second, WriteTimeout: time.Minute,
		IdleTimeout: time.Minute,
		BaseContext: func(net.Listener) context.Context { return ctx }}
	failed := make(chan error, 1)
	go func() { failed <- h.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("studio: %w", err)
	case <-ctx.Done():
	}
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_ = h.Shutdown(limited) // answers that are under way leave; what was said is on the disk
	return h.Close()
}

// answer sends v as JSON.
func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // a client that left
}

// fail sends an error as JSON: {"error": …}.
func fail(w http.ResponseWriter, err error) {
	code := http.StatusInternalServerError
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		code = http.StatusRequestEntityTooLarge
	case failure.KindOf(err) == failure.UsageKind, failure.KindOf(err) == failure.DataKind:
		code = http.StatusBadRequest
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": strings.TrimPrefix(err.Error(), "studio: ")})
}

// read decodes the body of a request. Forms of other sites cannot send this type.
func read(w http.ResponseWriter, r *http.Request, into any) error {
	if kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); kind != "application/json" {
		return failure.Usagef("studio: Content-Type %.40q; send application/json", kind)
	}
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxJSON))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return failure.Usage(fmt.Errorf("studio: the request is no such JSON: %w", err))
	}
	return nil
}

// number is a number in the address, or what is usual.
func number(r *http.Request, name string, usual, most int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || n < 0 {
		n = usual
	}
	return min(n, most)
}

// shown is the state with what only the server knows.
type shown struct {
	session.State
	Working Status `json:"working"`
	Command string `json:"command"`
}

func (v *Server) now() shown { return shown{v.s.State(), v.status(), v.Command} }

func (v *Server) state(w http.ResponseWriter, r *http.Request) {
	seen, err := strconv.ParseInt(r.URL.Query().Get("seen"), 10, 64)
	if err != nil {
		seen = -1
	}
	patience := longPoll
	if !v.s.State().Ready { // then progress is what changes
		patience = time.Second / 2
	}
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	v.s.Wait(ctx, seen)
	answer(w, v.now())
}

func (v *Server) next(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	not := strings.FieldsFunc(q.Get("not"), func(c rune) bool { return c == ',' })
	answer(w, asks(v.s.Next(number(r, "n", 1, mostAsked), not[:min(len(not), mostAsked)], q.Get("measure") == "1")))
}

func (v *Server) grid(w http.ResponseWriter, r *http.Request) {
	found, err := v.s.Grid(r.URL.Query().Get("like"), number(r, "n", 60, mostAsked))
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, asks(found))
}

func (v *Server) labelled(w http.ResponseWriter, r *http.Request) {
	const all = 1 << 30
	answer(w, asks(v.s.Labelled(r.URL.Query().Get("class"), number(r, "skip", 0, all), number(r, "n", 60, mostAsked))))
}

// asks is never null in JSON.
func asks(found []session.Ask) []session.Ask { return append([]session.Ask{}, found...) }

// sources are what a page may say that a label is for.
var sources = map[string]bool{journal.Chosen: true, journal.Aside: true, journal.Random: true, journal.Grid: true,
	journal.Review: true, journal.Valid: true, journal.Folder: true, "": true}

func (v *Server) label(w http.ResponseWriter, r *http.Request) {
	var said struct {
		IDs    []string `json:"ids"`
		Labels []string `json:"labels"`
		Source string   `json:"source"`
	}
	if err := read(w, r, &said); err != nil {
		fail(w, err)
		return
	}
	if said.Source == "" || !sources[said.Source] {
		said.Source = journal.Chosen
	}
	v.done(w, v.s.Label(said.IDs, said.Labels, said.Source))
}

func (v *Server) skip(w http.ResponseWriter, r *http.Request) {
	var said struct {
		ID string `json:"id"`
	}
	err := read(w, r, &said)
	if err == nil {
		err = v.s.Skip(said.ID)
	}
	v.done(w, err)
}

func (v *Server) undo(w http.ResponseWriter, r *http.Request) {
	var said struct{}
	if err := read(w, r, &said); err != nil {
		fail(w, err)
		return
	}
	ids, err := v.s.Undo()
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, map[string]any{"ids": ids, "asks": asks(v.s.Asks(ids)), "state": v.now()})
}

func (v *Server) class(w http.ResponseWriter, r *http.Request) {
	var said struct {
		Name string `json:"name"`
	}
	err := read(w, r, &said)
	if err == nil {
		err = v.s.AddClass(said.Name)
	}
	v.done(w, err)
}

// done answers what was asked to be done with the state after it.
func (v *Server) done(w http.ResponseWriter, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	answer(w, v.now())
}
