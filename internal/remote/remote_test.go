package remote_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"finetune/dataset"
	"finetune/internal/buckettest"
	"finetune/internal/failure"
	"finetune/internal/parallel"
	"finetune/internal/reading"
	"finetune/internal/remote"
)

// fill writes a data set with what people leave beside photographs.
func fill(t *testing.T, dir string) {
	t.Helper()
	for _, name := range []string{"train/ant/1.jpg", "train/ant/a b+c%20?#.jpg", "train/ant.old/9.jpg", "train/bee/é.jpg",
		"train/bee/deep/2.jpg", "valid/ant/3.jpg",
		"valid/bee/4.jpg", "valid/ant.old/5.jpg", "test/6.jpg",
		"train/ant/notes.txt", "train/ant/.hidden/7.jpg", "train/ant/Thumbs.db", "train/bee/unknown.xyz", "readme.md"} {
		file := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o777), os.WriteFile(file, []byte(name), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
}

// A data set in a bucket is the one that was copied there.
func TestADataSetInABucketIsThatOfTheFolder(t *testing.T) {
	b, dir := buckettest.New(t), t.TempDir()
	fill(t, dir)
	b.Copy(t, dir, "in/set")
	b.Copy(t, dir, "in/set2") // beside it
	for name, o := range map[string]dataset.Options{"splits": {}, "drawn": {ValidPct: .4}} {
		t.Run(name, func(t *testing.T) {
			local, far := dir, b.Place("in/set")
			if o.ValidPct > 0 {
				local, far = filepath.Join(dir, "train"), b.Place("in/set/train/")
			}
			want, err := dataset.Open(local, o)
			if err != nil {
				t.Fatal(err)
			}
			got, err := dataset.Open(far, o)
			if err != nil {
				t.Fatal(err)
			}
			for i, lists := range [][2][]dataset.Item{{got.Train, want.Train}, {got.Valid, want.Valid}, {got.Test, want.Test}} {
				same(t, lists[0], lists[1])
				if len(lists[0]) == 0 && (i < 2 || name == "splits") {
					t.Error("an empty list")
				}
			}
			if !slices.Equal(got.Classes, want.Classes) || got.Ignored != want.Ignored ||
				strings.ReplaceAll(fmt.Sprint(got.Warnings, got.Notes), got.Root, want.Root) !=
					fmt.Sprint(want.Warnings, want.Notes) {
				t.Errorf("%+v\nwant\n%+v", got, want)
			}
		})
	}
	want, _, err := dataset.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	before := b.Requests.Load()
	got, _, err := dataset.Files(b.Place("in/set"))
	if err != nil {
		t.Fatal(err)
	}
	if n := b.Requests.Load() - before; n > 3 {
		t.Errorf("%d requests for a list that is known, or one page", n)
	}
	same(t, got, want)
}

func same(t *testing.T, got, want []dataset.Item) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d photographs, want %d", len(got), len(want))
	}
	for i, it := range got {
		a, errA := reading.File(it.File, 1000)
		b, errB := reading.File(want[i].File, 1000)
		info, err := reading.Stat(it.File)
		if it.Path != want[i].Path || it.Class != want[i].Class || it.Label != want[i].Label ||
			errors.Join(errA, errB, err) != nil || !bytes.Equal(a, b) || info.Size() != int64(len(b)) {
			t.Errorf("%+v, %v: %q, want %+v, %v", it, errA, a, want[i], err)
		}
	}
}

func short(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_MAX_ATTEMPTS", "1") // of the client alone
	was := reading.Pauses
	reading.Pauses = []time.Duration{time.Millisecond, time.Millisecond, time.Millisecond}
	t.Cleanup(func() { reading.Pauses = was })
}

// A server that fails for a while is asked again; one that goes on failing, or refuses, ends
// the work with the name of the object and the cause; a missing object is missing.
func TestFailuresOfABucket(t *testing.T) {
	short(t)
	b := buckettest.New(t)
	b.Put(t, "a/1.jpg", []byte("one"))
	root, err := remote.Root(b.Place("a"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "1.jpg")
	for name, tt := range map[string]struct {
		status int
		fails  int32 // requests, from the first
		want   string
	}{
		"for a moment": {503, 3, ""}, "for good": {500, 1 << 30, "1.jpg"}, "refused": {403, 1 << 30, "credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			b.Before(func(w http.ResponseWriter, r *http.Request) bool {
				if n.Add(1) > tt.fails {
					return false
				}
				w.WriteHeader(tt.status)
				return true
			})
			data, err := reading.File(file, 10)
			switch {
			case tt.want == "" && (err != nil || string(data) != "one"):
				t.Errorf("%q, %v", data, err)
			case tt.want != "" && (!failure.System(err) || !strings.Contains(err.Error(), tt.want) ||
				!strings.Contains(err.Error(), "1.jpg") || failure.KindOf(failure.Data(err)) == failure.DataKind):
				t.Errorf("%v", err)
			}
		})
	}
	b.Before(nil)
	_, err = reading.File(filepath.Join(root, "2.jpg"), 10)
	if !errors.Is(err, fs.ErrNotExist) || failure.System(err) {
		t.Errorf("%v", err)
	}
	b.Before(func(w http.ResponseWriter, r *http.Request) bool { // half of the body, then nothing
		w.Header().Set("Content-Length", "3")
		w.WriteHeader(200)
		_, _ = w.Write([]byte("o"))
		panic(http.ErrAbortHandler)
	})
	if _, err := reading.File(file, 10); !failure.System(err) || !strings.Contains(err.Error(), "1.jpg") {
		t.Errorf("a torn answer: %v", err)
	}
	b.Before(nil)
	if _, err := remote.Root(b.Place("a") + "&anonymous=true"); failure.KindOf(err) != failure.UsageKind {
		t.Errorf("two sets of options: %v", err)
	}
	if _, err := remote.Root("s3://key:secret@bucket/a"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("credentials in an address: %v", err)
	}
}

// shard is a tar of n members of about size bytes.
func shard(t *testing.T, n, size int) ([]byte, map[string][]byte) {
	t.Helper()
	var file bytes.Buffer
	w, members := tar.NewWriter(&file), map[string][]byte{}
	for i := range n {
		name := fmt.Sprintf("%s%05d.jpg", strings.Repeat("long/", i%40), i)
		data := bytes.Repeat([]byte{byte(i), byte(i >> 8), byte(i * 7)}, (size+i%97)/3)
		members[name] = data
		err := w.WriteHeader(&tar.Header{Name: name, Size: int64(len(data)), Mode: 0o644})
		if err == nil {
			_, err = w.Write(data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return file.Bytes(), members
}

// Members of a tar in a bucket come in few requests where they are read in order by several
// workers, with the offsets that a plan knows or without.
func TestATarInABucketIsReadInChunks(t *testing.T) {
	b := buckettest.New(t)
	data, members := shard(t, 400, 100_000) // 40 MB, 5 chunks
	b.Put(t, "t/a.tar", data)
	root, err := remote.Root(b.Place("t"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(root, "a.tar")
	m, _ := reading.Mounted(file)
	list, err := m.Shards().Members(t.Context(), file)
	if err != nil || len(list) != len(members) {
		t.Fatalf("%d members, %v", len(list), err)
	}
	if n := b.Requests.Load(); n > 10 {
		t.Errorf("%d requests for an index", n)
	}
	b.Requests.Store(0)
	var mu sync.Mutex
	bad := 0
	parallel.For(len(list), 8, func(i int) {
		got, err := reading.File(file+"/"+list[i].Name, reading.MaxPhoto)
		if err != nil || !bytes.Equal(got, members[list[i].Name]) {
			mu.Lock()
			bad++
			mu.Unlock()
		}
	})
	if n := b.Requests.Load(); bad > 0 || n > 12 {
		t.Errorf("%d of %d are wrong, after %d requests", bad, len(list), n)
	}
	b.Requests.Store(0)
	for i := range 20 { // here and there
		m := list[(i*173+60)%len(list)]
		if got, err := reading.File(file+"/"+m.Name, reading.MaxPhoto); err != nil || !bytes.Equal(got, members[m.Name]) {
			t.Errorf("%s: %v", m.Name, err)
		}
	}
	if _, err := reading.File(file+"/none.jpg", 10); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}
