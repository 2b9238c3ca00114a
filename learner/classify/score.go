package classify

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"finetune/activations"
	"finetune/dataset"
	"finetune/internal/durable"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/reading"
	"finetune/learner/features"
	"finetune/learner/runs"
	"finetune/metrics"
	"finetune/scores"
)

// ScoreOptions say how a list of files becomes a table.
type ScoreOptions struct {
	Output  string // .csv, .jsonl or .parquet
	TTA     int    // augmented views averaged with the centre view; 0: the centre alone
	NoCache bool   // compute everything, keep nothing
	NoLock  bool   // do without a lock where the file system has none
	Escape  bool   // disarm formulas in a CSV
	Odd     string // what becomes of odd photographs: OddReject, they are not predicted; OddFlag, the default, they are
	Table   scores.Options
}

// ScoreReport says what Score did. The counts of Status add up to Rows.
type ScoreReport struct {
	Output        string         `json:"output"`
	Rows          int            `json:"rows"`
	Status        map[string]int `json:"status"`  // rows by status
	Resumed       int            `json:"resumed"` // rows of an earlier run that was killed
	Computed      int            `json:"computed"`
	Odd           int            `json:"odd"` // rows with an oddness above 1
	Seconds       float64        `json:"seconds"`
	DecodeSeconds float64        `json:"decode_seconds"` // core-seconds of reading and decoding
	BodySeconds   float64        `json:"body_seconds"`   // wall time of inference, side by side or not
}

// What becomes of photographs that are unlike the training photographs.
const (
	OddFlag   = "flag"
	OddReject = "reject"
)

// Bad is the number of rows without probabilities.
func (r ScoreReport) Bad() int { return r.Rows - r.Status[scores.OK] }

const (
	chunkRows = 512  // of the journal: what a kill loses at most
	blockRows = 4096 // files whose rows are in memory at once, where there are several views or a cache
)

// Score writes the table of items, one row each, in their order. A run that was
// killed continues where it stopped if model, options and files are the same, and
// ends in the same bytes. Memory does not grow with len(items), but for the list.
func (c *Classifier) Score(ctx context.Context, items []dataset.Item, o ScoreOptions, ui runs.UI) (ScoreReport, error) {
	start := time.Now()
	r := ScoreReport{Output: o.Output, Rows: len(items), Status: map[string]int{}}
	table, err := c.Table(o)
	if err != nil {
		return r, err
	}
	if names := scores.Formulas(c.Classes); len(names) > 0 && strings.EqualFold(filepath.Ext(o.Output), ".csv") &&
		!o.Escape {
		ui.Warn("%s: a spreadsheet would run the class name %q as a formula; --escape-formulas prevents that", o.Output,
			names[0])
	}
	if err := durable.Room(filepath.Dir(o.Output), int64(len(items)*(64+12*len(table.Columns)))); err != nil {
		return r, fmt.Errorf("learner: %w", err)
	}
	key, err := c.scoreKey(items, o)
	if err != nil {
		return r, err
	}
	journal, err := scores.OpenJournal(o.Output, append(slices.Clip(table.Columns), scores.Column{Name: "status"}), key,
		o.NoLock)
	if err != nil {
		return r, err
	}
	defer journal.Close()
	if r.Resumed = journal.Len(); r.Resumed > 0 {
		ui.Say("resuming   after %d of %s", r.Resumed, plural.Count(len(items), "file"))
	}
	show, end := ui.Progress("score", "images")
	s := &scorer{c: c, o: o, items: items, from: r.Resumed, table: table, keep: journal.Append, report: &r, show: show}
	err = errors.Join(s.run(ctx), s.close())
	end()
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("stopped after %d of %s, which are kept; run the same command again to continue: %w",
				journal.Len(), plural.Count(len(items), "file"), ctx.Err())
		}
		return r, err
	}
	if err := s.finish(journal); err != nil {
		return r, err
	}
	c.narrow.Tell(ui)
	r.Seconds = time.Since(start).Seconds()
	return r, journal.Remove()
}

// scoreKey is all that the rows depend on.
func (c *Classifier) scoreKey(items []dataset.Item, o ScoreOptions) (any, error) {
	h := sha256.New()
	for _, it := range items {
		fmt.Fprintf(h, "%q", it.Path)
		var info os.FileInfo
		err := reading.Steadily(it.File, func() (err error) { info, err = reading.Stat(it.File); return err })
		if failure.System(err) {
			return nil, fmt.Errorf("learner: %w", err)
		}
		if err == nil {
			fmt.Fprintf(h, " %d %d", info.Size(), info.ModTime().UnixNano())
		}
	}
	return map[string]any{
		"classifier": c.Digest, "files": hex.EncodeToString(h.Sum(nil)), "options": o.Table, "tta": o.TTA,
		"views": c.policy.String(), "odd": o.Odd,
		"runtime": c.Runtime.Version, "device": c.Machine.Device,
	}, nil
}

// scorer is one Score.
type scorer struct {
	c      *Classifier
	o      ScoreOptions
	items  []dataset.Item
	from   int // items already in the journal
	table  *scores.Table
	keep   func([]scores.Row) error // takes rows, whose last cell is the status
	report *ScoreReport
	show   func(done, total int)
	caches map[int]*activations.Cache // by view
	chunk  []scores.Row
}

func (s *scorer) run(ctx context.Context) error {
	var err error
	if s.o.NoCache && s.o.TTA == 0 {
		err = s.stream(ctx)
	} else {
		err = s.blocks(ctx)
	}
	return errors.Join(err, s.flush()) // what is done is kept whatever happened
}

// stream scores without a pause between chunks.
func (s *scorer) stream(ctx context.Context) error {
	items := s.items[s.from:]
	report, err := activations.Stream(ctx, items, s.c.Size, &directBody{c: s.c}, s.c.load(ctx, -1), s.fillOptions(s.from),
		func(i int, row []float32, bad *activations.Bad) error {
			if bad != nil {
				return s.add(items[i], nil, scores.None, bad)
			}
			logp, odd := s.c.split(row)
			return s.add(items[i], logp, odd, nil)
		})
	s.count(report)
	return err
}

func (s *scorer) fillOptions(done int) activations.FillOptions {
	o := s.c.Machine.Fill()
	o.Progress = func(n, _, _ int) { s.show(done+n, len(s.items)*s.passes()) }
	return o
}

// passes is how often each file is looked at.
func (s *scorer) passes() int { return 1 + s.o.TTA }

func (s *scorer) count(r activations.Report) {
	s.report.Computed += r.Computed
	s.report.DecodeSeconds += r.DecodeSeconds
	s.report.BodySeconds += r.BodySeconds
}

// blocks scores a block of files at a time, view by view.
func (s *scorer) blocks(ctx context.Context) error {
	for lo := s.from; lo < len(s.items); lo += blockRows {
		items := s.items[lo:min(lo+blockRows, len(s.items))]
		logp, odd, bad, err := s.block(ctx, lo, items)
		if err != nil {
			return err
		}
		n := len(s.c.Classes)
		for i, it := range items {
			if err := s.add(it, logp[i*n:(i+1)*n], odd[i], bad[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// block returns the log-probabilities of items, averaged over the views as
// test-time augmentation does, how odd the centre view of each is, NaN where that is not
// known, and what is wrong with each.
func (s *scorer) block(ctx context.Context, lo int, items []dataset.Item) (logp, odd []float32, bad []*activations.Bad,
	err error) {
	bad = make([]*activations.Bad, len(items))
	done := lo * s.passes()
	logp, odd, err = s.view(ctx, -1, done, items, bad)
	if err != nil || s.o.TTA == 0 {
		return logp, odd, bad, err
	}
	mean := metrics.NewViewMean(s.o.TTA, len(logp))
	mean.Centre(logp)
	for k := range s.o.TTA {
		done += len(items)
		if logp, _, err = s.view(ctx, k, done, items, bad); err != nil {
			return nil, nil, nil, err
		}
		mean.View(logp)
	}
	return mean.LogProbabilities(), odd, bad, nil
}

// split takes a row of answers apart. The oddness is NaN where it is not known.
func (c *Classifier) split(row []float32) (logp []float32, odd float32) {
	if n := len(c.Classes); len(row) > n {
		return row[:n], row[n]
	}
	return row, scores.None
}

// view returns the log-probabilities of one view of items and how odd they are, and notes
// in bad those that cannot be read.
func (s *scorer) view(ctx context.Context, k, done int, items []dataset.Item,
	bad []*activations.Bad) (logp, odd []float32, err error) {
	n := len(s.c.Classes)
	logp, odd = make([]float32, len(items)*n), slices.Repeat([]float32{scores.None}, len(items))
	if s.o.NoCache {
		report, err := activations.Stream(ctx, items, s.c.Size, &directBody{c: s.c}, s.c.load(ctx, k), s.fillOptions(done),
			func(i int, row []float32, b *activations.Bad) error {
				if b != nil {
					bad[i] = b
					return nil
				}
				var of []float32
				of, odd[i] = s.c.split(row)
				copy(logp[i*n:], of)
				return nil
			})
		s.count(report)
		return logp, odd, err
	}
	rows, err := s.cached(ctx, k, done, items, bad)
	if err != nil {
		return nil, nil, err
	}
	var index []int
	var good [][]float32
	for i, row := range rows {
		if row != nil {
			index, good = append(index, i), append(good, row)
		}
	}
	out, oddness, wrong, err := s.c.finish(good)
	if err != nil {
		return nil, nil, err
	}
	for j, i := range index {
		copy(logp[i*n:(i+1)*n], out[j*n:])
		if oddness != nil {
			odd[i] = oddness[j]
		}
		if wrong[j] != "" {
			bad[i] = &activations.Bad{Path: items[i].Path, File: items[i].File, Status: features.StatusFailed, Reason: wrong[j]}
		}
	}
	return logp, odd, nil
}

// cached returns the body's rows of one view, computing those that the cache
// lacks; nil for files that cannot be read.
func (s *scorer) cached(ctx context.Context, k, done int, items []dataset.Item,
	bad []*activations.Bad) ([][]float32, error) {
	cache, err := s.cache(k)
	if err != nil {
		return nil, err
	}
	report, err := cache.Fill(ctx, items, s.c.body, s.c.load(ctx, k), s.fillOptions(done))
	s.count(report)
	if err != nil {
		return nil, err
	}
	why := features.Reasons(report.Skipped)
	x, ok := cache.Rows(items)
	rows, f := make([][]float32, len(items)), cache.Features()
	for i, it := range items {
		switch b, skipped := why[it.Path]; {
		case skipped:
			bad[i] = &b
		case ok[i]:
			rows[i] = x[i*f : (i+1)*f]
		default:
			bad[i] = &activations.Bad{Path: it.Path, File: it.File, Status: "unreadable", Reason: "it changed while it was read"}
		}
	}
	return rows, nil
}

func (s *scorer) cache(k int) (*activations.Cache, error) {
	if c := s.caches[k]; c != nil {
		return c, nil
	}
	key := s.c.key
	key.View = s.c.view(k)
	c, err := activations.Open(s.c.Machine.Cache, key, s.c.body.Features())
	if err != nil {
		return nil, err
	}
	if s.caches == nil {
		s.caches = map[int]*activations.Cache{}
	}
	s.caches[k] = c
	return c, nil
}

func (s *scorer) close() error {
	var errs []error
	for _, c := range s.caches {
		errs = append(errs, c.Close())
	}
	return errors.Join(errs...)
}

// add notes the result of the next item; its status goes along for the totals.
func (s *scorer) add(it dataset.Item, logp []float32, odd float32, bad *activations.Bad) error {
	r := scores.Result{Path: it.Path, Status: scores.OK, LogProb: logp, Oddness: odd}
	switch {
	case bad != nil:
		r = scores.Result{Path: it.Path, Status: bad.Status, Reason: bad.Reason, Oddness: scores.None}
	case odd > 1 && s.o.Odd == OddReject:
		r.Status, r.LogProb = scores.Odd, nil
		r.Reason = fmt.Sprintf("oddness %.3g, above 1: unlike the photographs that the model was trained on", odd)
	}
	if bad == nil && odd > 1 {
		s.report.Odd++
	}
	s.chunk = append(s.chunk, append(s.table.Row(r), scores.Cell{Text: r.Status}))
	if len(s.chunk) < chunkRows {
		return nil
	}
	return s.flush()
}

func (s *scorer) flush() error {
	if len(s.chunk) == 0 {
		return nil
	}
	err := s.keep(s.chunk)
	s.chunk = s.chunk[:0]
	return err
}

// finish writes the table from the journal.
func (s *scorer) finish(journal *scores.Journal) error {
	if n := journal.Len(); n != len(s.items) {
		return fmt.Errorf("learner: %s: %s for %s", s.o.Output, plural.Count(n, "row"), plural.Count(len(s.items), "file"))
	}
	return scores.Write(s.o.Output, s.table.Columns, func(yield func(scores.Row) error) error {
		return journal.Rows(func(r scores.Row) error {
			last := len(r) - 1
			s.report.Status[r[last].Text]++
			return yield(r[:last])
		})
	}, s.o.Escape)
}
