package job

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io/fs"
	"slices"

	"golang.org/x/sync/errgroup"

	"finetune/internal/digest"
	"finetune/internal/failure"
	"finetune/internal/plural"
	"finetune/internal/store"
)

// uploads is how many task files are on their way at once.
const uploads = 8

// Plan writes a job to place, where none may be yet, and returns it. Of spec, Version (0 is
// Plain), Kind, Finetune, Options, Needs and TaskRows count; each hands over the inputs in the order of
// the rows. Memory does not grow with their number. job.json is written last: planning
// that was killed left no job, and is done again from the start.
func Plan(ctx context.Context, place string, spec Spec,
	each func(yield func(input string) error) error) (_ *Job, err error) {
	if spec.TaskRows < 1 || spec.TaskRows > MaxTaskRows {
		return nil, failure.Usage(fmt.Errorf("job: %s a task; plan 1 to %d", plural.Count(spec.TaskRows, "row"), MaxTaskRows))
	}
	s, err := store.Open(ctx, place)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
		}
	}()
	switch there, err := store.Exists(ctx, s, File); {
	case err != nil:
		return nil, fmt.Errorf("job: %w", err)
	case there:
		return nil, failure.Usage(fmt.Errorf("job: %s: a job is there already; continue it, or name another folder", s))
	}
	p := planner{store: s, spec: spec, digests: sha256.New()}
	if err := p.tasks(ctx, each); err != nil {
		return nil, err
	}
	if err := p.sweep(ctx); err != nil {
		return nil, err
	}
	return p.finish(ctx)
}

// planner is one Plan.
type planner struct {
	store   store.Store
	spec    Spec
	digests hash.Hash // of the tasks' digests, in their order
	inputs  []string  // of the task that is being filled
}

func (p *planner) tasks(ctx context.Context, each func(yield func(input string) error) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(uploads)
	p.spec.Version, p.spec.Tasks, p.spec.Rows = max(p.spec.Version, Plain), 0, 0
	put := func() error {
		n := p.spec.Tasks
		if n == MaxTasks {
			return failure.Usage(fmt.Errorf("job: more than %d tasks; plan more rows a task", MaxTasks))
		}
		data, err := taskBytes(n, p.inputs)
		if err != nil {
			return err
		}
		p.digests.Write([]byte(digest.Of(string(data))))
		p.spec.Tasks, p.spec.Rows, p.inputs = n+1, p.spec.Rows+int64(len(p.inputs)), p.inputs[:0]
		group.Go(func() error { return p.store.Put(ctx, taskFile(n), store.Bytes(data)) })
		return ctx.Err()
	}
	err := each(func(input string) error {
		if p.inputs = append(p.inputs, input); len(p.inputs) < p.spec.TaskRows {
			return nil
		}
		return put()
	})
	if err == nil && len(p.inputs) > 0 {
		err = put()
	}
	if failed := group.Wait(); failed != nil { // the cause; err may be that the group has ended
		return fmt.Errorf("job: %w", failed)
	}
	if err == nil && p.spec.Tasks == 0 {
		err = failure.Data(errors.New("job: no inputs"))
	}
	return err
}

// sweep removes the tasks that a longer plan left when it was killed.
func (p *planner) sweep(ctx context.Context) error {
	var old []string
	err := p.store.List(ctx, "tasks/", func(e store.Entry) error {
		if n, ours := number(e.Name, "tasks/", ""); ours && n >= p.spec.Tasks {
			old = append(old, e.Name)
		}
		return nil
	})
	for _, name := range old {
		err = errors.Join(err, p.store.Delete(ctx, name))
	}
	if err != nil {
		return fmt.Errorf("job: %w", err)
	}
	return nil
}

func (p *planner) finish(ctx context.Context) (*Job, error) {
	p.spec.Inputs = hex.EncodeToString(p.digests.Sum(nil))
	if err := p.spec.check(); err != nil {
		return nil, failure.Usage(fmt.Errorf("job: %w", err))
	}
	data, err := json.MarshalIndent(p.spec, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	data = append(data, '\n')
	if len(data) > maxSpec {
		return nil, failure.Usage(fmt.Errorf("job: %s of %s, more than %d", File, plural.Count(len(data), "byte"),
			maxSpec))
	}
	err = p.store.PutIfAbsent(ctx, File, store.Bytes(slices.Clip(data)))
	if errors.Is(err, fs.ErrExist) {
		err = failure.Usage(fmt.Errorf("%w: another process planned a job there at the same time; name another folder", err))
	}
	if err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	return open(ctx, p.store)
}
