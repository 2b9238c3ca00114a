package durable_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"finetune/internal/durable"
	"finetune/internal/faults"
)

// The system itself refuses: a name that is a folder's cannot be taken by rename.
func TestRealRenameFails(t *testing.T) {
	path := filepath.Join(t.TempDir(), "taken")
	if err := os.Mkdir(path, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := durable.WriteFile(path, []byte("x")); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("written over a folder: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("left beside it: %v, %v", entries, err)
	}
	if err := durable.Place(path, filepath.Join(path, "absent")); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("placed from nowhere: %v", err)
	}
}

// unprivileged runs do in an empty folder of everybody's, with the rights of nobody.
func unprivileged(t *testing.T, do func() error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	if err := faults.Unprivileged(do); err != nil {
		t.Error(err)
	}
}

// A folder that cannot be listed can be written into; one that cannot be written into is told.
func TestRealPermissions(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for _, mode := range []os.FileMode{0o333, 0o555} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		err := faults.Unprivileged(func() error { return durable.WriteFile("file", []byte("x")) })
		if mode == 0o333 && err != nil {
			t.Errorf("a folder that cannot be listed: %v", err)
		}
		if mode == 0o555 && !errors.Is(err, os.ErrPermission) {
			t.Errorf("a folder that cannot be written into: %v", err)
		}
	}
	err := faults.Unprivileged(func() error { return durable.WriteFile("new/file", []byte("x")) })
	if !errors.Is(err, os.ErrPermission) { // not that new is absent
		t.Errorf("a folder that cannot be made: %v", err)
	}
	if err := faults.Unprivileged(func() error { return durable.Remove("file") }); !errors.Is(err, os.ErrPermission) {
		t.Errorf("removed from it: %v", err)
	}
	if err := os.Chmod(dir, 0o777); err != nil {
		t.Fatal(err)
	}
}

// What is aside and cannot be listed is told and stays, as does all beside it.
func TestRealReplaceFolder(t *testing.T) {
	unprivileged(t, func() error {
		for _, name := range []string{"lib.replaced/sub/x", "lib.replaced/z", "lib/sub/y", "fresh/a"} {
			if err := durable.WriteFile(name, []byte(name)); err != nil {
				return err
			}
		}
		if err := os.Chmod("lib.replaced/sub", 0); err != nil {
			return err
		}
		if err := durable.ReplaceFolder("lib", "fresh"); !errors.Is(err, os.ErrPermission) {
			t.Errorf("error %v", err)
		}
		if err := os.Chmod("lib.replaced/sub", 0o777); err != nil {
			return err
		}
		if err := durable.ReplaceFolder("lib", "fresh"); err != nil {
			return err
		}
		for name, want := range map[string]string{"sub/x": "lib.replaced/sub/x", "z": "lib.replaced/z", "sub/y": "lib/sub/y",
			"a": "fresh/a"} {
			if got, err := os.ReadFile("lib/" + name); err != nil || string(got) != want {
				t.Errorf("%s holds %q, %v", name, got, err)
			}
		}
		return nil
	})
	unprivileged(t, func() error { // the folder that is made anew can be written into
		return errors.Join(durable.WriteFile("lib.replaced/x", nil), durable.WriteFile("fresh/a", nil),
			durable.ReplaceFolder("lib", "fresh"))
	})
}

func TestModes(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0))
	for umask, want := range map[int]string{0: "-rwxrwxrwx -rw-r--r--", 0o027: "-rwxr-x--- -rw-r-----",
		0o077: "-rwx------ -rw-------"} {
		path := filepath.Join(t.TempDir(), "new", "file")
		syscall.Umask(umask)
		err := durable.WriteFile(path, nil)
		folder, err1 := os.Stat(filepath.Dir(path))
		file, err2 := os.Stat(path)
		if err := errors.Join(err, err1, err2); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(folder.Mode().Perm(), " ", file.Mode()); got != want {
			t.Errorf("umask %o: %s, want %s", umask, got, want)
		}
	}
}

// The system writes the first bytes of a file and refuses the others. The limit holds for a whole process, the log
// that `go test` keeps of its own included, so the test runs again in a process of its own.
func TestRealLimitOfSize(t *testing.T) {
	const child = "FINETUNE_TEST_LIMIT_OF_SIZE"
	if os.Getenv(child) == "" {
		again := exec.Command(os.Args[0], "-test.run=^TestRealLimitOfSize$", "-test.v")
		again.Env = append(os.Environ(), child+"=1")
		out, err := again.CombinedOutput()
		if err != nil || !bytes.Contains(out, []byte("--- PASS")) && !bytes.Contains(out, []byte("--- SKIP")) {
			t.Errorf("%v: %s", err, out)
		}
		return
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "file")
	if err := durable.WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	signal.Ignore(syscall.SIGXFSZ)
	defer signal.Reset(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1500, 300_000} {
		if err := syscall.Setrlimit(unix.RLIMIT_FSIZE, &syscall.Rlimit{Cur: 1000, Max: limit.Max}); err != nil {
			t.Skip(err)
		}
		err := durable.WriteFile(path, make([]byte, n))
		if err := syscall.Setrlimit(unix.RLIMIT_FSIZE, &limit); err != nil {
			t.Fatal(err)
		}
		if !errors.Is(err, syscall.EFBIG) || !strings.Contains(err.Error(), path) {
			t.Errorf("%d bytes: error %v", n, err)
		}
		if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
			t.Errorf("%d bytes: the file holds %d, %v", n, len(got), err)
		}
		if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
			t.Errorf("%d bytes: left are %v, %v", n, entries, err)
		}
	}
}

// refused runs do while the system refuses a call, or skips the test.
func refused(t *testing.T, call uint32, cause syscall.Errno, do func()) {
	t.Helper()
	if !faults.Refused(call, cause, do) {
		t.Skip("skipped: system calls cannot be refused here")
	}
}

// A disk that fails while bytes are flushed keeps the old file; a folder that
// cannot be flushed is told, unless its file system never can.
func TestRealFlush(t *testing.T) {
	dir := t.TempDir()
	path, other := filepath.Join(dir, "file"), filepath.Join(dir, "other")
	if err := durable.WriteFile(path, []byte("old")); err != nil {
		t.Fatal(err)
	}
	refused(t, unix.SYS_FSYNC, syscall.EIO, func() {
		if err := durable.WriteFile(path, []byte("new")); !errors.Is(err, syscall.EIO) ||
			!strings.Contains(err.Error(), path) {
			t.Errorf("error %v", err)
		}
	})
	if got, err := os.ReadFile(path); err != nil || string(got) != "old" {
		t.Errorf("the file holds %q, %v", got, err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("left are %v, %v", entries, err)
	}
	for _, tt := range []struct {
		call        uint32
		cause, want syscall.Errno
	}{
		{unix.SYS_FSYNC, syscall.EIO, syscall.EIO}, {unix.SYS_FSYNC, syscall.EINVAL, 0}, {unix.SYS_FSYNC, syscall.ENOTSUP, 0},
		{unix.SYS_OPENAT, syscall.EMFILE, syscall.EMFILE}, {unix.SYS_OPENAT, syscall.EACCES, 0},
		{unix.SYS_OPENAT, syscall.EPERM, 0},
	} {
		refused(t, tt.call, tt.cause, func() {
			if err := durable.Move(other, path); tt.want == 0 && err != nil || tt.want != 0 && !errors.Is(err, tt.want) {
				t.Errorf("a folder's flush that ends in %v: %v", tt.cause, err)
			}
		})
		path, other = other, path
	}
}

// Old kernels and some file systems cannot exchange names; a broken disk is another matter.
func TestRealExchange(t *testing.T) {
	for cause, steps := range map[syscall.Errno]int{0: 1, syscall.ENOSYS: 2, syscall.EINVAL: 2, syscall.ENOTSUP: 2,
		syscall.EIO: 0} {
		dir := t.TempDir()
		run, fresh, aside := filepath.Join(dir, "run"), filepath.Join(dir, "fresh"), filepath.Join(dir, "aside")
		if err := errors.Join(durable.WriteFile(run+"/f", []byte("old")),
			durable.WriteFile(fresh+"/f", []byte("new"))); err != nil {
			t.Fatal(err)
		}
		released := 0
		swap := func() {
			if err := durable.Swap(run, fresh, aside, func() { released++ }); (err == nil) != (steps > 0) ||
				err != nil && !errors.Is(err, cause) {
				t.Errorf("%v: %v", cause, err)
			}
		}
		if cause != 0 {
			refused(t, unix.SYS_RENAMEAT2, cause, swap)
		} else if swap(); released > 0 && !exchanges(t) {
			t.Log("this file system cannot exchange names")
			continue
		}
		if (released > 0) != (steps == 2) {
			t.Errorf("%v: released %d times", cause, released)
		}
		want := map[string]string{run: "new", aside: "old"}
		if steps == 0 {
			want = map[string]string{run: "old", fresh: "new"}
		}
		for at, text := range want {
			if got, err := os.ReadFile(at + "/f"); err != nil || string(got) != text {
				t.Errorf("%v: %s holds %q, %v", cause, at, got, err)
			}
		}
	}
}

// exchanges asks the file system of the tests itself.
func exchanges(t *testing.T) bool {
	a, b := t.TempDir(), t.TempDir()
	return unix.Renameat2(unix.AT_FDCWD, a, unix.AT_FDCWD, b, unix.RENAME_EXCHANGE) == nil
}

func TestRealTarget(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(durable.WriteFile(in("file"), nil), os.Symlink(in("file"), in("absolute")),
		unix.Mkfifo(in("pipe"), 0o666)); err != nil {
		t.Fatal(err)
	}
	if got, err := durable.Target(in("absolute")); err != nil || got != in("file") {
		t.Errorf("an absolute link leads to %s, %v", got, err)
	}
	for _, path := range []string{os.DevNull, in("pipe")} {
		if _, err := durable.Target(path); err == nil || !strings.Contains(err.Error(), path+": is a pipe or a device") {
			t.Errorf("%s: %v", path, err)
		}
	}
	if _, err := durable.Target(in("file/below")); !errors.Is(err, syscall.ENOTDIR) {
		t.Errorf("below a file: %v", err)
	}
	refused(t, unix.SYS_READLINKAT, syscall.EIO, func() {
		if _, err := durable.Target(in("absolute")); !errors.Is(err, syscall.EIO) {
			t.Errorf("a link that cannot be read: %v", err)
		}
	})
	last := "file" // as many links as the system follows, and one more
	for n := 1; n <= 41; n++ {
		link := fmt.Sprintf("link%d", n)
		if err := os.Symlink(last, in(link)); err != nil {
			t.Fatal(err)
		}
		last = link
		_, want := os.Stat(in(link))
		if got, err := durable.Target(in(link)); (err == nil) != (want == nil) || err == nil && got != in("file") {
			t.Errorf("%d links: %s, %v; the system says %v", n, got, err, want)
		}
	}
}

func TestRealRoom(t *testing.T) {
	if err := durable.Room(t.TempDir(), 1<<20); err != nil {
		t.Errorf("a megabyte: %v", err)
	}
	if err := durable.Room("/proc", 0); err != nil { // which has no room at all
		t.Errorf("nothing needs no room: %v", err)
	}
	if err := durable.Room("/proc", 1); err == nil || !strings.Contains(err.Error(), "0 bytes free, 1 byte needed") {
		t.Errorf("a full file system: %v", err)
	}
	refused(t, unix.SYS_STATFS, syscall.ENOSYS, func() {
		if err := durable.Room(t.TempDir(), 1<<62); err != nil {
			t.Errorf("where nobody knows what is free: %v", err)
		}
	})
}

func TestMounted(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "link")
	if err := os.Symlink("/proc", link); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"/proc": true, dir: false, link: false, filepath.Join(dir, "absent"): false} {
		if got := durable.Mounted(path); got != want {
			t.Errorf("%s: mounted is %v", path, got)
		}
	}
}

// Every file that is opened is closed, also after errors.
func TestFilesAreClosed(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // which would close forgotten ones
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	open := func() int { return faults.OpenFiles(t) }
	before := 0
	for n := range 20 {
		if n == 1 { // the first round opens what the runtime keeps
			before = open()
		}
		err := errors.Join(durable.WriteFile(in("file"), []byte("x")), durable.Copy(in("copy"), in("file")),
			durable.Move(in("moved"), in("copy")),
			durable.Place(in("file"), in("moved")), durable.Room(dir, 1), durable.Remove(in("file")))
		if err != nil {
			t.Fatal(err)
		}
		durable.Sweep(dir, func(string) bool { return true })
		if durable.Copy(in("copy"), dir) == nil || durable.WriteFile(dir, nil) == nil {
			t.Fatal("no error")
		}
	}
	if after := open(); after != before {
		t.Errorf("%d files are open, %d were", after, before)
	}
}
