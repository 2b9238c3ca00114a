package job

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"finetune/internal/buckettest"
	"finetune/internal/failure"
	"finetune/internal/store"
)

// Files of others in a job's folders are neither counted nor touched.
func TestForeignFilesAreLeftAlone(t *testing.T) {
	onEach(t, func(t *testing.T, place, _ string) {
		ctx := t.Context()
		j := plan(t, place, 10, 40)
		foreign := []string{"parts/README", "parts/00000001.parquet.crc", "parts/1.parquet", "parts/99999999.parquet",
			"parts/sub/00000002.parquet", "logs/slurm-7.out", "logs/00000001.json.old", "tasks/00000001.bak", "notes.txt"}
		put := func() {
			for _, name := range foreign {
				if err := j.store.Put(ctx, name, store.Bytes([]byte(name))); err != nil {
					t.Fatal(err)
				}
			}
		}
		put()
		work(t, j, 1, 4)
		if s, err := j.Status(ctx); err != nil || s.Done != 1 || len(s.Bad)+len(s.Failed) > 0 {
			t.Errorf("%+v, %v", s, err)
		}
		work(t, j, 0, 1)
		if got, err := merged(j); err != nil || got != whole(t, 40) {
			t.Errorf("%v\n%s", err, got)
		}
		for _, name := range foreign {
			if data, err := j.store.Get(ctx, name, 100); err != nil || string(data) != name {
				t.Errorf("%s: %q, %v", name, data, err)
			}
		}
	})
}

// A bucket that is full, refuses, tears uploads or finds the clock wrong: the error names the
// object and the cause, no part is left, and the same work done again ends in the same table.
func TestABucketThatFails(t *testing.T) {
	t.Setenv("AWS_MAX_ATTEMPTS", "1")
	b := buckettest.New(t)
	answer := func(status int, code string) func(w http.ResponseWriter, r *http.Request) {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			fmt.Fprintf(w, "<Error><Code>%s</Code><Message>said so</Message></Error>", code)
		}
	}
	for name, tt := range map[string]struct {
		say  func(w http.ResponseWriter, r *http.Request)
		want string
		kind failure.Kind
	}{
		"full":    {answer(507, "InsufficientStorage"), "InsufficientStorage", failure.Other},
		"refused": {answer(403, "AccessDenied"), "credentials", failure.Other},
		"clock":   {answer(403, "RequestTimeTooSkewed"), "clock", failure.UsageKind},
		"torn": {func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.CopyN(io.Discard, r.Body, 100)
			panic(http.ErrAbortHandler)
		}, "parts/00000001", failure.Other},
	} {
		t.Run(name, func(t *testing.T) {
			j := plan(t, b.Place(name), 10, 40)
			b.Before(func(w http.ResponseWriter, r *http.Request) bool {
				hit := r.Method == http.MethodPut && strings.Contains(r.URL.Path, "parts/00000001")
				if hit {
					tt.say(w, r)
				}
				return hit
			})
			err := j.Work(t.Context(), lengths{}, Share{1, 4}, func(Done) error { return nil })
			b.Before(nil)
			if err == nil || !strings.Contains(err.Error(), "parts/00000001") || !strings.Contains(err.Error(), tt.want) ||
				failure.KindOf(err) != tt.kind {
				t.Errorf("%v: %v", failure.KindOf(err), err)
			}
			if s, err := j.Status(t.Context()); err != nil || s.Done != 0 || len(s.Bad) > 0 {
				t.Errorf("%+v, %v", s, err)
			}
			work(t, j, 0, 1)
			if got, err := merged(j); err != nil || got != whole(t, 40) {
				t.Errorf("%v\n%s", err, got)
			}
		})
	}
}
