//go:build unix

package lock

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gofrs/flock"
	"time"
)

func TestASecondTakerIsTold(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	a, err := Take(path, "it", false)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Take(path, "it", false); !errors.Is(err, ErrBusy) {
		t.Errorf("second: %v, want ErrBusy", err)
	}
	if err := errors.Join(a.Close(), a.Close()); err != nil {
		t.Error(err)
	}
	b, err := Take(path, "it", false)
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
}

// A process that is on its way out is waited for.
func TestTheNextTakerWaitsAMoment(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".lock")
	a, err := Take(path, "it", false)
	if err != nil {
		t.Fatal(err)
	}
	time.AfterFunc(200*time.Millisecond, func() { a.Close() })
	b, err := Take(path, "it", false)
	if err != nil {
		t.Fatal(err)
	}
	b.Close()
}

// Others of a group, whom the umask lets in, can take the lock as well.
func TestTheLockFileIsNotForItsOwnerAlone(t *testing.T) {
	old := syscall.Umask(0o002)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), ".lock")
	l, err := Take(path, "it", false)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o664 {
		t.Errorf("mode %v, %v; want 0664", info.Mode(), err)
	}
}

// A lock that is a link would be made where the link leads, and a pipe would be
// waited for: both are refused, and left as they are.
func TestOnlyAPlainFileIsLocked(t *testing.T) {
	dir := t.TempDir()
	in := func(name string) string { return filepath.Join(dir, name) }
	if err := errors.Join(os.Symlink(in("absent"), in("dangling")), os.WriteFile(in("file"), nil, 0o666),
		os.Symlink(in("file"), in("link")), os.Mkdir(in("folder"), 0o777)); err != nil {
		t.Fatal(err)
	}
	refused := func(name string) {
		t.Helper()
		l, err := Take(in(name), "it", false)
		want := in(name) + ": it is no plain file; remove it"
		if err == nil || errors.Is(err, ErrBusy) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
		l.Close()
	}
	refused("dangling")
	if _, err := os.Lstat(in("absent")); !errors.Is(err, os.ErrNotExist) {
		t.Fatalf("a file was made where the link leads: %v", err)
	}
	refused("link")
	refused("folder")
	if t.Failed() {
		return // a pipe would be waited for
	}
	if err := syscall.Mkfifo(in("pipe"), 0o666); err != nil {
		t.Fatal(err)
	}
	refused("pipe")
	for _, name := range []string{"file", "none"} {
		l, err := Take(in(name), "it", false)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		l.Close()
	}
}

func TestErrorsSayWhatTheLockIsFor(t *testing.T) {
	for _, cause := range []error{syscall.ENOLCK, syscall.ENOSYS, syscall.EOPNOTSUPP} {
		err := Explain(&os.PathError{Op: "flock", Path: "r/.lock", Err: cause}, "r/.lock", "a run")
		if !errors.Is(err, cause) || !strings.Contains(fmt.Sprint(err), "keeps two processes from writing a run at once") {
			t.Errorf("%v: %v", cause, err)
		}
	}
	err := Explain(&os.PathError{Op: "open", Path: "r/.lock", Err: syscall.EACCES}, "r/.lock", "a run")
	if !strings.Contains(fmt.Sprint(err), "chmod g+rw") {
		t.Error(err)
	}
}

// On a file system without locks one can do without, if asked for, and only there.
func TestWithoutLocks(t *testing.T) {
	defer func(f func(*flock.Flock) (bool, error)) { tryLock = f }(tryLock)
	for cause, none := range map[error]bool{syscall.ENOLCK: true, syscall.ENOSYS: true, syscall.EOPNOTSUPP: true,
		syscall.EIO: false} {
		tryLock = func(l *flock.Flock) (bool, error) {
			return false, &os.PathError{Op: "flock", Path: l.Path(), Err: cause}
		}
		path := filepath.Join(t.TempDir(), ".lock")
		if _, err := Take(path, "a run", false); !errors.Is(err, cause) || Unsupported(err) != none ||
			none != strings.Contains(fmt.Sprint(err), "keeps two processes from writing a run at once") {
			t.Errorf("%v: %v", cause, err)
		}
		l, err := Take(path, "a run", true)
		if none && (err != nil || l.Close() != nil) || !none && !errors.Is(err, cause) {
			t.Errorf("%v, without: %v", cause, err)
		}
	}
}
