package session

import "finetune/dataset/journal"

// State is what a page shows of a session.
type State struct {
	Version int64  `json:"version"`
	Ready   bool   `json:"ready"` // features are there
	Failed  string `json:"failed,omitempty"`

	Photographs int     `json:"photographs"`
	Unreadable  int     `json:"unreadable"`
	Labels      int     `json:"labels"` // that are learned from
	Held        int     `json:"held"`   // that are measured by
	Skipped     int     `json:"skipped"`
	Left        int     `json:"left"` // without a label
	Classes     []Class `json:"classes"`
	Separator   string  `json:"separator,omitempty"`
	Undoable    bool    `json:"undoable"`

	Learned  int       `json:"learned"`  // labels that the head has learned from
	Current  bool      `json:"current"`  // it knows all that was said
	Seconds  float64   `json:"seconds"`  // that learning took
	Accuracy *Accuracy `json:"accuracy"` // null: not known yet
	Majority float64   `json:"majority"` // what saying the commonest class would reach
	History  []Point   `json:"history"`
	Curve    Curve     `json:"curve"`
	File     string    `json:"file"` // labels.csv
}

// Class is a class and its photographs.
type Class struct {
	Name string `json:"name"`
	N    int    `json:"n"`
	Held int    `json:"held"`
}

// mostPoints of the history are shown.
const mostPoints = 400

// State is the session now.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := State{Version: s.version, Ready: s.rows != nil, Failed: s.failed, Photographs: len(s.photos),
		Separator: s.o.Separator, Undoable: len(s.actions) > 0, Curve: s.curve, File: s.journal.Path(),
		Classes: make([]Class, len(s.classes)), History: append([]Point{}, s.history[max(0, len(s.history)-mostPoints):]...)}
	for c, name := range s.classes {
		st.Classes[c].Name = name
	}
	for i := range s.photos {
		e := s.last(i)
		switch {
		case s.rows != nil && s.rows[i] == nil:
			st.Unreadable++
		case e == nil:
			st.Left++
		case e.source == journal.Skip:
			st.Skipped++
		case s.held(i):
			st.Held++
			for _, c := range e.classes {
				st.Classes[c].Held++
			}
		default:
			st.Labels++
			for _, c := range e.classes {
				st.Classes[c].N++
			}
		}
	}
	st.Current = s.rows != nil && s.learned >= s.saidAt
	if m := s.model; m != nil {
		st.Learned, st.Seconds = m.labels, m.seconds
		if a := s.measure(); a.Of > 0 {
			st.Accuracy = &a
		}
	}
	if st.Held > 0 && s.o.Separator == "" {
		most := 0
		for _, c := range st.Classes {
			most = max(most, c.Held)
		}
		st.Majority = float64(most) / float64(st.Held)
	}
	return st
}
