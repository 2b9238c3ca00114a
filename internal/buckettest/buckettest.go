// Package buckettest serves a bucket to tests, in their own process.
package buckettest

import (
	"bytes"
	"cmp"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// Bucket is an empty bucket of its own server, over S3.
type Bucket struct {
	backend *s3mem.Backend
	name    string
	url     string

	// Requests counts what was asked for since the last time that it was set to 0.
	Requests atomic.Int64
	mu       sync.Mutex
	before   func(w http.ResponseWriter, r *http.Request) (answered bool)
}

var count atomic.Int64

// New serves a bucket until t ends, and sets credentials.
func New(t *testing.T) *Bucket {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
	b := &Bucket{backend: s3mem.New(), name: fmt.Sprintf("photos-%d", count.Add(1))}
	if err := b.backend.CreateBucket(b.name); err != nil {
		t.Fatal(err)
	}
	next := gofakes3.New(b.backend).Server()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.Requests.Add(1)
		b.mu.Lock()
		before := b.before
		b.mu.Unlock()
		if before == nil || !before(w, r) {
			next.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	b.url = server.URL
	return b
}

// Before is called ahead of each request, which it may answer itself. nil: nothing is.
func (b *Bucket) Before(do func(w http.ResponseWriter, r *http.Request) (answered bool)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before = do
}

// Place is the address of what lies below a folder of the bucket.
func (b *Bucket) Place(folder string) string {
	return "s3://" + path.Join(b.name, folder) + "?region=us-east-1&use_path_style=true&endpoint=" + b.url
}

// Put writes a file.
func (b *Bucket) Put(t *testing.T, file string, data []byte) {
	t.Helper()
	if _, err := b.backend.PutObject(b.name, file, nil, bytes.NewReader(data), int64(len(data)), nil); err != nil {
		t.Fatal(err)
	}
}

// Get is a file, nil where there is none.
func (b *Bucket) Get(t *testing.T, file string) []byte {
	t.Helper()
	o, err := b.backend.GetObject(b.name, file, nil)
	if err != nil {
		return nil
	}
	defer o.Contents.Close()
	var data bytes.Buffer
	if _, err := data.ReadFrom(o.Contents); err != nil {
		t.Fatal(err)
	}
	return data.Bytes()
}

// Copy puts the files below a folder of the disk into a folder of the bucket.
func (b *Bucket) Copy(t *testing.T, from, folder string) {
	t.Helper()
	err := filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, p)
		b.Put(t, path.Join(folder, filepath.ToSlash(rel)), data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Real starts versitygw, a server of others, over a new folder, and returns the address of
// what lies below a folder of its bucket. Where the program cannot be had, the test is
// skipped: FINETUNE_VERSITYGW or the PATH name it, and
// `go install github.com/versity/versitygw/cmd/versitygw@v1.8.0` makes it.
func Real(t *testing.T) (place func(folder string) string) {
	t.Helper()
	program, err := exec.LookPath(cmp.Or(os.Getenv("FINETUNE_VERSITYGW"), "versitygw"))
	if err != nil {
		t.Skipf("no server for a bucket (%v); go install github.com/versity/versitygw/cmd/versitygw@v1.8.0", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "testtest")
	t.Setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", "when_required")
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	root, meta := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(root, "photos"), 0o777); err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "posix", root)
	c.Env = append(os.Environ(), "VGW_PORT="+address, "ROOT_ACCESS_KEY=test", "ROOT_SECRET_KEY=testtest",
		"VGW_META_SIDECAR="+meta)
	var said bytes.Buffer
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	for try := 0; ; try++ {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			break
		}
		if try == 100 {
			t.Fatalf("%v\n%s", err, said.String())
		}
		time.Sleep(100 * time.Millisecond)
	}
	return func(folder string) string {
		return "s3://" + path.Join("photos", folder) + "?region=us-east-1&use_path_style=true&endpoint=http://" + address
	}
}
