// Package session is a sitting of labelling: photographs and their features, what was said of
// them, the head that learns from it in the background, and which photograph to ask about next. It
// knows neither HTTP nor files of photographs.
package session

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"finetune/dataset/journal"
	"finetune/internal/failure"
	"finetune/studio/choose"
)

// Photo is a photograph as the session knows it.
type Photo struct {
	ID   string // stands for its path in addresses
	Path string // relative to the folder, as in labels.csv
	File string // to open
}

// Known is a label that was there before anybody sat down.
type Known struct {
	Path, Label string
	Valid       bool // held out: to measure by
}

// Options say how a session is held.
type Options struct {
	Folder    string   // of labels.csv and classes.txt
	Classes   []string // to begin with
	Separator string   // between the labels of one photograph; "" where each has one
	Who       string   // labels
	Seed      uint64   // of what is drawn
	Now       func() time.Time
}

// Files of a session, in its folder.
const (
	LabelsFile  = "labels.csv"
	ClassesFile = "classes.txt"
)

// Session is open from Open to Close. Any number of goroutines use it.
type Session struct {
	o       Options
	photos  []Photo
	byID    map[string]int
	byPath  map[string]int
	pool    []bool // photographs that are kept aside if anybody asks about them
	journal *journal.Journal

	mu      sync.Mutex
	rows    [][]float32 // nil before Ready; nil entries are unreadable
	space   *choose.Space
	typical []int // still to be asked about
	classes []string
	said    [][]entry // of each photograph, the newest last
	actions [][]int   // photographs that were labelled together, to be taken back together
	model   *model
	curve   Curve
	history []Point
	version int64
	saidAt  int64         // version when something was said last
	learned int64         // version that the head knows, if there is one
	changed chan struct{} // closed at the next change
	dirty   chan struct{} // tells the trainer
	failed  string
}

// entry is what was said of a photograph once.
type entry struct {
	classes []int // none: skipped, or with several labels none of them
	source  string
}

// Open takes up what labels.csv says, and adds known labels of photographs that it says nothing of.
func Open(photos []Photo, known []Known, o Options) (*Session, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Session{o: o, photos: slices.Clone(photos), byID: map[string]int{}, byPath: map[string]int{},
		pool: make([]bool, len(photos)), said: make([][]entry, len(photos)), changed: make(chan struct{}),
		dirty: make(chan struct{}, 1)}
	for i := range s.photos {
		p := &s.photos[i]
		sum := sha256.Sum256([]byte(p.Path))
		p.ID = hex.EncodeToString(sum[:9])
		s.byID[p.ID], s.byPath[p.Path] = i, i
	}
	if len(s.photos) == 0 {
		return nil, failure.Data(errors.New("studio: no photographs; give a folder that has some"))
	}
	var err error
	if s.journal, err = journal.Open(filepath.Join(o.Folder, LabelsFile)); err != nil {
		return nil, err
	}
	if err := errors.Join(s.readClasses(), s.begin(known)); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	s.drawPool()
	return s, nil
}

// begin fills the session from the journal.
func (s *Session) begin(known []Known) error {
	rows := s.journal.Rows()
	there := map[string]bool{}
	for _, r := range rows {
		there[r.Path] = true
	}
	var fresh []journal.Row
	when := s.when()
	for _, k := range known {
		if there[k.Path] || k.Label == "" {
			continue
		}
		source := journal.Folder
		if k.Valid {
			source = journal.Valid
		}
		fresh = append(fresh, journal.Row{Path: k.Path, Label: k.Label, Who: s.o.Who, When: when, Source: source})
	}
	if err := s.journal.Append(fresh...); err != nil {
		return err
	}
	for _, name := range s.o.Classes {
		if err := s.addClass(name); err != nil {
			return err
		}
	}
	var together string
	for _, r := range append(rows, fresh...) {
		i, there := s.byPath[r.Path]
		if !there { // a photograph that is gone keeps its row in the file
			continue
		}
		mark := r.When + "\x00" + r.Who + "\x00" + r.Source
		s.replay(i, r, mark == together)
		together = mark
	}
	return s.writeClasses()
}

// replay does what a row says; with is whether it was said together with the row before.
func (s *Session) replay(i int, r journal.Row, with bool) {
	switch r.Source {
	case journal.Undo:
		if n := len(s.said[i]); n > 0 {
			s.said[i] = s.said[i][:n-1]
		}
		if n := len(s.actions); n > 0 && !with {
			s.actions = s.actions[:n-1]
		}
		return
	case journal.Folder, journal.Valid: // nobody's action
	default:
		if n := len(s.actions); with && n > 0 {
			s.actions[n-1] = append(s.actions[n-1], i)
		} else {
			s.actions = append(s.actions, []int{i})
		}
	}
	e := entry{source: r.Source}
	for _, name := range s.split(r.Label) {
		c := slices.Index(s.classes, name)
		if c < 0 {
			c = len(s.classes)
			s.classes = append(s.classes, name)
		}
		e.classes = append(e.classes, c)
	}
	s.said[i] = append(s.said[i], e)
}

// split is a label cell's names.
func (s *Session) split(label string) []string {
	if s.o.Separator == "" {
		if label == "" {
			return nil
		}
		return []string{label}
	}
	var out []string
	for part := range strings.SplitSeq(label, s.o.Separator) {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	return out
}

// Close ends the session. Nothing is left to be saved.
func (s *Session) Close() error { return s.journal.Close() }

// Photos are the photographs, in the order of their indices.
func (s *Session) Photos() []Photo { return s.photos }

// Find is a photograph by its ID.
func (s *Session) Find(id string) (Photo, bool) {
	i, ok := s.byID[id]
	if !ok {
		return Photo{}, false
	}
	return s.photos[i], true
}

// Ready hands over the features [n][f], nil of photographs that cannot be read, and starts the head that learns
// until ctx ends.
func (s *Session) Ready(ctx context.Context, rows [][]float32) {
	space := choose.NewSpace(rows, s.o.Seed)
	s.mu.Lock()
	s.rows, s.space = rows, space
	s.plan()
	s.touch()
	s.mu.Unlock()
	go s.learn(ctx)
}

// Fail tells those who look on that there will be no features.
func (s *Session) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed = err.Error()
	s.touch()
}

// touch wakes those who wait for a change. The lock is held.
func (s *Session) touch() {
	s.version++
	close(s.changed)
	s.changed = make(chan struct{})
}

// Wait returns at the first change after version seen, or when ctx ends.
func (s *Session) Wait(ctx context.Context, seen int64) {
	for {
		s.mu.Lock()
		version, changed := s.version, s.changed
		s.mu.Unlock()
		if version > seen {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// last is what counts of what was said of photograph i; nil: nothing.
func (s *Session) last(i int) *entry {
	if n := len(s.said[i]); n > 0 {
		return &s.said[i][n-1]
	}
	return nil
}

// labelled reports whether photograph i has a label. With several labels none is one too.
func (s *Session) labelled(i int) bool {
	e := s.last(i)
	return e != nil && e.source != journal.Skip && (len(e.classes) > 0 || s.multi())
}

// held reports whether the label of photograph i is to measure by.
func (s *Session) held(i int) bool {
	for _, e := range s.said[i] { // looked at again, it is still held out
		if journal.HeldOut(e.source) {
			return true
		}
	}
	return s.pool[i]
}

func (s *Session) multi() bool { return s.o.Separator != "" }

func (s *Session) when() string { return s.o.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

// errNone is of an ID that no photograph has.
func errNone(id string) error {
	return failure.Usage(fmt.Errorf("studio: no photograph %.40q; load the page again", id))
}
