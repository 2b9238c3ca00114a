package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"

	"finetune/internal/durable"
)

// row is what came of a contestant.
type row struct {
	name   string
	values []float64 // one a round, in the part's unit
	peak   int64     // bytes resident at most
	why    string    // there are no values
}

// result is a part that was raced.
type result struct {
	part  part
	about string
	rows  []row
}

// part gives every contestant of a part a turn in each round.
func (s *setup) part(ctx context.Context, p part) (result, error) {
	r := result{part: p, about: fmt.Sprintf("%s; turns each: %d", s.machine(), s.o.rounds)}
	var runners []runner
	for _, c := range contestants {
		if c.part != p.name {
			continue
		}
		fmt.Fprintf(os.Stderr, "race: %s: %s %s\n", p.name, c.name, c.command)
		run, name, err := s.start(ctx, c)
		row := row{name: name}
		if err != nil {
			row.why = err.Error()
		}
		r.rows, runners = append(r.rows, row), append(runners, run)
	}
	for range s.o.rounds {
		for i, run := range runners {
			if run == nil {
				continue
			}
			v, err := run.turn(ctx)
			if ctx.Err() != nil {
				return r, ctx.Err()
			}
			if err != nil {
				r.rows[i].why, r.rows[i].values = err.Error(), nil
				run.close()
				runners[i] = nil
				continue
			}
			r.rows[i].values = append(r.rows[i].values, v*p.scale(s.o))
		}
	}
	for i, run := range runners {
		if run != nil {
			r.rows[i].peak = run.close()
		}
	}
	return r, nil
}

// start makes a contestant ready and warm, and says what it calls itself.
func (s *setup) start(ctx context.Context, c contestant) (runner, string, error) {
	name := c.name
	argv, err := s.argv(c)
	if err != nil {
		return nil, cmp.Or(name, c.command), err
	}
	if !c.served {
		run := &command{argv: func() ([]string, error) { return s.argv(c) }, field: c.field}
		if _, err := run.turn(ctx); err != nil { // files and libraries are read once before
			return nil, name, err
		}
		return run, name, nil
	}
	run, err := serve(ctx, argv, s.o.patience)
	if err != nil {
		return nil, cmp.Or(name, strings.TrimPrefix(c.command, "{peers} ")), err
	}
	sep := ", "
	if name == "" || strings.HasSuffix(name, ",") {
		sep = strings.Repeat(" ", min(len(name), 1))
	}
	return run, name + sep + run.engine, nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}

// markdown is the part's heading, table and machine.
func (r result) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "### %s\n\n| contestant | median, %s | least to most | of the first | peak memory "+
		"|\n|---|---|---|---|---|\n", r.part.title, r.part.unit)
	for _, c := range r.rows {
		if c.values == nil {
			fmt.Fprintf(&b, "| %s | not raced: %s | | | |\n", c.name, c.why)
			continue
		}
		times, memory := "", ""
		if first := r.rows[0].values; first != nil {
			times = fmt.Sprintf("%.2f", median(c.values)/median(first))
		}
		if c.peak > 0 && r.part.name != "size" {
			memory = fmt.Sprintf("%d MB", c.peak/1e6)
		}
		fmt.Fprintf(&b, "| %s | %s | %s to %s | %s | %s |\n", c.name, digits(median(c.values)), digits(slices.Min(c.values)),
			digits(slices.Max(c.values)), times, memory)
	}
	fmt.Fprintf(&b, "\n%s.\n", r.about)
	return b.String()
}

// digits prints three significant ones.
func digits(v float64) string {
	if v >= 100 {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.3g", v)
}

const (
	begin = "<!-- race: what follows is written by make bench -->\n"
	end   = "<!-- race: end -->\n"
)

// writeDocs replaces the parts that were raced between the page's markers.
func writeDocs(path string, results []result) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	page, err := replaced(string(data), results)
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return durable.WriteFile(path, []byte(page))
}

func replaced(page string, results []result) (string, error) {
	before, rest, ok := strings.Cut(page, begin)
	old, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		return "", fmt.Errorf("no lines %q and %q to write between", strings.TrimSpace(begin), strings.TrimSpace(end))
	}
	sections := map[string]string{} // by heading
	for _, text := range strings.Split("\n"+old, "\n### ")[1:] {
		heading, _, _ := strings.Cut(text, "\n")
		sections[heading] = "### " + strings.TrimSpace(text) + "\n"
	}
	for _, r := range results {
		sections[r.part.title] = r.markdown()
	}
	var b strings.Builder
	for _, p := range parts {
		if s := sections[p.title]; s != "" {
			b.WriteString("\n" + s)
		}
	}
	return before + begin + b.String() + "\n" + end + after, nil
}
