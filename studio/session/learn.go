package session

import (
	"context"
	"math"
	"slices"
	"time"

	"finetune/audit"
	"finetune/internal/parallel"
	"finetune/logistic"
	"finetune/metrics"
	"finetune/studio/choose"
)

// model is what was learned from the labels of one moment. It never changes.
type model struct {
	fit     *logistic.Model
	classes []int     // of the session, in the order of the model's own
	logp    []float32 // [photographs, len(classes)]
	rank    []int     // of each photograph, the least sure first
	labels  int       // that it learned from
	seconds float64   // that it took, with the predictions
}

// Accuracy is the share of held-out photographs of which the head is right, and its 95 % interval (Wilson). With
// several labels it is of single tags.
type Accuracy struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Of    int     `json:"of"` // photographs
}

// Point is the accuracy after so many labels.
type Point struct {
	Labels int `json:"labels"`
	Accuracy
}

// Curve is what more labels would give.
type Curve struct {
	More int     `json:"more"` // labels; 0: it cannot be told
	Gain float64 `json:"gain"` // in accuracy
	Low  float64 `json:"low"`  // 90 % interval of Gain
	High float64 `json:"high"`
	Told bool    `json:"told"` // the interval lies above 0
	Stop bool    `json:"stop"` // more labels of this kind are not worth their time
}

// learn learns whenever labels changed, until ctx ends.
func (s *Session) learn(ctx context.Context) {
	told := 0 // labels when the curve was drawn last
	free := make(chan struct{}, 1)
	free <- struct{}{}
	for {
		s.fit(ctx)
		s.mu.Lock()
		n := len(s.history)
		labels := 0
		if n > 0 {
			labels = s.history[n-1].Labels
		}
		s.mu.Unlock()
		if abs(labels-told) >= curveEvery && len(free) > 0 {
			<-free
			told = labels
			go func() { s.foresee(); free <- struct{}{} }() // the head does not wait for it
		}
		select {
		case <-s.dirty:
		case <-ctx.Done():
			return
		}
	}
}

const curveEvery = 20 // labels

func abs(n int) int { return max(n, -n) }

// examples are the labelled photographs that are learned from, or those that are held out, with the classes
// that they have. The lock is held.
func (s *Session) examples(held bool) (at []int) {
	for i := range s.photos {
		if s.rows[i] != nil && s.labelled(i) && s.held(i) == held {
			at = append(at, i)
		}
	}
	return at
}

// problem is what the head learns from: its classes are those that some photograph has.
func (s *Session) problem(at []int) (d logistic.Data, classes []int) {
	place := map[int]int{}
	for c := range s.classes {
		if slices.ContainsFunc(at, func(i int) bool { return slices.Contains(s.last(i).classes, c) }) {
			place[c] = len(classes)
			classes = append(classes, c)
		}
	}
	d = logistic.Data{Classes: len(classes), Multi: s.multi()}
	for _, i := range at {
		d.Rows = append(d.Rows, s.rows[i])
		if !d.Multi {
			d.Labels = append(d.Labels, place[s.last(i).classes[0]])
			continue
		}
		tags := make([]float32, len(classes))
		for _, c := range s.last(i).classes {
			tags[place[c]] = 1
		}
		d.Targets = append(d.Targets, tags...)
	}
	return d, classes
}

// fit learns from the labels that there are now, and predicts all photographs.
func (s *Session) fit(ctx context.Context) {
	started := time.Now()
	s.mu.Lock()
	at := s.examples(false)
	d, classes := s.problem(at)
	version, rows := s.version, s.rows
	s.mu.Unlock()
	var m *model
	if len(at) >= 2 && (len(classes) >= 2 || d.Multi && len(classes) > 0) {
		fit, err := logistic.Fit(ctx, d, logistic.Strengths[logistic.Usual])
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.Fail(err)
			return
		}
		m = &model{fit: fit, classes: classes, labels: len(at)}
		m.predict(rows, d.Multi)
		m.seconds = time.Since(started).Seconds()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.model, s.learned = m, version
	if acc := s.measure(); acc.Of > 0 {
		p := Point{len(at), acc}
		if n := len(s.history); n > 0 && s.history[n-1].Labels >= p.Labels { // labels were taken back or changed
			s.history = slices.DeleteFunc(s.history, func(q Point) bool { return q.Labels >= p.Labels })
		}
		s.history = append(s.history, p)
	}
	s.touch()
}

// predict fills logp and rank. Photographs that cannot be read have probabilities of nothing and the last ranks.
func (m *model) predict(rows [][]float32, multi bool) {
	const block = 256
	k := len(m.classes)
	m.logp = make([]float32, len(rows)*k)
	parallel.For((len(rows)+block-1)/block, 0, func(b int) {
		var some [][]float32
		var at []int
		for i := b * block; i < min(len(rows), (b+1)*block); i++ {
			if rows[i] != nil {
				some, at = append(some, rows[i]), append(at, i)
			}
		}
		for j, v := range m.fit.LogProbabilities(some, multi) {
			m.logp[at[j/k]*k+j%k] = v
		}
	})
	all := make([]int, len(rows))
	for i := range all {
		all[i] = i
	}
	m.rank = make([]int, len(rows))
	for r, i := range choose.Unsure(m.logp, k, multi, all) {
		m.rank[i] = r
	}
}

// measure is the accuracy on the held-out photographs that have a label. The lock is held.
func (s *Session) measure() Accuracy {
	at := s.examples(true)
	if s.model == nil || len(at) == 0 {
		return Accuracy{}
	}
	k, right := len(s.model.classes), 0.
	for _, i := range at {
		logp, truth := s.model.logp[i*k:(i+1)*k], s.last(i).classes
		if !s.multi() {
			if s.model.classes[metrics.Best(logp)] == truth[0] {
				right++
			}
			continue
		}
		tags := 0
		for c := range s.classes {
			p := slices.Index(s.model.classes, c)
			if said := p >= 0 && logp[p] > float32(math.Log(.5)); said == slices.Contains(truth, c) {
				tags++
			}
		}
		right += float64(tags) / float64(len(s.classes))
	}
	a := Accuracy{Value: right / float64(len(at)), Of: len(at)}
	a.Low, a.High = metrics.Wilson(a.Value, a.Of)
	return a
}

// foresee draws the learning curve. Labels that were chosen are in it as they came; it says so where it is shown.
func (s *Session) foresee() {
	s.mu.Lock()
	train, held := s.examples(false), s.examples(true)
	if s.multi() || s.model == nil {
		s.mu.Unlock()
		return
	}
	classes := len(s.classes)
	labels := func(at []int) (rows [][]float32, of []int) {
		for _, i := range at {
			rows, of = append(rows, s.rows[i]), append(of, s.last(i).classes[0])
		}
		return rows, of
	}
	rows, of := labels(train)
	valid, truth := labels(held)
	s.mu.Unlock()
	c, err := audit.NewLabelCurve(rows, of, valid, truth, classes, nil)
	if err != nil || c == nil {
		return // of too few it cannot be told, which is what is shown
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.curve = Curve{More: c.More, Gain: c.Gain, Low: c.Low, High: c.High, Told: c.Told()}
	s.curve.Stop = c.More > 0 && c.High < worthless
	s.touch()
}

// worthless is a gain of which nobody would notice anything.
const worthless = .005
