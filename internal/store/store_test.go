package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// places are a folder and a bucket, empty.
func places(t *testing.T) map[string]Store {
	t.Helper()
	backend := s3mem.New()
	server := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(server.Close)
	if err := backend.CreateBucket("jobs"); err != nil {
		t.Fatal(err)
	}
	return map[string]Store{"folder": open(t, filepath.Join(t.TempDir(), "job")), "s3": bucketAt(t, server.URL)}
}

func bucketAt(t *testing.T, endpoint string) Store {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
	return open(t, "s3://jobs/some/job?region=us-east-1&use_path_style=true&endpoint="+endpoint)
}

func open(t *testing.T, place string) Store {
	t.Helper()
	s, err := Open(t.Context(), place)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func onEach(t *testing.T, do func(t *testing.T, s Store)) {
	for name, s := range places(t) {
		t.Run(name, func(t *testing.T) { do(t, s) })
	}
}

func TestFilesComeBackWhole(t *testing.T) {
	onEach(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		for _, text := range []string{"", "one", strings.Repeat("0123456789", 1_200_000)} { // the last in several parts
			if err := s.Put(ctx, "parts/0", Bytes([]byte(text))); err != nil {
				t.Fatal(err)
			}
			if got, err := s.Get(ctx, "parts/0", int64(len(text))); err != nil || string(got) != text {
				t.Errorf("%d bytes of %d, %v", len(got), len(text), err)
			}
			if e, err := s.Stat(ctx, "parts/0"); err != nil || e.Size != int64(len(text)) || e.Name != "parts/0" {
				t.Errorf("%+v, %v", e, err)
			}
		}
		if _, err := s.Get(ctx, "parts/0", 100); err == nil || !strings.Contains(err.Error(), "more than 100 bytes") {
			t.Errorf("a limit: %v", err)
		}
		if err := errors.Join(s.Delete(ctx, "parts/0"), s.Delete(ctx, "parts/0")); err != nil {
			t.Error(err)
		}
	})
}

func TestMissingFilesAreToldFromErrors(t *testing.T) {
	onEach(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		for _, name := range []string{"none", "a/none", "a/b/none", "a"} {
			_, one := s.Get(ctx, name, 10)
			_, two := s.Open(ctx, name, 0, -1)
			_, three := s.Stat(ctx, name)
			for _, err := range []error{one, two, three} {
				if !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), name) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if there, err := Exists(ctx, s, name); there || err != nil {
				t.Errorf("%s: %v, %v", name, there, err)
			}
			if err := s.Put(ctx, "a/b", Bytes([]byte("x"))); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestRanges(t *testing.T) {
	onEach(t, func(t *testing.T, s Store) {
		ctx := t.Context()
		if err := errors.Join(s.Put(ctx, "f", Bytes([]byte("0123456789"))), s.Put(ctx, "empty", Bytes(nil))); err != nil {
			t.Fatal(err)
		}
		for _, tt := range []struct {
			name           string
			offset, length int64
			want           string // "!" for a file that is too short
		}{
			{"f", 0, 10, "0123456789"}, {"f", 3, 4, "3456"}, {"f", 9, 1, "9"}, {"f", 4, 0, ""}, {"f", 8, 3, "!"},
			{"f", 11, 1, "!"}, {"f", 10, 1, "!"}, {"f", -1, 1, "!"}, {"empty", 0, 0, ""}, {"empty", 0, 1, "!"},
			{"f", 1 << 62, 1 << 62, "!"},
		} {
			got, err := Range(ctx, s, tt.name, tt.offset, tt.length)
			if tt.want == "!" && !errors.Is(err, io.ErrUnexpectedEOF) ||
				tt.want != "!" && (err != nil || string(got) != tt.want) {
				t.Errorf("%+v: %q, %v", tt, got, err)
			}
		}
		r, err := s.Open(ctx, "f", 7, -1)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		if got, err := io.ReadAll(r); string(got) != "789" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestPutIfAbsentHasOneWinner(t *testing.T) {
	onEach(t, func(t *testing.T, s Store) {
		for key := range 10 {
			name := fmt.Sprintf("parts/%d", key)
			results := make([]error, 8)
			var wait sync.WaitGroup
			for i := range results {
				wait.Go(func() { results[i] = s.PutIfAbsent(t.Context(), name, Bytes(fmt.Append(nil, "writer ", i))) })
			}
			wait.Wait()
			won := -1
			for i, err := range results {
				switch {
				case err == nil && won >= 0:
					t.Errorf("%s: writers %d and %d won", name, won, i)
				case err == nil:
					won = i
				case !errors.Is(err, fs.ErrExist):
					t.Errorf("%s: writer %d: %v", name, i, err)
				}
			}
			if got, err := s.Get(t.Context(), name, 100); err != nil || string(got) != fmt.Sprint("writer ", won) {
				t.Errorf("%s: %q, %v; writer %d won", name, got, err, won)
			}
		}
	})
}

var errTorn = errors.New("torn")

// A writer that fails, and one whose context ends, leave nothing or the old file.
func TestTornWritesLeaveNothing(t *testing.T) {
	onEach(t, func(t *testing.T, s Store) {
		for _, size := range []int{0, 1000, 6 << 20, 12 << 20} { // S3 takes parts of 5 MB and more
			torn := func(w io.Writer) error {
				if _, err := w.Write(make([]byte, size)); err != nil {
					return err
				}
				return errTorn
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancelled := func(w io.Writer) error { _, _ = w.Write(make([]byte, size)); cancel(); return nil }
			for what, err := range map[string]error{
				"put": s.Put(t.Context(), "f", torn), "absent": s.PutIfAbsent(t.Context(), "f", torn),
			} {
				if !errors.Is(err, errTorn) {
					t.Errorf("%s, %d bytes: %v", what, size, err)
				}
			}
			if err := s.PutIfAbsent(ctx, "f", cancelled); !errors.Is(err, context.Canceled) {
				t.Errorf("cancelled, %d bytes: %v", size, err)
			}
			if there, err := Exists(t.Context(), s, "f"); there || err != nil {
				t.Errorf("%d bytes: %v, %v", size, there, err)
			}
		}
		if err := s.Put(t.Context(), "f", Bytes([]byte("old"))); err != nil {
			t.Fatal(err)
		}
		if err := s.Put(t.Context(), "f", func(io.Writer) error { return errTorn }); !errors.Is(err, errTorn) {
			t.Error(err)
		}
		if got, err := s.Get(t.Context(), "f", 10); string(got) != "old" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func names(t *testing.T, s Store, prefix string) (list []string) {
	t.Helper()
	if err := s.List(t.Context(), prefix, func(e Entry) error { list = append(list, e.Name); return nil }); err != nil {
		t.Error(err)
	}
	return list
}

func TestListsAreInOrderOfNames(t *testing.T) {
	onEach(t, func(t *testing.T, s Store) {
		if got := names(t, s, ""); len(got) != 0 {
			t.Errorf("nothing is listed as %q", got)
		}
		want := []string{"a-b", "a.txt", "a/1", "a/b/2", "a/b-c", "a0", "parts/00001", "parts/00010", "é/ü"}
		slices.Sort(want)
		for _, name := range want {
			if err := s.Put(t.Context(), name, Bytes([]byte(name))); err != nil {
				t.Fatal(err)
			}
		}
		for _, prefix := range []string{"", "a", "a/", "a/b", "a/b/", "parts/0000", "parts/", "none/", "é"} {
			var part []string
			for _, name := range want {
				if strings.HasPrefix(name, prefix) {
					part = append(part, name)
				}
			}
			if got := names(t, s, prefix); !slices.Equal(got, part) {
				t.Errorf("%q: %q, want %q", prefix, got, part)
			}
		}
		n := 0
		if err := s.List(t.Context(), "", func(Entry) error { n++; return fs.SkipAll }); err != nil || n != 1 {
			t.Errorf("%d visited, %v", n, err)
		}
		if err := s.List(t.Context(), "", func(Entry) error { return errTorn }); !errors.Is(err, errTorn) {
			t.Error(err)
		}
	})
}

// Pages have 1,000 names on S3; the folder's are made as small.
func TestListsOverPages(t *testing.T) {
	for place, s := range places(t) {
		if f, ok := s.(folder); ok {
			f.window = 1000
			s = f
		}
		for _, n := range []int{999, 1000, 1001, 2500} {
			for i := range n {
				name := fmt.Sprintf("%d/%06d", n, i)
				put := func() error { return s.Put(t.Context(), name, Bytes(nil)) }
				if f, ok := s.(folder); ok && i > 0 { // without the flush of each
					put = func() error { return os.WriteFile(filepath.Join(f.root, name), nil, 0o666) }
				}
				if err := put(); err != nil {
					t.Fatal(err)
				}
			}
			got := names(t, s, fmt.Sprintf("%d/", n))
			if len(got) != n || !slices.IsSorted(got) || got[n-1] != fmt.Sprintf("%d/%06d", n, n-1) {
				t.Errorf("%s: %d of %d names", place, len(got), n)
			}
		}
	}
}

func TestNamesAreChecked(t *testing.T) {
	onEach(t, func(t *testing.T, s Store) {
		for _, name := range []string{"", ".", "..", "../x", "a/../b", "a//b", "/etc/passwd", "a/", "a\nb", "a\x00b", "\xff",
			"./a", strings.Repeat("x", 1025), ".part1234567890"} {
			_, get := s.Get(t.Context(), name, 10)
			_, part := s.Open(t.Context(), name, 0, 1)
			_, stat := s.Stat(t.Context(), name)
			for i, err := range []error{get, part, stat, s.Put(t.Context(), name, Bytes(nil)),
				s.PutIfAbsent(t.Context(), name, Bytes(nil)), s.Delete(t.Context(), name)} {
				if err == nil || !strings.Contains(err.Error(), "cannot be a file's name") {
					t.Errorf("%q, call %d: %v", name, i, err)
				}
			}
		}
		if err := s.List(t.Context(), "../", func(Entry) error { return nil }); err == nil {
			t.Error("a list above the store")
		}
	})
}

// A store that does not know the condition answers 501, one that ignores it overwrites.
func TestStoresWithoutPutIfAbsent(t *testing.T) {
	for _, refuses := range []bool{true, false} {
		backend := s3mem.New()
		if err := backend.CreateBucket("jobs"); err != nil {
			t.Fatal(err)
		}
		next := gofakes3.New(backend).Server()
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && r.Header.Get("If-None-Match") != "" && refuses {
				w.WriteHeader(http.StatusNotImplemented)
				return
			}
			r.Header.Del("If-None-Match")
			next.ServeHTTP(w, r)
		}))
		s := bucketAt(t, server.URL)
		if err := s.PutIfAbsent(t.Context(), "f", Bytes([]byte("one"))); err != nil {
			t.Error(err)
		}
		if err := s.PutIfAbsent(t.Context(), "f", Bytes([]byte("two"))); !errors.Is(err, fs.ErrExist) {
			t.Errorf("the second: %v", err)
		}
		if got, err := s.Get(t.Context(), "f", 10); string(got) != "one" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
		server.Close()
	}
}
