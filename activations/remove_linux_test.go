package activations

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"finetune/internal/digest"
	"finetune/internal/faults"
)

// What another process has removed already is gone, as it should be; what the disk keeps is told.
func TestRemoveBesideAnother(t *testing.T) {
	dir := t.TempDir()
	fill(t, open(t, dir, 8), photos(t, 4), FillOptions{})
	list, err := List(dir)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	for cause, gone := range map[syscall.Errno]bool{syscall.ENOENT: true, syscall.EIO: false} {
		faults.Refused(unix.SYS_UNLINKAT, cause, func() {
			if err := Remove(list[0]); (err == nil) != gone {
				t.Errorf("%v: %v", cause, err)
			}
		})
	}
}

// A key's folder that this user may enter, but not list, is not taken for an empty one.
func TestFoldersThatCannotBeListed(t *testing.T) {
	dir := t.TempDir()
	fill(t, open(t, dir, 8), photos(t, 4), FillOptions{})
	list, err := List(dir)
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	defer os.Chmod(list[0].Dir, 0o777)
	t.Chdir(dir) // which nobody may enter from above
	if err := os.Chmod(list[0].Dir, 0o311); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(".", 0o755); err != nil {
		t.Fatal(err)
	}
	err = faults.Unprivileged(func() error {
		if _, err := os.Stat(filepath.Join(filepath.Base(list[0].Dir), "key.json")); err != nil {
			return err
		}
		if e, ok := entry(filepath.Base(list[0].Dir)); ok {
			return fmt.Errorf("%+v", e)
		}
		if c, err := Open(".", testKey, 8); !errors.Is(err, os.ErrPermission) {
			return fmt.Errorf("opened with %d rows: %w", c.Len(), err)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// Every file that is read, mapped or locked is closed again.
func TestFilesAreClosed(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close forgotten ones
	before := 0
	for n := range 3 {
		if n == 1 { // the first round opens what the runtime keeps
			before = faults.OpenFiles(t)
		}
		items := photos(t, 20)
		if err := os.Truncate(items[3].File, keepBuffer+1); err != nil { // sparse, and read twice
			t.Fatal(err)
		}
		c := sixteen(t, t.TempDir())
		counts(t, "some rows", fill(t, c, items, FillOptions{}), 20, 0, 0, 0) // which merges, too
		if list, err := List(filepath.Dir(c.Dir())); err != nil || len(list) != 1 || list[0].Rows != 52 {
			t.Errorf("%+v, %v", list, err)
		}
		shardOf(t, c, 0, 2) // of the same name and bytes as one before it
		shardOf(t, c, 0, 2)
		name := "shard-0123456789abcdef-01234567.arrow"
		write(t, filepath.Join(c.Dir(), name), "damaged")
		data, err := os.ReadFile(filepath.Join(c.Dir(), shardsIn(t, c)[1]))
		if err != nil {
			t.Fatal(err)
		}
		rot := rotten(t, data, c.key) // whole, but of another checksum
		write(t, filepath.Join(c.Dir(), fmt.Sprintf("shard-%016x-%08x.arrow", 0, digest.CRC32C(rot)+1)), string(rot))
		if err := c.refresh(); err != nil || len(c.Warnings()) != 2 {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		if maps, err := os.ReadFile("/proc/self/maps"); err != nil || strings.Contains(string(maps), "/shard-") {
			t.Errorf("shards are mapped still: %v", err)
		}
	}
	if after := faults.OpenFiles(t); after != before {
		t.Errorf("%d files are open, %d were", after, before)
	}
}

// Locks are for all whom the umask lets write, as the rows are.
func TestLocksAreNotForTheirOwnerAlone(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	c := sixteen(t, t.TempDir())
	seen := 0
	look := func() {
		locks, _ := filepath.Glob(filepath.Join(c.Dir(), "lock-*"))
		for _, name := range locks {
			if info, err := os.Stat(name); err != nil || info.Mode() != 0o666 {
				t.Errorf("%s: mode %v, %v", name, info.Mode(), err)
			}
			seen++
		}
	}
	body := &fakeBody{features: 8, after: func(int64) error { look(); return nil }}
	if _, err := c.Fill(t.Context(), photos(t, 1), body, fakeLoad, FillOptions{}); err != nil {
		t.Fatal(err)
	}
	if look(); seen != 2 {
		t.Errorf("%d locks", seen)
	}
}

// A file that cannot be mapped is told, and is not taken for a damaged one.
func TestFilesThatCannotBeMapped(t *testing.T) {
	const file = "/sys/kernel/mm/transparent_hugepage/enabled" // which the system makes as it is read
	if info, err := os.Stat(file); err != nil || info.Size() == 0 {
		t.Skip("skipped: no such file here: ", err)
	}
	data, err := mapFile(file)
	if err == nil || errors.Is(err, errDamaged) || !strings.Contains(err.Error(), "map "+file) {
		t.Errorf("%d bytes, %v", len(data), err)
	}
}

// A disk that fails while a photograph is read is told, whatever the file's size.
func TestReadsThatFail(t *testing.T) {
	items := photos(t, 2)
	if err := os.Truncate(items[1].File, keepBuffer+1); err != nil { // sparse
		t.Fatal(err)
	}
	f := newFiller(t.Context(), items, 4, &fakeBody{features: 8}, fakeLoad, FillOptions{})
	for _, it := range items {
		var err error
		if !faults.Refused(unix.SYS_READ, syscall.EIO, func() { err = f.readOnce(&job{item: it}) }) {
			t.Skip("skipped: system calls cannot be refused here")
		}
		if !errors.Is(err, syscall.EIO) {
			t.Errorf("%s: %v", it.Path, err)
		}
	}
}

// Shards of other processes that cannot be listed end the filling, and say why.
func TestShardsThatCannotBeListed(t *testing.T) {
	f := newFiller(t.Context(), nil, 4, &fakeBody{features: 8}, fakeLoad, FillOptions{})
	f.c = open(t, t.TempDir(), 8)
	f.full, f.spare = make(chan *rows, 1), make(chan *rows, 1)
	r := &rows{}
	r.add("1.jpg", "", Digest{1}, make([]float32, 8))
	f.full <- r
	close(f.full)
	if !faults.Refused(unix.SYS_GETDENTS64, syscall.EIO, f.flush) {
		t.Skip("skipped: system calls cannot be refused here")
	}
	if !errors.Is(f.err, syscall.EIO) || f.ctx.Err() == nil || !strings.Contains(f.err.Error(), f.c.dir) {
		t.Errorf("%v", f.err)
	}
}
