package session

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"finetune/dataset/journal"
	"finetune/internal/durable"
	"finetune/internal/failure"
)

// Label says that photographs are of these classes, which are added where they are new. source is why they were
// asked about; of photographs that are held out it stays what it was. When it returns the labels are on the disk.
func (s *Session) Label(ids, names []string, source string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, err := s.find(ids)
	if err != nil {
		return err
	}
	switch {
	case len(at) == 0:
		return failure.Usage(errors.New("studio: no photograph to label"))
	case s.multi():
	case len(names) != 1:
		return failure.Usage(errors.New("studio: a photograph has one label; start the studio with --label-sep for several"))
	}
	var e entry
	for _, name := range names {
		if err := s.addClass(name); err != nil {
			return err
		}
		e.classes = append(e.classes, slices.Index(s.classes, clean(name)))
	}
	if err := s.writeClasses(); err != nil {
		return err
	}
	cell := s.cell(e.classes)
	return s.say(at, cell, func(i int) entry {
		one := entry{slices.Clone(e.classes), source}
		switch {
		case s.pool[i]:
			one.source = journal.Aside
		case s.held(i):
			one.source = journal.Valid
		}
		return one
	})
}

// Skip says that nothing can be said of a photograph. It is not asked about again.
func (s *Session) Skip(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	at, err := s.find([]string{id})
	if err != nil {
		return err
	}
	return s.say(at, "", func(int) entry { return entry{source: journal.Skip} })
}

// say writes entries of photographs down and does as they say. The lock is held.
func (s *Session) say(at []int, cell string, of func(i int) entry) error {
	when := s.when()
	rows, entries := make([]journal.Row, len(at)), make([]entry, len(at))
	for k, i := range at {
		entries[k] = of(i)
		rows[k] = journal.Row{Path: s.photos[i].Path, Label: cell, Who: s.o.Who, When: when, Source: entries[k].source}
	}
	if err := s.journal.Append(rows...); err != nil {
		return err
	}
	for k, i := range at {
		s.said[i] = append(s.said[i], entries[k])
	}
	s.actions = append(s.actions, at)
	s.asked(at)
	return nil
}

// asked makes the head learn again, and tells those who look on.
func (s *Session) asked(at []int) {
	s.typical = slices.DeleteFunc(s.typical, func(i int) bool { return slices.Contains(at, i) })
	s.touch()
	s.saidAt = s.version
	select {
	case s.dirty <- struct{}{}:
	default: // it is told already
	}
}

// Undo takes back what was said last, of one photograph or of several at once, and returns their IDs.
func (s *Session) Undo() ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.actions)
	if n == 0 {
		return nil, failure.Usage(errors.New("studio: nothing to take back"))
	}
	at, when := s.actions[n-1], s.when()
	var rows []journal.Row
	var ids []string
	for _, i := range at {
		rows = append(rows, journal.Row{Path: s.photos[i].Path, Who: s.o.Who, When: when, Source: journal.Undo})
		ids = append(ids, s.photos[i].ID)
	}
	if err := s.journal.Append(rows...); err != nil {
		return nil, err
	}
	s.actions = s.actions[:n-1]
	for _, i := range at {
		if k := len(s.said[i]); k > 0 {
			s.said[i] = s.said[i][:k-1]
		}
	}
	s.asked(at)
	return ids, nil
}

// find are the indices of IDs, each once.
func (s *Session) find(ids []string) ([]int, error) {
	var at []int
	for _, id := range ids {
		i, ok := s.byID[id]
		if !ok {
			return nil, errNone(id)
		}
		if !slices.Contains(at, i) {
			at = append(at, i)
		}
	}
	return at, nil
}

// cell is how classes are written in labels.csv.
func (s *Session) cell(classes []int) string {
	var names []string
	for _, c := range classes {
		names = append(names, s.classes[c])
	}
	return strings.Join(names, s.o.Separator)
}

// mostClasses can be told apart by a person who labels.
const mostClasses = 1000

// AddClass adds a class, after the others.
func (s *Session) AddClass(name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.addClass(name); err != nil {
		return err
	}
	defer s.touch()
	return s.writeClasses()
}

func clean(name string) string { return strings.TrimSpace(name) }

func (s *Session) addClass(name string) error {
	name = clean(name)
	switch sep := s.o.Separator; {
	case slices.Contains(s.classes, name):
		return nil
	case name == "" || utf8.RuneCountInString(name) > 100 || !utf8.ValidString(name):
		return failure.Usage(fmt.Errorf("studio: class %.100q: give it a name of 1 to 100 letters", name))
	case strings.ContainsFunc(name, unicode.IsControl):
		return failure.Usage(fmt.Errorf("studio: class %.100q holds a control character; leave it out", name))
	case sep != "" && strings.Contains(name, sep):
		return failure.Usage(fmt.Errorf("studio: class %.100q holds the separator %q; add one class after the other",
			name, sep))
	case len(s.classes) >= mostClasses:
		return failure.Usage(fmt.Errorf("studio: there are %d classes already; label with fewer", mostClasses))
	}
	s.classes = append(s.classes, name)
	return nil
}

func (s *Session) classesFile() string { return filepath.Join(s.o.Folder, ClassesFile) }

// readClasses takes the classes up in the order of their keys.
func (s *Session) readClasses() error {
	data, err := os.ReadFile(s.classesFile())
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("studio: %w", err)
	}
	for line := range strings.Lines(string(data)) {
		if clean(line) == "" {
			continue
		}
		if err := s.addClass(line); err != nil {
			return fmt.Errorf("%w (in %s)", err, s.classesFile())
		}
	}
	return nil
}

// writeClasses keeps the classes: a class may have a key before any photograph has the class.
func (s *Session) writeClasses() error {
	text := strings.Join(s.classes, "\n") + "\n"
	if now, err := os.ReadFile(s.classesFile()); len(s.classes) == 0 || err == nil && string(now) == text {
		return nil
	}
	return durable.WriteFile(s.classesFile(), []byte(text))
}
