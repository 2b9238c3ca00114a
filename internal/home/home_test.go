package home

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"finetune/internal/failure"
)

func TestWithoutHomeNoSharedFolderIsGuessed(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("other variables there")
	}
	for _, v := range []string{"FINETUNE_HOME", "HOME", "XDG_CACHE_HOME"} {
		t.Setenv(v, "")
	}
	if err := Check(); failure.KindOf(err) != failure.UsageKind || !strings.Contains(err.Error(), "FINETUNE_HOME") {
		t.Errorf("%v, want a usage error that asks for FINETUNE_HOME", err)
	}
	if strings.HasPrefix(Dir(), os.TempDir()) || os.MkdirAll(Dir(), 0o777) == nil {
		t.Errorf("%s: a folder that anybody can make", Dir())
	}
	t.Setenv("FINETUNE_HOME", "mine")
	if err := Check(); err != nil || !filepath.IsAbs(Dir()) {
		t.Errorf("FINETUNE_HOME=mine: %s, %v", Dir(), err)
	}
}

func TestOpenFolders(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no such modes")
	}
	top := t.TempDir()
	t.Setenv("FINETUNE_HOME", top)
	lib := Path("runtime", "mine", "lib.so")
	if err := errors.Join(os.MkdirAll(filepath.Dir(lib), 0o755), os.WriteFile(lib, nil, 0o644)); err != nil {
		t.Fatal(err)
	}
	if err := Open(lib); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{lib, filepath.Dir(lib), Path("runtime"), top} {
		info, err := os.Stat(p)
		if err == nil {
			err = os.Chmod(p, info.Mode()|0o002)
		}
		if err != nil {
			t.Fatal(err)
		}
		if err := Open(lib); !errors.Is(err, ErrOpen) || !strings.Contains(err.Error(), p+":") {
			t.Errorf("%s writable by all: %v", p, err)
		}
		if err := os.Chmod(p, info.Mode()); err != nil {
			t.Fatal(err)
		}
	}
}
